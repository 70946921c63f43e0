#!/usr/bin/env node
// The command line starts here in plain JavaScript, so that an old Node gives advice instead of a syntax error.
import { existsSync } from 'node:fs'

const OLDEST_NODE_MAJOR = 24
const running = process.versions.node

if (Number(running.split('.')[0]) < OLDEST_NODE_MAJOR) {
  console.error(
    `steward: this is Node ${running}, and steward needs Node ${OLDEST_NODE_MAJOR} or newer (it uses node:sqlite). ` +
      'Nothing was read or written. Install a newer Node and run the command again.',
  )
  process.exit(1)
}

// A published package carries dist; a checkout of the repository runs the sources.
const source = new URL('../src/cli/main.ts', import.meta.url)
const built = new URL('../dist/cli/main.js', import.meta.url)
await import(existsSync(source) ? source.href : built.href)

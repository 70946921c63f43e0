/**
 * Workers of this process whose side files are locked by this process. Asked instead of the files: opening and closing
 * a file of one's own process can drop the locks that the process holds on it. One registry per process, also when two
 * copies of the library are loaded.
 */
const NAME = Symbol.for('steward.sqlite.open-workers')
const place = globalThis as { [NAME]?: Set<string> }
const open: Set<string> = (place[NAME] ??= new Set())

export const openWorkers = {
  add: (path: string, worker: string): void => void open.add(`${path}\n${worker}`),
  remove: (path: string, worker: string): void => void open.delete(`${path}\n${worker}`),
  of: (path: string): readonly string[] => [...open].filter((name) => name.startsWith(`${path}\n`)).map((name) => name.slice(path.length + 1)),
}

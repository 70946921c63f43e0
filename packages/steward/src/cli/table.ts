/** Columns for a terminal. */

/** Rows under headings, two spaces between columns; the last column takes what is left of `width`. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[], width: number): string {
  const widths = headings.map((heading, column) => Math.max(heading.length, ...rows.map((row) => oneLine(row[column]).length)))
  const used = widths.slice(0, -1).reduce((sum, one) => sum + one + 2, 0)
  const left = Math.max(20, width - used)
  const line = (row: readonly string[]): string => row.map((cell, column) => (column === widths.length - 1 ? cut(oneLine(cell), left) : oneLine(cell).padEnd(widths[column] as number))).join('  ').trimEnd()
  return [line(headings), ...rows.map(line)].join('\n')
}

function oneLine(text: string | undefined): string {
  // Keys and reasons come from outside; escape sequences must not reach the terminal.
  return (text ?? '').replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`
}

/** `3s`, `12m`, `5h`, `2d`: how long ago, or until. */
export function ageText(ms: number): string {
  const size = Math.abs(ms)
  if (size < 60_000) return `${Math.round(size / 1_000)}s`
  if (size < 3_600_000) return `${Math.round(size / 60_000)}m`
  return size < 172_800_000 ? `${Math.round(size / 3_600_000)}h` : `${Math.round(size / 86_400_000)}d`
}

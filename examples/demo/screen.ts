/** What the demo shows: progress while it runs (one line, redrawn, on a terminal), the table, the story. */
import process from 'node:process'
import { styleText } from 'node:util'
import type { Telling } from 'steward'
import { ORDERS } from './orders.ts'
import type { Strategy } from './strategy.ts'

export type Row = { readonly name: string; readonly label: string; readonly once: number; readonly twice: number; readonly never: number; readonly inDoubt: number }

const onTerminal = process.stdout.isTTY
const paint = (style: Parameters<typeof styleText>[0], text: string): string => (onTerminal ? styleText(style, text) : text)

export function heading(text: string): void {
  console.log(paint('bold', text))
}

export function progress(strategies: readonly Strategy[], elapsedMs: number): void {
  const parts = strategies.map((one) => `${one.label} ${String(one.settled).padStart(3)}/${ORDERS.length}`)
  const down = strategies.some((one) => one.proxy.isDown) ? paint('red', '  Stripe is down') : ''
  const kills = strategies.map((one) => one.kills).join('/')
  const line = `${String(Math.round(elapsedMs / 1_000)).padStart(3)}s  ${parts.join('   ')}   kills ${kills}${down}`
  if (onTerminal) process.stdout.write(`\r\u001b[K${line}`)
  else console.log(line)
}

export function endProgress(): void {
  if (onTerminal) process.stdout.write('\r\u001b[K')
}

export function table(rows: readonly Row[]): void {
  const head = ['strategy', 'once', 'twice or more', 'never', 'in doubt, and told']
  const cells = rows.map((row) => [row.label, row.once, row.twice, row.never, row.inDoubt].map(String))
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)))
  const align = (row: readonly string[]): string => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('   ')
  console.log(paint('dim', align(head)))
  for (const [i, row] of rows.entries()) console.log(paint(row.twice + row.never === 0 ? 'green' : 'red', align(cells[i] ?? [])))
}

export function story(telling: Telling): void {
  heading(telling.title)
  for (const line of telling.lines) {
    console.log(`  ${paint('dim', new Date(line.at).toISOString().slice(11, 23))}  ${line.text}`)
    for (const wire of line.wire) console.log(`                ${paint('dim', wire)}`)
  }
  const { happened, known, next, retry } = telling.answers
  const asked = [['Did the provider do it?', happened], ['What do we know, and how?', known], ['What happens next, and when?', next], ['Is it safe to press retry?', retry]] as const
  for (const [question, answer] of asked) console.log(`  ${paint('bold', question)} ${answer}`)
}

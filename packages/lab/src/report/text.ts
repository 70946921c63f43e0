/** Results for people. */
import type { FaultKind } from '../faults/kinds.ts'
import type { EntryResult, PremortemResult } from '../premortem/run.ts'
import type { Played } from '../scenarios/run.ts'
import type { Scenario } from '../scenarios/scenario.ts'

const MARK = { 'survived': '✓ survived', 'not handled': '✗ not handled', 'waits': '○ waits', 'does not apply': '– does not apply', 'unknown scenario': '? unknown' } as const

const indented = (text: string, by = 4): string => text.split('\n').map((line) => `${' '.repeat(by)}${line}`).join('\n')

/** One entry of a premortem: a line when it survived, the whole account when it did not. */
export function entryText(result: EntryResult, seed: number): string {
  const head = `  ${MARK[result.verdict].padEnd(16)} ${result.entry}`
  const { played } = result
  if (result.verdict === 'survived') return played !== null && played.inDoubt.length > 0 ? `${head}\n${indented(doubtText(played), 19)}` : head
  return [head, indented(result.question), ...result.findings.map((finding) => indented(`- ${finding}`)), ...(played === null ? [] : [accountText(played, `steward lab ${played.operation} --scenario ${JSON.stringify(played.scenario)} --seed ${seed} --trace`)])].join('\n')
}

/** In doubt, loudly, is an honest end where nobody could know; it is said, so that somebody decides whether it is good enough. */
function doubtText({ inDoubt, answer }: Played): string {
  const calls = inDoubt.length === 1 ? 'one call' : `${inDoubt.length} calls`
  return `${calls} ended in doubt, and people were told: with the answer ${answer} nobody can know. ${answer === 'none' ? 'Is there really no key and nothing to ask?' : 'A lookup would decide.'}`
}

/** What the provider saw, the story of the failing call, and how to see it again. */
export function accountText(played: Played, again: string): string {
  const { ledger, story, figures } = played
  const lines = [
    ...(played.waitsFor === null ? [] : [`Steward does not have this yet: ${played.waitsFor}.`]),
    `What the provider saw (${figures.requests} requests, ${figures.doubled} effects too many):`,
    ...ledger.slice(0, 12).map((line) => `  ${line}`), ...(ledger.length > 12 ? [`  … ${ledger.length - 12} more lines with --trace`] : []),
    ...(story === null ? [] : ['The story of the call:', `  ${story.title}`, ...story.lines.map((line) => `  ${new Date(line.at).toISOString()}  ${line.text}`), `  Did the provider do it? ${story.answers.happened}`, `  Is it safe to press retry? ${story.answers.retry}`]),
    `Again: ${again}`,
  ]
  return indented(lines.join('\n'))
}

export function premortemText({ operation, entries, seed }: PremortemResult): string {
  const count = (verdict: EntryResult['verdict']): number => entries.filter((entry) => entry.verdict === verdict).length
  const lost = entries.length - count('survived')
  return `${operation}: ${count('survived')} of ${entries.length} survived${lost === 0 ? '' : `, ${lost} did not`} (seed ${seed}).`
}

export function listText(catalogue: readonly Scenario[]): string {
  const themes = [...new Set(catalogue.map((scenario) => scenario.theme))]
  return themes.map((theme) => [theme.toUpperCase(), ...catalogue.filter((scenario) => scenario.theme === theme).map(scenarioLine)].join('\n')).join('\n\n')
}

function scenarioLine({ id, tier, question, fits, waitsFor, providers }: Scenario): string {
  const about = [`tier ${tier}`, fits.length === 4 ? 'every answer' : fits.join(', '), ...(providers === undefined ? [] : [`plays on ${providers.join(', ')}`]), ...(waitsFor === undefined ? [] : [`waits for ${waitsFor.what}`])]
  return `  ${id}\n      ${question}\n      ${about.join(' · ')}`
}

export function faultsText(kinds: readonly FaultKind[]): string {
  const points = [...new Set(kinds.map((kind) => kind.point))]
  return points.map((point) => [point, ...kinds.filter((kind) => kind.point === point).map(({ kind, what, forMs, beyondContract }) => `  ${kind.padEnd(32)} ${what}${forMs === null ? '' : ` Lasts ${forMs / 1_000} s, unless told otherwise.`}${beyondContract === true ? ' Beyond what the provider or the database promises.' : ''}`)].join('\n')).join('\n')
}

/** All that is known of one scenario. */
export function scenarioText(scenario: Scenario): string {
  const incidents = scenario.incidents.flatMap(({ what, cost, source }) => [`  - ${what}${cost === undefined ? '' : ` ${cost}`}`, `    ${source.title}, ${source.url}${source.checked === 'summary' ? ' (read through a summary)' : ''}`])
  return [
    `${scenario.id}: ${scenario.title}`, '', scenario.question, '',
    'What the run does', `  ${scenario.does}`, '',
    'It has happened', ...incidents, '',
    'What a loop in memory does', `  ${scenario.naive.what} (${scenario.naive.outcome})`,
    'What still breaks with a durable queue and a stable key', `  ${scenario.queue}`, '',
    `Holds: ${scenario.invariants.join(', ')}. Tier ${scenario.tier}. Asks operations with: ${scenario.fits.join(', ')}.`,
  ].join('\n')
}

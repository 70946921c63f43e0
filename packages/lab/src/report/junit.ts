/** Results as JUnit XML, which CI systems read: a suite for each operation, a case for each entry. */
import type { PremortemResult } from '../premortem/run.ts'

export function junit(results: readonly PremortemResult[]): string {
  const all = results.flatMap(({ entries }) => entries)
  const failed = all.filter(({ verdict }) => verdict !== 'survived').length
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="steward lab" tests="${all.length}" failures="${failed}">`,
    ...results.flatMap(({ operation, seed, entries }) => [
      `  <testsuite name=${quoted(operation)} tests="${entries.length}" failures="${entries.filter(({ verdict }) => verdict !== 'survived').length}">`,
      ...entries.flatMap(({ entry, verdict, findings }) => (verdict === 'survived'
        ? [`    <testcase classname=${quoted(operation)} name=${quoted(entry)}/>`]
        : [`    <testcase classname=${quoted(operation)} name=${quoted(entry)}>`, `      <failure message=${quoted(`${verdict} (seed ${seed})`)}>${escaped(findings.join('\n'))}</failure>`, '    </testcase>'])),
      '  </testsuite>',
    ]),
    '</testsuites>', '',
  ].join('\n')
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;' }
/** Control characters do not exist in XML, not even escaped. */
 
const printable = (text: string): string => text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '?')
const escaped = (text: string): string => printable(text).replace(/[&<>]/g, (one) => ENTITIES[one] ?? one)
const quoted = (text: string): string => `"${printable(text).replace(/[&<>"\n]/g, (one) => ENTITIES[one] ?? one)}"`

/** A failing run as a file: a scenario under a name of its own, which plays the same faults with the same seed for ever. */
import type { EntryResult } from './run.ts'

export function keptFile(title: string, { entry, findings }: Pick<EntryResult, 'entry' | 'findings'>, seed: number): { readonly name: string; readonly text: string } {
  const words = title.toLowerCase().split(/[^a-z0-9]+/).filter((word) => word !== '')
  const slug = words.join('-') || 'kept-run'
  const variable = words.map((word, index) => (index === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1))).join('')
  const found = findings.slice(0, 5).map((finding) => ` *  - ${finding.replaceAll('*/', '* /').replaceAll('\n', ' ')}`)
  return {
    name: `${slug}.scenario.ts`,
    text: [
      "import { kept } from '@steward/lab'", '',
      '/**', ` * Found by the scenario ${entry} with seed ${seed}:`, ...found, ' */',
      `export const ${/^[a-z]/.test(variable) ? variable : 'keptRun'} = kept(${JSON.stringify(title)}, { scenario: ${JSON.stringify(entry)}, seed: ${seed} })`, '',
    ].join('\n'),
  }
}

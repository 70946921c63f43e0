/** Contract 14: what was planted as a secret is found nowhere that Steward writes to. */
import type { Evidence } from './evidence.ts'

export function noSecrets(evidence: Evidence): readonly { readonly operation: string; readonly key: string; readonly what: string }[] {
  if (evidence.secrets.length === 0) return []
  const found: { operation: string; key: string; what: string }[] = []
  const search = (where: string, text: string, operation = '', key = ''): void => {
    evidence.secrets.forEach((secret, index) => {
      if (text.includes(secret)) found.push({ operation, key, what: `secret ${index + 1} (${secret.slice(0, 4)}…) stands in ${where}` })
    })
  }
  for (const call of evidence.calls) search('the call as the API shows it', JSON.stringify(call), call.operation, call.key)
  for (const alert of evidence.alerts) search(`alert ${alert.kind}`, JSON.stringify(alert), alert.operation, alert.key ?? '')
  for (const sink of evidence.sinks) search(sink.name, sink.text)
  return found
}

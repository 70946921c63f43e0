/**
 * The provider-facing key: f(namespace, operation, key, generation), derived, never random (contract 5).
 *
 * It has the form of a UUID of version 8 (RFC 9562: custom), since many providers advise UUIDs and the narrowest
 * allows 36 characters or little more.
 */
export function providerFacingKey(namespace: string, operation: string, key: string, generation: number, digest: (text: string) => string): string {
  const hex = digest(JSON.stringify(['steward/1', namespace, operation, key, generation]))
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

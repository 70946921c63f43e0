/** Errors as real clients throw them: what a process sees of a broken network. */

/** `fetch failed`, with the system's error beneath: Node's fetch. */
const fetchFailed = (cause: Error): TypeError => new TypeError('fetch failed', { cause })
const systemError = (message: string, fields: Readonly<Record<string, unknown>>): Error => Object.assign(new Error(message), fields)

export const wireErrors = {
  dns: (host: string) => fetchFailed(systemError(`getaddrinfo ENOTFOUND ${host}`, { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: host })),
  refused: () => fetchFailed(systemError('connect ECONNREFUSED', { code: 'ECONNREFUSED', syscall: 'connect', port: 443 })),
  tls: () => fetchFailed(systemError('certificate has expired', { code: 'CERT_HAS_EXPIRED' })),
  connect_timeout: () => fetchFailed(Object.assign(systemError('Connect Timeout Error', { code: 'UND_ERR_CONNECT_TIMEOUT' }), { name: 'ConnectTimeoutError' })),
  reset: () => fetchFailed(systemError('read ECONNRESET', { code: 'ECONNRESET', syscall: 'read' })),
  socket: () => fetchFailed(Object.assign(systemError('other side closed', { code: 'UND_ERR_SOCKET' }), { name: 'SocketError' })),
  garbled: () => new SyntaxError('Unexpected token < in JSON at position 0'),
} as const

/** Aborted by its signal. */
export function abortedBy(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  return reason instanceof Error ? reason : new DOMException('This operation was aborted', 'AbortError')
}

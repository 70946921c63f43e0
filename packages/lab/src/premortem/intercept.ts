/**
 * Turns every connection that this process would make over to a server of the lab, whatever client makes it: fetch,
 * undici, node:http, axios, a provider's SDK. Nothing leaves the machine, and no client has to be told.
 *
 * It acts where all of Node's clients meet: at `net.Socket.prototype.connect`, and at `tls.connect`. A TLS client gets
 * a plain socket that says its handshake is done: what is tested is what the client does with answers, not the
 * cryptography. Faults before the first byte (a name that does not resolve, a refused connection, an expired
 * certificate) fail the socket with the error that Node would have given, so that verdicts are those of production.
 *
 * Not seen: clients that bring their own network stack (native addons, child processes), and connections that were
 * open before. Unix sockets and pipes pass; so does what `passes` names. One interception at a time in a process;
 * `restore` puts everything back.
 */
import { AsyncResource } from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import tls from 'node:tls'

/** Where a client wanted to go. */
export type Destination = { readonly host: string; readonly port: number; readonly isTls: boolean }

export type InterceptOptions = {
  /** Port of the lab's server on the loopback. */
  readonly port: number
  /** Asked for each connection, in the async context that makes it. Resolves when it may reach the lab; an error fails it before a byte leaves. */
  admit(destination: Destination): Promise<void>
  /** The connection stands; by `localPort` the server knows it. Called before anything is written. */
  connected?(localPort: number, destination: Destination): void
  /** Connections that go where they were meant to: a test database, say. Default: none. */
  passes?(destination: Destination): boolean
}

export interface Interception {
  restore(): void
}

type Listener = () => void
type ConnectOptions = { readonly host?: string; readonly port?: number | string; readonly path?: string; readonly socket?: unknown }
type Connect = (this: net.Socket, ...args: unknown[]) => net.Socket

let isActive = false

export function intercept(options: InterceptOptions): Interception {
  if (isActive) throw new Error('the network of this process is already intercepted; restore it before intercepting it again')
  isActive = true
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called on the socket it is asked for
  const plainConnect = net.Socket.prototype.connect as unknown as Connect
  const tlsConnect = tls.connect
  const toLab = { host: '127.0.0.1', port: options.port }

  const redirect = (socket: net.Socket, destination: Destination, connected: Listener | undefined): net.Socket => {
    socket.setMaxListeners(0)
    const standing = AsyncResource.bind(() => options.connected?.(socket.localPort ?? 0, destination))
    socket.once('connect', standing)
    if (connected) socket.once('connect', connected)
    // What is written meanwhile waits for the connection, as it would for a handshake.
    ;(socket as { connecting: boolean }).connecting = true
    options.admit(destination).then(
      () => { if (!socket.destroyed) plainConnect.call(socket, toLab) },
      (error: unknown) => void socket.destroy(error instanceof Error ? error : new Error(String(error))),
    )
    return socket
  }

  net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]): net.Socket {
    const { given, connected } = understood(args)
    const destination = { host: given.host ?? 'localhost', port: Number(given.port), isTls: false }
    if (given.path != null || this instanceof tls.TLSSocket || options.passes?.(destination) === true) return plainConnect.apply(this, args)
    return redirect(this, destination, connected)
  }

  const connectTls = (...args: unknown[]): tls.TLSSocket => {
    const { given, connected } = understood(args)
    const destination = { host: given.host ?? 'localhost', port: Number(given.port ?? 443), isTls: true }
    if (given.path != null || given.socket != null || options.passes?.(destination) === true) return (tlsConnect as (...all: unknown[]) => tls.TLSSocket)(...args)
    const socket = asTls(new net.Socket())
    if (connected) socket.once('secureConnect', connected)
    redirect(socket, destination, () => socket.emit('secureConnect'))
    return socket
  }
  tls.connect = connectTls
  syncBuiltinESMExports()

  return {
    restore() {
      net.Socket.prototype.connect = plainConnect
      tls.connect = tlsConnect
      syncBuiltinESMExports()
      isActive = false
    },
  }
}

/** The shapes in which a connection is asked for: options, port and host, or Node's own list of both. */
function understood(args: readonly unknown[]): { readonly given: ConnectOptions; readonly connected: Listener | undefined } {
  const list = Array.isArray(args[0]) ? (args[0] as readonly unknown[]) : args
  const connected = list.find((one): one is Listener => typeof one === 'function')
  const [first, second] = list
  if (typeof first === 'object' && first !== null) return { given: first, connected }
  const options = list.find((one): one is ConnectOptions => typeof one === 'object' && one !== null) ?? {}
  if (typeof first === 'number' || (typeof first === 'string' && /^\d+$/.test(first))) return { given: { ...options, port: first, ...(typeof second === 'string' ? { host: second } : {}) }, connected }
  return { given: { path: String(first) }, connected }
}

/** A plain socket with the face of one whose handshake is done and whose peer is trusted. */
function asTls(socket: net.Socket): tls.TLSSocket {
  return Object.assign(socket, {
    encrypted: true, authorized: true, authorizationError: null, alpnProtocol: false, servername: false,
    getPeerCertificate: () => ({}), getCipher: () => ({ name: 'none', standardName: 'none', version: 'TLSv1.3' }), getProtocol: () => 'TLSv1.3', getSession: () => undefined,
    isSessionReused: () => false, setServername: () => undefined, setSession: () => undefined, disableRenegotiation: () => undefined,
  }) as unknown as tls.TLSSocket
}

// Nothing in a test run talks to anything but this machine. The guard sits below every client: sockets, datagrams and name look-ups.
// A refused connection is also remembered, because code under test may turn the error into an answer.
import dgram from 'node:dgram'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'

/** Whether a host is this machine. Names other than `localhost` are not, whatever they resolve to. */
export const isLoopback = (host: string): boolean => {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase()
  if (bare === 'localhost' || bare === '::1') return true
  const mapped = bare.replace(/^::ffff:/, '')
  return net.isIPv4(mapped) && mapped.startsWith('127.')
}

/** Where `socket.connect(...)` would go: `undefined` for a unix socket or this machine. */
export const foreignTarget = (given: readonly unknown[]): string | undefined => {
  const [first, second] = Array.isArray(given[0]) ? (given[0] as unknown[]) : given
  if (first !== null && typeof first === 'object') {
    const options = first as { path?: unknown; host?: unknown; port?: unknown }
    if (typeof options.path === 'string' && options.port === undefined) return undefined
    const host = typeof options.host === 'string' && options.host !== '' ? options.host : 'localhost'
    return isLoopback(host) ? undefined : `${host}:${String(options.port)}`
  }
  if (typeof first === 'string' && !/^\d+$/.test(first)) return undefined
  const host = typeof second === 'string' && second !== '' ? second : 'localhost'
  return isLoopback(host) ? undefined : `${host}:${String(first)}`
}

type AnyFunction = (...given: unknown[]) => unknown

/** Refuses everything that is not loopback, and tells `refused` what was tried. Undone by the function it returns. */
export const guardLoopback = (refused: (target: string) => void): (() => void) => {
  const undo: (() => void)[] = []
  const refuse = (target: string): Error => {
    refused(target)
    return new Error(`Only loopback is allowed in tests; something tried to reach ${target}.`)
  }
  const replace = (owner: object, key: string, make: (original: AnyFunction) => AnyFunction): void => {
    const original = (owner as Record<string, AnyFunction>)[key]
    if (typeof original !== 'function') return
    ;(owner as Record<string, AnyFunction>)[key] = make(original)
    undo.push(() => void ((owner as Record<string, AnyFunction>)[key] = original))
  }

  replace(net.Socket.prototype, 'connect', (original) =>
    function connect(this: net.Socket, ...given: unknown[]) {
      const target = foreignTarget(given)
      return target === undefined ? original.apply(this, given) : this.destroy(refuse(target))
    },
  )
  for (const key of ['send', 'connect']) {
    replace(dgram.Socket.prototype, key, (original) =>
      function datagram(this: dgram.Socket, ...given: unknown[]) {
        const host = given.slice(1).find((item) => typeof item === 'string') as string | undefined
        if (host !== undefined && !isLoopback(host)) throw refuse(`${host} by datagram`)
        return original.apply(this, given)
      },
    )
  }
  const lookups = (owner: object): string[] => Object.keys(owner).filter((key) => /^(?:lookup|resolve|reverse)/.test(key))
  for (const key of lookups(dns)) {
    replace(dns, key, (original) => (...given) => {
      const host = String(given[0])
      if (isLoopback(host)) return original(...given)
      const error = refuse(`${host} by name look-up`)
      const callback = given.at(-1)
      if (typeof callback === 'function') setImmediate(() => (callback as AnyFunction)(error))
      return undefined
    })
  }
  for (const key of lookups(dns.promises)) {
    replace(dns.promises, key, (original) => (...given) => {
      const host = String(given[0])
      return isLoopback(host) ? original(...given) : Promise.reject(refuse(`${host} by name look-up`))
    })
  }
  syncBuiltinESMExports()
  return () => {
    for (const step of undo) step()
    syncBuiltinESMExports()
  }
}

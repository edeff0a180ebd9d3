// Create-only secrets with etags: a version is added without any condition, and counts only once an etag-guarded PATCH of the annotations names it.
// The pending token lies in a create-only secret of its own, named after its operation; that secret's first version counts.
import { createHash } from 'node:crypto'
import { hexEscapeCodec } from '../../shared/credentials/google/names.ts'
import { defineProvider, type SecretProvider } from '../../shared/core/provider.ts'
import type { Call, Clock, Runtime } from '../../shared/core/runtime.ts'
import { SecretValue, type SecretName } from '../../shared/core/secret.ts'
import { recordProvider, type Entry, type SecretState } from './record.ts'
import { calmHook, conflict, heldBy, isRefusal, lineTo, notFound, Refusal, type Hook } from './service.ts'

interface Secret {
  etag: string
  annotations: Readonly<Record<string, string>>
  /** By number minus one; destroyed ones are empty. */
  versions: (Uint8Array | undefined)[]
  aliasCurrent?: number | undefined
}

/** The service: every method is one atomic call. */
export class EtagService {
  readonly clock: Clock
  hook: Hook = calmHook
  #space: { secrets: Map<string, Secret>; etags: number } = { secrets: new Map(), etags: 0 }

  constructor(clock: Clock) {
    this.clock = clock
  }

  through(hook: Hook): EtagService {
    const view = new EtagService(this.clock)
    view.hook = hook
    view.#space = this.#space
    return view
  }

  createSecret(name: string): Promise<void> {
    return this.hook({ call: 'createSecret', name, changes: true }, () => {
      if (this.#space.secrets.has(name)) throw new Refusal('ALREADY_EXISTS')
      this.#space.secrets.set(name, { etag: this.#etag(), annotations: {}, versions: [] })
    })
  }

  addVersion(name: string, value: Uint8Array): Promise<number> {
    return this.hook({ call: 'addVersion', name, changes: true }, () => this.#secret(name).versions.push(value))
  }

  getSecret(name: string): Promise<Pick<Secret, 'etag' | 'annotations'>> {
    return this.hook({ call: 'getSecret', name, changes: false }, () => ({ etag: this.#secret(name).etag, annotations: this.#secret(name).annotations }))
  }

  countVersions(name: string): Promise<number> {
    return this.hook({ call: 'countVersions', name, changes: false }, () => this.#secret(name).versions.length)
  }

  access(name: string, number: number): Promise<Uint8Array> {
    return this.hook({ call: 'access', name, changes: false }, () => {
      const value = this.#secret(name).versions[number - 1]
      if (value === undefined) throw new Refusal('NOT_FOUND')
      return value
    })
  }

  /** Alias and annotations change together, or not at all. */
  patchSecret(name: string, change: { annotations: Readonly<Record<string, string>>; aliasCurrent: number | undefined }, etag: string): Promise<void> {
    return this.hook({ call: 'patchSecret', name, changes: true }, () => {
      const secret = this.#secret(name)
      if (secret.etag !== etag) throw new Refusal('FAILED_PRECONDITION')
      Object.assign(secret, change, { etag: this.#etag() })
    })
  }

  destroyVersion(name: string, number: number): Promise<void> {
    return this.hook({ call: 'destroyVersion', name, changes: true }, () => void (this.#secret(name).versions[number - 1] = undefined))
  }

  deleteSecret(name: string, etag?: string): Promise<void> {
    return this.hook({ call: 'deleteSecret', name, changes: true }, () => {
      if (etag !== undefined && this.#secret(name).etag !== etag) throw new Refusal('FAILED_PRECONDITION')
      this.#space.secrets.delete(name)
    })
  }

  listSecrets(): Promise<readonly string[]> {
    return this.hook({ call: 'listSecrets', name: '', changes: false }, () => [...this.#space.secrets.keys()])
  }

  /** All that it holds, or what one name holds, as text: the same text, the same state. */
  content(only?: string): string {
    const held = heldBy(this.#space.secrets, only).map(([name, { versions, ...secret }]) => [name, secret, versions.map((value) => (value === undefined ? null : Buffer.from(value).toString('latin1')))])
    return JSON.stringify(only === undefined ? [this.#space.etags, ...held] : held)
  }

  #etag(): string {
    return `e${(this.#space.etags += 1)}`
  }

  #secret(name: string): Secret {
    const secret = this.#space.secrets.get(name)
    if (secret === undefined) throw new Refusal('NOT_FOUND')
    return secret
  }
}

const recordKey = 'shape-record'

/** The provider over one such service. */
export const etag = (service: EtagService) =>
  defineProvider({
    name: 'etag',
    title: 'Memory, create-only with etags',
    settings: {},
    open: (_settings, io) => {
      const line = lineTo(io.clock)
      const native = (name: SecretName): string => hexEscapeCodec.encode(name)
      const pending = (name: SecretName, entry: Entry): string => `pending--${createHash('sha256').update(`${name.text} ${entry.operation}`).digest('hex').slice(0, 32)}`
      const quietly = async (call: Call, send: () => Promise<unknown>, ...reasons: readonly string[]): Promise<boolean> => {
        try {
          await line(call, send)
          return true
        } catch (error) {
          if (isRefusal(error, ...reasons)) return false
          throw error
        }
      }
      const found = <T>(call: Call, send: () => Promise<T>): Promise<T> =>
        line(call, send).catch((error: unknown) => {
          throw isRefusal(error, 'NOT_FOUND') ? notFound('version') : error
        })

      return recordProvider(
        {
          traits: {
            names: hexEscapeCodec,
            settleMs: 0,
            versions: 'opaque',
            value: { maxBytes: 65_536, empty: true, bytes: 'any' },
            write: { guarantee: 'cooperating', softDelete: false, labels: { travel: 'always', pairs: 60, keyBytes: 63, valueBytes: 256, filter: true } },
          },
          load: async (name, call) => {
            const secret = await line(call, () => service.getSecret(native(name))).catch((error: unknown) => {
              if (isRefusal(error, 'NOT_FOUND')) return undefined
              throw error
            })
            const { [recordKey]: record, ...labels } = secret?.annotations ?? {}
            return secret === undefined || record === undefined ? undefined : { state: { ...(JSON.parse(record) as SecretState), labels }, token: secret.etag }
          },
          commit: async (name, state, token, call) => {
            const aliasCurrent = state.entries.find(({ stage }) => stage === 'current')?.place
            const { labels, ...record } = state
            const change = { annotations: { ...labels, [recordKey]: JSON.stringify(record) }, aliasCurrent }
            if (token !== undefined) return quietly(call, () => service.patchSecret(native(name), change, token), 'FAILED_PRECONDITION', 'NOT_FOUND')
            const made = await line(call, () => service.getSecret(native(name)))
            return made.annotations[recordKey] === undefined && quietly(call, () => service.patchSecret(native(name), change, made.etag), 'FAILED_PRECONDITION', 'NOT_FOUND')
          },
          apart: {
            store: async (name, value, call) => {
              await quietly(call, () => service.createSecret(native(name)), 'ALREADY_EXISTS')
              return line(call, () => service.addVersion(native(name), value.bytes()))
            },
            stash: async (name, entry, value, call) => {
              await quietly(call, () => service.createSecret(pending(name, entry)), 'ALREADY_EXISTS')
              try {
                return (await line(call, () => service.countVersions(pending(name, entry)))) === 0 && (await line(call, () => service.addVersion(pending(name, entry), value.bytes()))) === 1
              } catch (error) {
                throw isRefusal(error, 'NOT_FOUND') ? conflict('The claim was taken back.') : error
              }
            },
            stashed: async (name, entry, call) => SecretValue.ofBytes(await found(call, () => service.access(pending(name, entry), 1))),
            read: async (name, entry, call) => SecretValue.ofBytes(await found(call, () => service.access(native(name), entry.place ?? 0))),
            drop: async (name, entry, call) => {
              if (entry.stage === 'pending') await quietly(call, () => service.deleteSecret(pending(name, entry)), 'NOT_FOUND')
              else await quietly(call, () => service.destroyVersion(native(name), entry.place ?? 0), 'NOT_FOUND')
            },
          },
          names: async (call) => (await line(call, () => service.listSecrets())).flatMap((each) => hexEscapeCodec.decode(each) ?? []).map((text) => ({ text, place: 'created' as const })),
          remove: async (name, token, call) => {
            await quietly(call, () => service.deleteSecret(native(name), token), 'NOT_FOUND')
          },
        },
        service.clock,
      )
    },
  })

export const openEtag = (service: EtagService, runtime: Runtime): Promise<SecretProvider> => etag(service).open({}, runtime, { kind: 'operator' })

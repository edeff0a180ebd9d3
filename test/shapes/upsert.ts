// Upsert with labels on the version: every PUT makes a version, nothing is conditional, the order is the service's. Writers name the version they build
// on and fold (the chain); the claim is the first version of a second secret that builds on the current one. Deletes are soft.
import { hash } from 'node:crypto'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { slugHashCodec } from '../../shared/core/names/slug-hash.ts'
import { defineProvider, type SecretProvider, type WriteRequest } from '../../shared/core/provider.ts'
import type { Call, Clock, Runtime } from '../../shared/core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName, type Stage, type Version } from '../../shared/core/secret.ts'
import { alreadyExists, calmHook, conflict, epochOf, heldBy, isRefusal, lineTo, notFound, pageOf, Refusal, requireFits, type Hook } from './service.ts'

interface Put {
  readonly id: string
  readonly value: Uint8Array
  readonly at: number
  tags: Readonly<Record<string, string>>
}

interface Secret {
  versions: Put[]
  deletedUntil?: number | undefined
}

/** The service: every method is one atomic call. */
export class UpsertService {
  readonly clock: Clock
  hook: Hook = calmHook
  #space: { secrets: Map<string, Secret>; made: number } = { secrets: new Map(), made: 0 }

  constructor(clock: Clock) {
    this.clock = clock
  }

  through(hook: Hook): UpsertService {
    const view = new UpsertService(this.clock)
    view.hook = hook
    view.#space = this.#space
    return view
  }

  setSecret(name: string, value: Uint8Array, tags: Readonly<Record<string, string>>): Promise<string> {
    return this.hook({ call: 'setSecret', name, changes: true }, () => {
      const secret = this.#space.secrets.get(name) ?? { versions: [] }
      if (this.#isDeleted(secret)) throw new Refusal('ObjectIsDeletedButRecoverable')
      const id = (this.#space.made += 1).toString(16).padStart(32, '0')
      secret.versions.push({ id, value, tags, at: this.clock.now() })
      this.#space.secrets.set(name, secret)
      return id
    })
  }

  /** Oldest first, with values left out in the real service; nothing for an unknown name. */
  listVersions(name: string): Promise<readonly Put[]> {
    return this.hook({ call: 'listVersions', name, changes: false }, () => {
      const secret = this.#space.secrets.get(name)
      return secret === undefined || this.#isDeleted(secret) ? [] : secret.versions.map((version) => ({ ...version }))
    })
  }

  patchTags(name: string, id: string, tags: Readonly<Record<string, string>>): Promise<void> {
    return this.hook({ call: 'patchTags', name, changes: true }, () => {
      const version = this.#space.secrets.get(name)?.versions.find((each) => each.id === id)
      if (version === undefined) throw new Refusal('SecretNotFound')
      version.tags = tags
    })
  }

  getDeleted(name: string): Promise<{ until: number; newest: Put }> {
    return this.hook({ call: 'getDeleted', name, changes: false }, () => {
      const secret = this.#space.secrets.get(name)
      const newest = secret?.versions.at(-1)
      if (secret?.deletedUntil === undefined || newest === undefined) throw new Refusal('SecretNotFound')
      return { until: secret.deletedUntil, newest }
    })
  }

  deleteSecret(name: string): Promise<number> {
    return this.hook({ call: 'deleteSecret', name, changes: true }, () => {
      const secret = this.#space.secrets.get(name)
      if (secret === undefined || this.#isDeleted(secret)) throw new Refusal('SecretNotFound')
      return (secret.deletedUntil = this.clock.now() + 7 * 86_400_000)
    })
  }

  recoverDeleted(name: string): Promise<void> {
    return this.hook({ call: 'recoverDeleted', name, changes: true }, () => {
      const secret = this.#space.secrets.get(name)
      if (secret === undefined) throw new Refusal('SecretNotFound')
      secret.deletedUntil = undefined
    })
  }

  purge(name: string): Promise<void> {
    return this.hook({ call: 'purge', name, changes: true }, () => void this.#space.secrets.delete(name))
  }

  listSecrets(): Promise<readonly { name: string; tags: Readonly<Record<string, string>> }[]> {
    return this.hook({ call: 'listSecrets', name: '', changes: false }, () =>
      [...this.#space.secrets].filter(([, secret]) => !this.#isDeleted(secret)).map(([name, { versions }]) => ({ name, tags: versions.at(-1)?.tags ?? {} })))
  }

  /** All that it holds, or what one name holds, as text: the same text, the same state. */
  content(only?: string): string {
    const held = heldBy(this.#space.secrets, only).map(([name, { versions, deletedUntil }]) => [name, deletedUntil, versions.map(({ value, ...version }) => [version, Buffer.from(value).toString('latin1')])])
    return JSON.stringify(only === undefined ? [this.#space.made, ...held] : held)
  }

  #isDeleted(secret: Secret): boolean {
    return secret.deletedUntil !== undefined
  }
}

const mark = { operation: 'latchkey-operation', before: 'latchkey-before', name: 'latchkey-name', expires: 'shape-expires', description: 'shape-description', gone: 'shape-gone' } as const
const marks: ReadonlySet<string> = new Set(Object.values(mark))
const idOf = (put: Put): string => put.tags[mark.operation] ?? put.id
const isGone = (put: Put): boolean => put.tags[mark.gone] !== undefined
/** Changes with the current version and with its tags, which are replaced and never changed: each is hashed once. */
const etags = new WeakMap<Put['tags'], { readonly id: string; readonly etag: string }>()
const etagOf = ({ id, tags }: Put): string => {
  const known = etags.get(tags)
  if (known?.id === id) return known.etag
  const etag = hash('sha256', `${id} ${JSON.stringify(Object.entries(tags).toSorted())}`).slice(0, 16)
  etags.set(tags, { id, etag })
  return etag
}
/** Names as the service has them: the same few are hashed over and over. */
const natives = new Map<string, string>()
const native = (name: SecretName): string => {
  const known = natives.get(`${name.place} ${name.text}`)
  if (known !== undefined) return known
  if (natives.size > 5_000) natives.clear()
  const encoded = slugHashCodec.encode(name)
  natives.set(`${name.place} ${name.text}`, encoded)
  return encoded
}
const labelsOf = (tags: Readonly<Record<string, string>>): Record<string, string> => Object.fromEntries(Object.entries(tags).filter(([key]) => !marks.has(key)))

/** The valid versions, oldest first: those that build on the last valid one. A version without our mark is somebody else's and always counts. */
export const foldPuts = (puts: readonly Put[]): readonly Put[] => {
  const valid: Put[] = []
  for (const put of puts) {
    const last = valid.at(-1)
    if (put.tags[mark.operation] === undefined || put.tags[mark.before] === (last === undefined ? '' : idOf(last))) valid.push(put)
  }
  return valid
}

const versionOf = (put: Put, stages: readonly Stage[]): Version => {
  const operation = put.tags[mark.operation]
  const before = put.tags[mark.before]
  const epoch = epochOf(operation)
  return { id: idOf(put), stages, enabled: !isGone(put), created: new Date(put.at), ...(operation === undefined ? {} : { operation }), ...(epoch === undefined ? {} : { epoch }), ...(before === undefined || before === '' ? {} : { before }) }
}

/** The provider over one such service; `fold` is a parameter so that a test can put a wrong one in. */
export const upsert = (service: UpsertService, fold: (puts: readonly Put[]) => readonly Put[] = foldPuts) =>
  defineProvider({
    name: 'upsert',
    title: 'Memory, upsert with labels on the version',
    settings: {},
    open: (_settings, io) => {
      const line = lineTo(io.clock)
      const pendingName = (name: SecretName): string => `pending-${native(name)}`
      const value = { maxBytes: 25_600, empty: true, bytes: 'any' } as const

      const chain = async (name: SecretName, call: Call): Promise<readonly Put[]> => fold(await line(call, () => service.listVersions(native(name))))
      const deletion = (name: SecretName, call: Call): Promise<{ until: number; newest: Put } | undefined> =>
        line(call, () => service.getDeleted(native(name))).catch((error: unknown) => {
          if (isRefusal(error, 'SecretNotFound')) return undefined
          throw error
        })
      const need = async (name: SecretName, call: Call): Promise<readonly Put[]> => {
        const valid = await chain(name, call)
        if (valid.length === 0) throw notFound()
        return valid
      }
      const claims = (name: SecretName, call: Call): Promise<readonly Put[]> => line(call, () => service.listVersions(pendingName(name)))
      const standing = (puts: readonly Put[], on: Put | undefined): Put | undefined => {
        const discarded = new Set(puts.filter(isGone).map(idOf))
        return puts.find((put) => on !== undefined && put.tags[mark.before] === idOf(on) && !discarded.has(idOf(put)))
      }
      /** The claim that stands: the first version that builds on the current one and whose operation was not discarded. */
      const claimOn = async (name: SecretName, current: Put, call: Call): Promise<Put | undefined> => standing(await claims(name, call), current)
      /** The claim to be seen: the one that stands, or else the last that was overtaken and not discarded, so that who overtook it can end it. */
      const shownClaim = async (name: SecretName, valid: readonly Put[], call: Call): Promise<Put | undefined> => {
        const puts = await claims(name, call)
        const open = valid.toReversed().map((each) => standing(puts, each))
        return open.find((claim) => claim !== undefined && !valid.some((each) => idOf(each) === idOf(claim)))
      }
      const versionsOf = (valid: readonly Put[], claim: Put | undefined): Version[] => [
        ...valid.map((put, index) => versionOf(put, index === valid.length - 1 ? ['current'] : index === valid.length - 2 && !isGone(put) ? ['previous'] : [])),
        ...(claim === undefined ? [] : [versionOf(claim, ['pending'])]),
      ]
      const factsOf = (name: SecretName, tags: Readonly<Record<string, string>>): SecretFacts => ({
        name,
        nativeName: native(name),
        labels: labelsOf(tags),
        ...(tags[mark.description] === undefined ? {} : { description: tags[mark.description] }),
        ...(tags[mark.expires] === undefined ? {} : { expires: new Date(Number(tags[mark.expires])) }),
      })
      const put = (name: SecretName, bytes: Uint8Array, tags: Readonly<Record<string, string>>, call: Call): Promise<string> =>
        line(call, () => service.setSecret(native(name), bytes, { ...tags, [mark.name]: name.text })).catch(async (error: unknown) => {
          if (!isRefusal(error, 'ObjectIsDeletedButRecoverable')) throw error
          throw softDeleted((await deletion(name, call))?.until)
        })
      const softDeleted = (until: number | undefined): LatchkeyError => new LatchkeyError('soft_deleted', 'The name is held by a deletion that can be recovered.', until === undefined ? {} : { recoverableUntil: new Date(until) })

      const writeCurrent = async (request: WriteRequest, call: Call) => {
        const { name, expect, operation } = request
        for (let attempt = 0; attempt < 6; attempt += 1) {
          const valid = await chain(name, call)
          const last = valid.at(-1)
          const made = valid.find((each) => idOf(each) === operation)
          if (made !== undefined) return { outcome: 'same_operation' as const, version: versionOf(made, made === last ? ['current'] : []) }
          if (last === undefined) {
            const gone = await deletion(name, call)
            if (gone !== undefined && typeof expect !== 'object') throw softDeleted(gone.until)
            if (typeof expect === 'object') throw notFound()
          } else if (expect === 'absent') throw alreadyExists()
          else if (typeof expect === 'object' && idOf(last) !== expect.version) throw conflict()
          const { [mark.gone]: _gone, ...carried } = last?.tags ?? {}
          const id = await put(name, request.value.bytes(), {
            ...carried,
            ...request.labels,
            [mark.operation]: operation,
            [mark.before]: last === undefined ? '' : idOf(last),
            ...(request.description === undefined ? {} : { [mark.description]: request.description }),
            ...(request.expires === undefined ? {} : { [mark.expires]: String(request.expires.getTime()) }),
          }, call)
          const after = await chain(name, call)
          const won = after.find((each) => idOf(each) === operation)
          if (won !== undefined) return { outcome: won.id === id ? ('written' as const) : ('same_operation' as const), version: versionOf(won, won === after.at(-1) ? ['current'] : []) }
          if (expect === 'absent') throw alreadyExists()
          if (expect !== 'any') throw conflict()
        }
        throw conflict('Others keep changing this secret.')
      }

      return {
        traits: { names: slugHashCodec, settleMs: 0, versions: 'opaque', value, write: { guarantee: 'detected', softDelete: true, labels: { travel: 'always', lateOnVersion: true, pairs: 12, keyBytes: 256, valueBytes: 256, filter: false } } },
        check: async () => [{ ok: true, subject: 'reach', message: 'The service answers.' }],
        read: async (name, at, call) => {
          const valid = await need(name, call)
          const claim = at.stage === 'pending' || (at.version !== undefined && !valid.some((each) => idOf(each) === at.version)) ? await shownClaim(name, valid, call) : undefined
          const versions = versionsOf(valid, claim)
          const version = versions.find(({ id, stages }) => (at.version === undefined ? stages.includes(at.stage ?? 'current') : id === at.version))
          const held = [...valid, ...(claim === undefined ? [] : [claim])].find((each) => idOf(each) === version?.id)
          if (version === undefined || held === undefined || isGone(held)) throw notFound('version')
          const expires = held.tags[mark.expires]
          return { name, value: SecretValue.ofBytes(held.value), version, ...(expires === undefined ? {} : { expires: new Date(Number(expires)) }) }
        },
        describe: async (name, call) => {
          const valid = await chain(name, call)
          const current = valid.at(-1)
          if (current === undefined) {
            const gone = await deletion(name, call)
            if (gone === undefined) throw notFound()
            return { ...factsOf(name, gone.newest.tags), recoverableUntil: new Date(gone.until) }
          }
          const created = new Date(valid[0]?.at ?? 0)
          return { ...factsOf(name, current.tags), etag: etagOf(current), created, current: versionOf(current, ['current']), versions: versionsOf(valid, await shownClaim(name, valid, call)) }
        },
        list: async (query, call) => {
          const listed = await line(call, () => service.listSecrets())
          const names = new Map(listed.map(({ name, tags }) => [tags[mark.name] ?? '', { name, tags }] as const).filter(([text, { name }]) => text !== '' && text.startsWith(query.prefix) && native({ text, place: 'created' }) === name.toLowerCase()))
          const page = pageOf([...names.keys()], query)
          const items: SecretFacts[] = []
          for (const text of page.names) {
            const name = { text, place: 'created' as const }
            const current = (await chain(name, call)).at(-1)
            if (current === undefined) continue
            const facts = { ...factsOf(name, current.tags), current: versionOf(current, ['current']) }
            if (query.label === undefined || facts.labels[query.label[0]] === query.label[1]) items.push(facts)
          }
          return { items, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }
        },
        write: async (request, call) => {
          requireFits(request.value.byteLength, value)
          if (request.stage === 'current') return writeCurrent(request, call)
          const { name, operation } = request
          const current = (await need(name, call)).at(-1) as Put
          const standing = await claimOn(name, current, call)
          if (standing !== undefined && idOf(standing) !== operation) throw conflict('Another operation holds the claim.')
          if (standing !== undefined) return { outcome: 'same_operation', version: versionOf(standing, ['pending']) }
          const id = await line(call, () => service.setSecret(pendingName(name), request.value.bytes(), { [mark.operation]: operation, [mark.before]: request.before ?? idOf(current) }))
          const first = await claimOn(name, current, call)
          if (first === undefined || idOf(first) !== operation) throw conflict('Another operation holds the claim.')
          return { outcome: first.id === id ? 'written' : 'same_operation', version: versionOf(first, ['pending']) }
        },
        promote: async (name, { to, from }, call) => {
          const current = (await need(name, call)).at(-1) as Put
          if (idOf(current) === to) return
          const claim = idOf(current) === from ? await claimOn(name, current, call) : undefined
          if (claim === undefined || idOf(claim) !== to) throw conflict()
          const { [mark.gone]: _gone, ...carried } = current.tags
          await put(name, claim.value, { ...carried, [mark.operation]: to, [mark.before]: from }, call)
          if (!(await chain(name, call)).some((each) => idOf(each) === to)) throw conflict()
        },
        discard: async (name, version, call) => {
          const valid = await chain(name, call)
          const last = valid.at(-1)
          if (last !== undefined && idOf(last) === version) throw conflict('The version is current.')
          for (const each of valid) if (idOf(each) === version) await line(call, () => service.patchTags(native(name), each.id, { ...each.tags, [mark.gone]: '1' }))
          for (const each of await line(call, () => service.listVersions(pendingName(name)))) {
            if (idOf(each) === version && !isGone(each)) await line(call, () => service.patchTags(pendingName(name), each.id, { ...each.tags, [mark.gone]: '1' }))
          }
        },
        annotate: async (name, change, call) => {
          const current = (await need(name, call)).at(-1) as Put
          if (change.etag !== undefined && change.etag !== etagOf(current)) throw conflict('The secret was changed since.')
          const next: Record<string, string | null> = { ...current.tags, ...change.labels, ...(change.description === undefined ? {} : { [mark.description]: change.description }) }
          if (change.expires !== undefined) next[mark.expires] = change.expires === null ? null : String(change.expires.getTime())
          const tags = Object.fromEntries(Object.entries(next).filter((pair): pair is [string, string] => pair[1] !== null))
          await line(call, () => service.patchTags(native(name), current.id, tags))
        },
        remove: async (name, how, call) => {
          const current = (await need(name, call)).at(-1) as Put
          if (typeof how.expect === 'object' && idOf(current) !== how.expect.version) throw conflict()
          const until = await line(call, () => service.deleteSecret(native(name)))
          if (how.final) await line(call, () => service.purge(native(name)))
          return how.final ? {} : { recoverableUntil: new Date(until) }
        },
        recover: async (name, call) => {
          await line(call, () => service.recoverDeleted(native(name))).catch((error: unknown) => {
            throw isRefusal(error, 'SecretNotFound') ? notFound() : error
          })
        },
      }
    },
  })

export const openUpsert = (service: UpsertService, runtime: Runtime): Promise<SecretProvider> => upsert(service).open({}, runtime, { kind: 'operator' })

// Staged versions: values that never change under labels that move. The version id is the writer's token; moving a label away from its holder needs the
// holder's name, which is the one condition there is. A claim is a version under a label of its own that also got the shared label, taken from nobody.
import { LatchkeyError } from '../../shared/core/errors.ts'
import { verbatimCodec } from '../../shared/core/names.ts'
import { defineProvider, type SecretProvider, type WriteOutcome, type WriteRequest } from '../../shared/core/provider.ts'
import type { Call, Clock, Runtime } from '../../shared/core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName, type Stage, type Version } from '../../shared/core/secret.ts'
import { alreadyExists, calmHook, conflict, epochOf, heldBy, isRefusal, lineTo, notFound, pageOf, Refusal, requireFits, type Hook } from './service.ts'

interface Secret {
  readonly created: number
  readonly versions: Map<string, { readonly value: Uint8Array; readonly at: number }>
  /** Which version a label is on. */
  readonly labels: Map<string, string>
  tags: Readonly<Record<string, string>>
  description?: string | undefined
  deletedUntil?: number | undefined
}

interface Description {
  readonly created: number
  readonly versions: readonly { readonly id: string; readonly at: number; readonly labels: readonly string[] }[]
  readonly tags: Readonly<Record<string, string>>
  readonly description?: string | undefined
  readonly deletedUntil?: number | undefined
}

const currentLabel = 'AWSCURRENT'
const previousLabel = 'AWSPREVIOUS'
const nextLabel = 'latchkey-next'

/** The service: every method is one atomic call. */
export class StagedService {
  readonly clock: Clock
  hook: Hook = calmHook
  #secrets = new Map<string, Secret>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  through(hook: Hook): StagedService {
    const view = new StagedService(this.clock)
    view.hook = hook
    view.#secrets = this.#secrets
    return view
  }

  createSecret(name: string, id: string, value: Uint8Array, tags: Readonly<Record<string, string>>, description?: string): Promise<void> {
    return this.hook({ call: 'createSecret', name, changes: true }, () => {
      const held = this.#secrets.get(name)
      if (held?.deletedUntil !== undefined) throw new Refusal('scheduled for deletion')
      if (held !== undefined) throw new Refusal('ResourceExists')
      this.#secrets.set(name, { created: this.clock.now(), versions: new Map([[id, { value, at: this.clock.now() }]]), labels: new Map([[currentLabel, id]]), tags, description })
    })
  }

  getValue(name: string, at: { id?: string | undefined; label?: string | undefined }): Promise<{ id: string; value: Uint8Array }> {
    return this.hook({ call: 'getValue', name, changes: false }, () => {
      const secret = this.#live(name)
      const id = at.id ?? secret.labels.get(at.label ?? currentLabel) ?? ''
      const version = secret.versions.get(id)
      if (version === undefined) throw new Refusal('ResourceNotFound')
      return { id, value: version.value }
    })
  }

  describeSecret(name: string): Promise<Description> {
    return this.hook({ call: 'describeSecret', name, changes: false }, () => {
      const { created, versions, labels, tags, description, deletedUntil } = this.#known(name)
      return { created, tags, description, deletedUntil, versions: [...versions].map(([id, { at }]) => ({ id, at, labels: [...labels].filter(([, holder]) => holder === id).map(([label]) => label) })) }
    })
  }

  /** Labels given here move to the new version, away from whoever holds them. A token used before with another value is refused. */
  putValue(name: string, id: string, value: Uint8Array, labels: readonly string[]): Promise<void> {
    return this.hook({ call: 'putValue', name, changes: true }, () => {
      const secret = this.#live(name)
      const held = secret.versions.get(id)
      if (held !== undefined && !Buffer.from(held.value).equals(value)) throw new Refusal('ResourceExists')
      if (held !== undefined) return
      secret.versions.set(id, { value, at: this.clock.now() })
      for (const label of labels) this.#move(secret, label, id)
    })
  }

  /** Fails when the label is on a version other than `removeFrom`. */
  moveLabel(name: string, label: string, move: { to?: string; removeFrom?: string }): Promise<void> {
    return this.hook({ call: `moveLabel ${label.startsWith('put-') ? 'put' : label}`, name, changes: true }, () => {
      const secret = this.#live(name)
      const holder = secret.labels.get(label)
      if (holder !== move.removeFrom && holder !== move.to) throw new Refusal('RemoveFromVersionId')
      if (move.to === undefined) secret.labels.delete(label)
      else if (!secret.versions.has(move.to)) throw new Refusal('ResourceNotFound')
      else this.#move(secret, label, move.to)
    })
  }

  tag(name: string, tags: Readonly<Record<string, string>>): Promise<void> {
    return this.hook({ call: 'tag', name, changes: true }, () => void (this.#live(name).tags = { ...this.#live(name).tags, ...tags }))
  }

  untag(name: string, keys: readonly string[]): Promise<void> {
    return this.hook({ call: 'untag', name, changes: true }, () => {
      this.#live(name).tags = Object.fromEntries(Object.entries(this.#live(name).tags).filter(([key]) => !keys.includes(key)))
    })
  }

  updateDescription(name: string, description: string): Promise<void> {
    return this.hook({ call: 'updateDescription', name, changes: true }, () => void (this.#live(name).description = description))
  }

  deleteSecret(name: string, how: { force: boolean }): Promise<number> {
    return this.hook({ call: 'deleteSecret', name, changes: true }, () => {
      const secret = this.#known(name)
      if (how.force) this.#secrets.delete(name)
      return (secret.deletedUntil = this.clock.now() + 7 * 86_400_000)
    })
  }

  restoreSecret(name: string): Promise<void> {
    return this.hook({ call: 'restoreSecret', name, changes: true }, () => void (this.#known(name).deletedUntil = undefined))
  }

  listSecrets(): Promise<readonly { name: string; tags: Readonly<Record<string, string>> }[]> {
    return this.hook({ call: 'listSecrets', name: '', changes: false }, () =>
      [...this.#secrets].filter(([, { deletedUntil }]) => deletedUntil === undefined).map(([name, { tags }]) => ({ name, tags })))
  }

  /** All that it holds, or what one name holds, as text: the same text, the same state. */
  content(only?: string): string {
    return JSON.stringify(heldBy(this.#secrets, only).map(([name, { versions, labels, ...rest }]) => [name, rest, [...labels], [...versions].map(([id, { value, at }]) => [id, at, Buffer.from(value).toString('latin1')])]))
  }

  #move(secret: Secret, label: string, id: string): void {
    const holder = secret.labels.get(label)
    if (label === currentLabel && holder !== undefined && holder !== id) secret.labels.set(previousLabel, holder)
    secret.labels.set(label, id)
  }

  #known(name: string): Secret {
    const secret = this.#secrets.get(name)
    if (secret === undefined) throw new Refusal('ResourceNotFound')
    return secret
  }

  #live(name: string): Secret {
    const secret = this.#known(name)
    if (secret.deletedUntil !== undefined) throw new Refusal('scheduled for deletion')
    return secret
  }
}

const ownLabel = (operation: string): string => `put-${operation}`

const stagesOf = (labels: readonly string[]): readonly Stage[] =>
  labels.includes(currentLabel) ? ['current'] : [...(labels.includes(previousLabel) ? (['previous'] as const) : []), ...(labels.includes(nextLabel) ? (['pending'] as const) : [])]

const versionOf = (id: string, stages: readonly Stage[], at: number): Version => {
  const epoch = epochOf(id)
  return { id, stages, enabled: true, created: new Date(at), operation: id, ...(epoch === undefined ? {} : { epoch }) }
}

/** The provider over one such service. */
export const staged = (service: StagedService) =>
  defineProvider({
    name: 'staged',
    title: 'Memory, staged versions',
    settings: {},
    open: (_settings, io) => {
      const line = lineTo(io.clock)
      const value = { maxBytes: 65_536, empty: false, bytes: 'any' } as const
      const answered = <T>(call: Call, send: () => Promise<T>): Promise<T> =>
        line(call, send).catch((error: unknown) => {
          if (isRefusal(error, 'ResourceNotFound', 'scheduled for deletion')) throw notFound()
          throw isRefusal(error, 'RemoveFromVersionId') ? conflict() : error
        })
      const describe = (name: SecretName, call: Call): Promise<Description> => answered(call, () => service.describeSecret(name.text))
      const holderOf = (facts: Description, label: string): string | undefined => facts.versions.find(({ labels }) => labels.includes(label))?.id

      const factsOf = (name: SecretName, facts: Description): SecretFacts => {
        const live = facts.deletedUntil === undefined
        const versions = facts.versions.map(({ id, at, labels }) => versionOf(id, stagesOf(labels), at))
        const current = live ? versions.find(({ stages }) => stages.includes('current')) : undefined
        return {
          name,
          nativeName: name.text,
          ...(current === undefined ? {} : { current }),
          versions,
          labels: facts.tags,
          created: new Date(facts.created),
          ...(facts.description === undefined ? {} : { description: facts.description }),
          ...(facts.deletedUntil === undefined ? {} : { recoverableUntil: new Date(facts.deletedUntil) }),
        }
      }
      const outcomeOf = (facts: Description, id: string, outcome: WriteOutcome['outcome']): WriteOutcome => {
        const version = facts.versions.find((each) => each.id === id)
        return { outcome, version: versionOf(id, stagesOf(version?.labels ?? []), version?.at ?? 0) }
      }
      /** Puts a value under a label of its own; a version of this operation that is there already stays, whatever its value. `true`: it is ours. */
      const put = async (name: SecretName, id: string, bytes: Uint8Array, call: Call): Promise<boolean> => {
        try {
          await line(call, () => service.putValue(name.text, id, bytes, [ownLabel(id)]))
          return true
        } catch (error) {
          if (isRefusal(error, 'ResourceExists')) return false
          if (isRefusal(error, 'ResourceNotFound', 'scheduled for deletion')) throw notFound()
          throw error
        }
      }
      /** Takes a label off, if it is still there. */
      const takeOff = async (name: SecretName, label: string, id: string, call: Call): Promise<void> => {
        await answered(call, () => service.moveLabel(name.text, label, { removeFrom: id })).catch((error: unknown) => {
          if (!(error instanceof LatchkeyError) || error.code !== 'conflict') throw error
        })
      }
      const annotate: NonNullable<SecretProvider['annotate']> = async (name, { labels = {}, description }, call) => {
        const set = Object.entries(labels).filter((pair): pair is [string, string] => pair[1] !== null)
        const off = Object.keys(labels).filter((key) => labels[key] === null)
        if (set.length > 0) await answered(call, () => service.tag(name.text, Object.fromEntries(set)))
        if (off.length > 0) await answered(call, () => service.untag(name.text, off))
        if (description !== undefined) await answered(call, () => service.updateDescription(name.text, description))
        if (set.length === 0 && off.length === 0 && description === undefined) await describe(name, call)
      }

      const create = async ({ name, operation, labels = {}, description, ...write }: WriteRequest, call: Call): Promise<WriteOutcome> => {
        try {
          await line(call, () => service.createSecret(name.text, operation, write.value.bytes(), labels, description))
          return { outcome: 'written', version: versionOf(operation, ['current'], service.clock.now()) }
        } catch (error) {
          if (!isRefusal(error, 'ResourceExists', 'scheduled for deletion')) throw error
          const facts = await describe(name, call)
          if (facts.deletedUntil !== undefined) throw new LatchkeyError('soft_deleted', 'The secret is scheduled for deletion.', { recoverableUntil: new Date(facts.deletedUntil) })
          if (facts.versions.some(({ id }) => id === operation)) return outcomeOf(facts, operation, 'same_operation')
          throw alreadyExists()
        }
      }

      const replace = async (write: WriteRequest, call: Call): Promise<WriteOutcome> => {
        const { name, operation, expect } = write
        for (let attempt = 0; attempt < 6; attempt += 1) {
          const facts = await describe(name, call).catch((error: unknown) => {
            if (error instanceof LatchkeyError && error.code === 'not_found' && expect === 'any') return undefined
            throw error
          })
          if (facts === undefined) return create(write, call)
          if (facts.deletedUntil !== undefined) {
            if (expect !== 'any') throw notFound()
            throw new LatchkeyError('soft_deleted', 'The secret is scheduled for deletion.', { recoverableUntil: new Date(facts.deletedUntil) })
          }
          const known = facts.versions.find(({ id }) => id === operation)
          if (known !== undefined && (known.labels.includes(currentLabel) || !known.labels.includes(ownLabel(operation)))) return outcomeOf(facts, operation, 'same_operation')
          const from = typeof expect === 'object' ? expect.version : holderOf(facts, currentLabel)
          if (from !== holderOf(facts, currentLabel)) throw conflict()
          const ours = await put(name, operation, write.value.bytes(), call)
          try {
            await answered(call, () => service.moveLabel(name.text, currentLabel, { to: operation, ...(from === undefined ? {} : { removeFrom: from }) }))
          } catch (error) {
            if (!(error instanceof LatchkeyError) || error.code !== 'conflict') throw error
            if (expect === 'any') continue
            await takeOff(name, ownLabel(operation), operation, call)
            throw error
          }
          await takeOff(name, ownLabel(operation), operation, call)
          if (write.labels !== undefined || write.description !== undefined) await annotate(name, { labels: write.labels ?? {}, ...(write.description === undefined ? {} : { description: write.description }) }, call)
          return { outcome: ours ? 'written' : 'same_operation', version: versionOf(operation, ['current'], service.clock.now()) }
        }
        throw conflict('Others keep changing this secret.')
      }

      const claim = async ({ name, operation, ...write }: WriteRequest, call: Call): Promise<WriteOutcome> => {
        const facts = await describe(name, call)
        if (facts.deletedUntil !== undefined) throw notFound()
        const holder = holderOf(facts, nextLabel)
        if (holder === operation) return outcomeOf(facts, operation, 'same_operation')
        if (typeof write.expect === 'object' && holderOf(facts, currentLabel) !== write.expect.version) throw conflict()
        if (holder !== undefined && holder === holderOf(facts, currentLabel)) await takeOff(name, nextLabel, holder, call)
        else if (holder !== undefined) throw conflict('Another operation holds the claim.')
        const ours = await put(name, operation, write.value.bytes(), call)
        try {
          await answered(call, () => service.moveLabel(name.text, nextLabel, { to: operation }))
        } catch (error) {
          if (error instanceof LatchkeyError && error.code === 'conflict') await takeOff(name, ownLabel(operation), operation, call)
          throw error
        }
        return { outcome: ours ? 'written' : 'same_operation', version: versionOf(operation, ['pending'], service.clock.now()) }
      }

      return {
        traits: { names: verbatimCodec(), settleMs: 0, versions: 'opaque', value, write: { guarantee: 'atomic', softDelete: true, labels: { travel: 'on_create', pairs: 50, keyBytes: 127, valueBytes: 255, filter: true } } },
        check: async () => [{ ok: true, subject: 'reach', message: 'The service answers.' }],
        read: async (name, at, call) => {
          const label = at.stage === 'pending' ? nextLabel : at.stage === 'previous' ? previousLabel : currentLabel
          const held = await answered(call, () => service.getValue(name.text, at.version === undefined ? { label } : { id: at.version }))
          return { name, value: SecretValue.ofBytes(held.value), version: versionOf(held.id, at.version === undefined ? [at.stage ?? 'current'] : [], service.clock.now()) }
        },
        describe: async (name, call) => factsOf(name, await describe(name, call)),
        list: async (query, call) => {
          const listed = await line(call, () => service.listSecrets())
          const matching = listed.filter(({ name, tags }) => name.startsWith(query.prefix) && (query.label === undefined || tags[query.label[0]] === query.label[1]))
          const page = pageOf(matching.map(({ name }) => name), query)
          const items: SecretFacts[] = []
          for (const text of page.names) {
            const name = { text, place: 'created' as const }
            const { versions: _versions, ...facts } = factsOf(name, await describe(name, call))
            items.push(facts)
          }
          return { items, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }
        },
        write: async (write, call) => {
          requireFits(write.value.byteLength, value)
          return write.stage === 'pending' ? claim(write, call) : write.expect === 'absent' ? create(write, call) : replace(write, call)
        },
        promote: async (name, { to, from }, call) => {
          try {
            await answered(call, () => service.moveLabel(name.text, currentLabel, { to, removeFrom: from }))
          } catch (error) {
            if (!(error instanceof LatchkeyError) || error.code !== 'not_found') throw error
            throw (await describe(name, call)).deletedUntil === undefined ? conflict() : error
          }
          await takeOff(name, nextLabel, to, call)
          await takeOff(name, ownLabel(to), to, call)
        },
        annotate,
        discard: async (name, version, call) => {
          const facts = await describe(name, call)
          const labels = facts.versions.find(({ id }) => id === version)?.labels ?? []
          if (labels.includes(currentLabel)) throw conflict('The version is current.')
          for (const label of labels) await takeOff(name, label, version, call)
        },
        remove: async (name, how, call) => {
          const facts = await describe(name, call)
          if (facts.deletedUntil !== undefined) throw notFound()
          if (typeof how.expect === 'object' && holderOf(facts, currentLabel) !== how.expect.version) throw conflict()
          const until = await answered(call, () => service.deleteSecret(name.text, { force: how.final }))
          return how.final ? {} : { recoverableUntil: new Date(until) }
        },
        recover: (name, call) => answered(call, () => service.restoreSecret(name.text)),
      }
    },
  })

export const openStaged = (service: StagedService, runtime: Runtime): Promise<SecretProvider> => staged(service).open({}, runtime, { kind: 'operator' })

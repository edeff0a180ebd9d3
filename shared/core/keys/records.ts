// What the key lifecycle sees of a store: keys under their names, changed one provider call at a time. It knows no service: what differs stands in the
// provider. How a key is found by id or hash: `finding.ts`.
import { asLatchkeyError, isCode, LatchkeyError } from '../errors.ts'
import { keyLabels, readKeyRecord, standingOf, type KeyRecord } from './record.ts'
import { decodeSegment, encodeSegment, internalName, isInternal, joinPrefix } from '../names.ts'
import { createdName } from '../names/created.ts'
import { changeLabel, derivedId, seenLabel, stampLabel } from './operation.ts'
import type { AccessPolicy } from '../policy.ts'
import type { ListQuery, Page, SecretProvider } from '../provider.ts'
import type { Call, Clock } from '../runtime.ts'
import { SecretValue, type SecretName } from '../secret.ts'

/** What the records need of a store. */
export interface KeyStore {
  readonly name: string
  readonly provider: SecretProvider
  readonly policy: AccessPolicy
  invalidate(name: SecretName): void
}

const refused = (path: string, message: string): LatchkeyError => new LatchkeyError('invalid_request', `${path}: ${message}`, { issues: [{ path, message }], param: path })

type Method = 'describe' | 'list' | 'write' | 'promote' | 'annotate' | 'discard' | 'recover' | 'remove'
type Arguments<M extends Method> = Parameters<NonNullable<SecretProvider[M]>>
type Result<M extends Method> = Awaited<ReturnType<NonNullable<SecretProvider[M]>>>

const needed = ['describe', 'list', 'write', 'promote', 'annotate', 'discard'] as const

/** Whether a failure leaves open if the call took effect: then the facts are read again and decide. */
export const isUnanswered = (error: unknown): boolean => isCode(error, 'provider_unavailable', 'deadline_exceeded', 'provider_throttled', 'internal')

const maxRecent = 1_000

/** The keys of one store. */
export class KeyRecords {
  readonly store: KeyStore
  readonly #recent = new Map<string, readonly SecretName[]>()
  readonly #clock: Clock
  readonly #template: string

  /** `template`: `{prefix}{alias}`, or `{prefix}{team}/{alias}` where aliases are unique per team. */
  constructor(store: KeyStore, clock: Clock, template = '{prefix}{alias}') {
    if (template !== '{prefix}{alias}' && template !== '{prefix}{team}/{alias}') throw new LatchkeyError('misconfigured', 'latchkey.key_name must be "{prefix}{alias}" or "{prefix}{team}/{alias}".')
    this.store = store
    this.#clock = clock
    this.#template = template
  }

  /** @throws forbidden when keys are not stored here, unsupported when the provider cannot hold them */
  requireStorage(): void {
    const { name, provider, policy } = this.store
    if (!policy.storeVirtualKeys) throw new LatchkeyError('forbidden', `Virtual keys are not stored in "${name}": store_virtual_keys is false. A key that nobody holds is not made; set key_management_settings.store_virtual_keys to true.`, { applied: 'no' })
    const missing = needed.filter((method) => provider[method] === undefined)
    if (provider.traits.write === undefined || provider.traits.write.labels === 'none') missing.push('annotate')
    if (missing.length > 0) throw new LatchkeyError('unsupported', `Virtual keys cannot be kept in "${name}": its provider cannot ${[...new Set(missing)].join(', ')}.`, { applied: 'no' })
  }

  get room(): { pairs: number; keyBytes: number; valueBytes: number; filter: boolean; lateOnVersion?: boolean } {
    const labels = this.store.provider.traits.write?.labels
    return labels === undefined || labels === 'none' ? { pairs: 0, keyBytes: 0, valueBytes: 0, filter: false } : labels
  }

  /** How many stamps a key keeps. */
  get slots(): number {
    return this.room.pairs >= 24 ? 4 : 1
  }

  /** The name of a key's secret. @throws invalid_request */
  nameOf(key: { alias?: string; teamId?: string; keyId: string }): SecretName {
    const { prefix } = this.store.policy
    if (key.alias === undefined) return createdName(joinPrefix(prefix, `virtual-key-${key.keyId}`))
    if (!/[A-Za-z0-9]/.test(key.alias)) throw refused('key_alias', 'must hold a letter or a digit')
    return createdName(joinPrefix(prefix, this.#teamSegment(key.teamId) + key.alias), 'key_alias')
  }

  #teamSegment(teamId: string | undefined): string {
    if (!this.#template.includes('{team}')) return ''
    if (teamId === undefined) throw refused('team_id', 'is required, because latchkey.key_name has {team} in it')
    return `${encodeSegment(teamId, 'team_id')}/`
  }

  teamOf(record: KeyRecord): string | undefined {
    const segment = record.facts.labels[keyLabels.team]
    return segment === undefined ? undefined : decodeSegment(segment)
  }

  aliasOf(record: KeyRecord): string | undefined {
    const prefix = joinPrefix(this.store.policy.prefix, '')
    const rest = record.name.text.slice(prefix.length)
    if (record.keyId !== undefined && rest === `virtual-key-${record.keyId}`) return undefined
    return this.#template.includes('{team}') ? rest.slice(rest.indexOf('/') + 1) : rest
  }

  /** The labels of LiteLLM's other fields, cut to the room there is. @throws too_large naming the limit */
  dataLabels(data: Readonly<Record<string, unknown>> | undefined, others: Readonly<Record<string, string>>): Record<string, string> {
    const { pairs, valueBytes } = this.room
    const text = data === undefined || Object.keys(data).length === 0 ? '' : Buffer.from(JSON.stringify(data)).toString('base64url')
    const free = Math.max(0, pairs - this.#needed(Object.keys(others)))
    if (text.length > free * valueBytes) throw new LatchkeyError('too_large', `The key's other fields take ${text.length} characters as labels; the store "${this.store.name}" has room for ${free * valueBytes} (${free} pairs of ${valueBytes}).`, { param: 'metadata', applied: 'no' })
    return Object.fromEntries(Array.from({ length: Math.ceil(text.length / valueBytes) }, (_, index) => [`${keyLabels.data}${index + 1}`, text.slice(index * valueBytes, (index + 1) * valueBytes)]))
  }

  /** How many labels a key may come to have: those it has, and those that later changes of it bring. What only a team or a supplied token brings counts for who has them. */
  #needed(has: readonly string[]): number {
    const later = [keyLabels.managedBy, keyLabels.keyId, keyLabels.state, keyLabels.epoch, keyLabels.notAfter, keyLabels.blocked, seenLabel, changeLabel(this.slots), ...[0, 1, 2, 3].map((epoch) => stampLabel(epoch, this.slots))]
    const supplied = has.includes(keyLabels.token) ? [keyLabels.previousToken] : []
    return new Set([...has, ...later, ...supplied]).size
  }

  /** A supplied token is found by labels; there must be room for them before anything is done. @throws too_large */
  requireRoomForToken({ facts }: KeyRecord): void {
    const needed = this.#needed([...Object.keys(facts.labels), keyLabels.token])
    if (needed <= this.room.pairs) return
    throw new LatchkeyError('too_large', `A token of your own takes two labels; with its tags and other fields this key would have ${needed}, and the store "${this.store.name}" holds ${this.room.pairs}. Leave the token out, so that one is made.`, { param: 'key', applied: 'no' })
  }

  /** One provider call: never sent after the deadline, and whatever it changed is forgotten by the cache. */
  async send<M extends Method>(method: M, name: SecretName | undefined, call: Call, ...given: Arguments<M> extends [...infer Rest, Call] ? Rest : never): Promise<Result<M>> {
    if (call.signal.aborted || this.#clock.now() >= call.deadline) throw new LatchkeyError('deadline_exceeded', 'The time for this request ran out before the next call to the secret manager; nothing more was sent.')
    const { provider } = this.store
    const send = provider[method] as ((...all: unknown[]) => Promise<Result<M>>) | undefined
    if (send === undefined) throw new LatchkeyError('unsupported', `The provider of "${this.store.name}" cannot ${method}.`)
    try {
      return await send.call(provider, ...given, call)
    } catch (error) {
      if (call.signal.aborted && !(error instanceof LatchkeyError)) throw new LatchkeyError('deadline_exceeded', 'The time for this request ran out while the secret manager was working.')
      throw asLatchkeyError(error)
    } finally {
      if (name !== undefined && method !== 'describe' && method !== 'list') this.store.invalidate(name)
    }
  }

  /** The value of one version, or of the current one. Callers have checked that values may be read. */
  async read(name: SecretName, version: string | undefined, call: Call): Promise<SecretValue> {
    if (call.signal.aborted || this.#clock.now() >= call.deadline) throw new LatchkeyError('deadline_exceeded', 'The time for this request ran out before the value was read.')
    try {
      return (await this.store.provider.read(name, version === undefined ? {} : { version }, call)).value
    } catch (error) {
      throw asLatchkeyError(error)
    }
  }

  /** The record under a name; nothing when it is confirmed absent. */
  async describe(name: SecretName, call: Call): Promise<KeyRecord | undefined> {
    const facts = await this.send('describe', name, call, name).catch((error: unknown) => {
      if (!isCode(error, 'not_found')) throw error
    })
    return facts === undefined ? undefined : readKeyRecord(name, facts)
  }

  /** Whether an operation's version became current although the service refused something for want of room: some keep their labels apart from it. Another may have followed already. */
  async landed(name: SecretName, operation: { readonly id: string }, call: Call): Promise<boolean> {
    const record = await this.describe(name, call)
    return record !== undefined && ['current', 'past'].includes(standingOf(record, operation.id))
  }

  /** Where this process last put the key of that id or hash: a hint for stores whose lists lag behind their writes. */
  recent(id: string): readonly SecretName[] {
    return this.#recent.get(id) ?? []
  }

  /** Makes a key findable by `id` where the store cannot filter a list. Its content follows from id and names alone, so it is written by anybody, any number of times. */
  async writeIndex(id: string, names: readonly [SecretName, ...SecretName[]], call: Call): Promise<void> {
    this.#recent.delete(id)
    this.#recent.set(id, names)
    if (this.#recent.size > maxRecent) this.#recent.delete(this.#recent.keys().next().value ?? id)
    if (this.room.filter) return
    const text = names.map((name) => name.text).join('\n')
    const index = internalName(this.store.policy.prefix, 'index', id)
    const operation = `index-${derivedId(`${id} ${text}`)}`
    await this.send('write', index, call, { name: index, value: SecretValue.of(text), expect: 'any', operation, stage: 'current', labels: { [keyLabels.managedBy]: 'latchkey' } })
  }

  /** One page of all secrets below the prefix, read as keys; Latchkey's own records are not among them. */
  async page({ limit, cursor, label }: Omit<ListQuery, 'prefix'>, call: Call): Promise<Page<KeyRecord>> {
    const query = { prefix: joinPrefix(this.store.policy.prefix, ''), limit, ...(label === undefined ? {} : { label }), ...(cursor === undefined ? {} : { cursor }) }
    const page = await this.send('list', undefined, call, query)
    return { ...page, items: page.items.filter(({ name }) => !isInternal(name.text)).map((facts) => readKeyRecord(facts.name, facts)) }
  }

  /** One page of keys, without deleted ones. */
  async list(query: { readonly teamId?: string; readonly cursor?: string; readonly limit: number }, call: Call): Promise<Page<KeyRecord>> {
    const team = query.teamId === undefined ? undefined : encodeSegment(query.teamId, 'team_id')
    const label = team === undefined ? ([keyLabels.managedBy, 'latchkey'] as const) : ([keyLabels.team, team] as const)
    const page = await this.page({ ...query, ...(this.room.filter ? { label } : {}) }, call)
    return { ...page, items: page.items.filter((record) => record.ours && record.complete && !record.revoked && (team === undefined || record.facts.labels[keyLabels.team] === team)) }
  }
}

// Who knows the truth: looks at the service after every change and holds it against the invariants. It never asks the engine that is examined what it
// believes, only what the store holds and which tokens are accepted.
import { isCode } from '../../../shared/core/errors.ts'
import { KeyLifecycle } from '../../../shared/core/key-lifecycle.ts'
import { arrivalId, parseOperation, type Verb, type WonEpoch } from '../../../shared/core/keys/operation-text.ts'
import { bornAs, keyLabels } from '../../../shared/core/keys/record.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { SecretValue, type SecretFacts, type SecretName, type Version } from '../../../shared/core/secret.ts'
import { SeededRandom, type ManualClock } from '../../support/runtime.ts'
import type { Grounds, Remembered } from './remembered.ts'

/** The invariants of the reliability page that are judged, two of the engine's own rules, and who reads the service without Latchkey. */
export const invariants = ['I1 key lost', 'I2 orphan', 'I3 key duplicated', 'I4 epoch', 'I6 key resurrected', 'I11 grace', 'I12 outcome', 'I13 liveness', 'blocked', 'claim'] as const
export type Invariant = (typeof invariants)[number]

export class Violation extends Error {
  readonly invariant: Invariant

  constructor(invariant: Invariant, message: string) {
    super(`${invariant}: ${message}`)
    this.invariant = invariant
  }
}

export interface Held {
  readonly id: string
  readonly operation?: WonEpoch
  /** The value as text: comparing in constant time is slow, and nobody listens here. */
  readonly value: string
  readonly keyId: string
  readonly revoked: boolean
  readonly complete: boolean
  readonly blocked: boolean
  /** When the key ends by itself. */
  readonly ends: number | undefined
  /** What an update left in the key's other fields. */
  readonly data: string
  readonly step: number
  readonly at: number
}

/** What one look says by itself. */
interface Said extends Omit<Held, 'step' | 'at' | 'complete'> {
  readonly seen: string
  /** Labels and value belong to one key of ours. */
  readonly marked: boolean
}

const saidOf = (facts: SecretFacts, current: Version, value: SecretValue): Said => {
  const operation = parseOperation(current.operation)
  const label = facts.labels['latchkey-key-id'] ?? ''
  const keyId = bornAs(operation) ?? label
  const ends = Date.parse(facts.labels['latchkey-not-after'] ?? '')
  const kept = facts.versions?.filter(({ stages }) => !stages.includes('pending')).map(({ id, stages, enabled }) => [id, stages, enabled])
  const data = Buffer.from(facts.labels['latchkey-data-1'] ?? '', 'base64url').toString()
  const seen = JSON.stringify([current.id, facts.labels, kept])
  const blocked = keyId !== '' && facts.labels[keyLabels.blocked] === keyId
  return { id: current.id, value: value.isText ? value.reveal() : '', keyId, seen, blocked, data, ends: Number.isNaN(ends) ? undefined : ends, ...(operation === undefined ? {} : { operation }), revoked: operation?.verb === 'delete', marked: label === keyId && facts.labels['managed-by'] === 'latchkey' }
}

/** What the facts and the value of a secret say, for as long as the same are answered. */
const saids = new WeakMap<SecretFacts, { readonly value: SecretValue; readonly said: Said }>()

/** What a rotation promised about the token before its own. */
interface Promised {
  readonly graceMs: number
  until?: number
}

/** The id that stands for a secret that the service has deleted. */
const gone = 'gone'

/** What became current under one name, and what may be said about it. */
export class Name {
  readonly history: Held[] = []
  /** Values by the operation that stored them. */
  readonly stored = new Map<string, string>()
  /** What the last look saw, to know whether anything changed. */
  seen = ''
  /** Somebody else deleted the secret in the service, or wrote a value: what was promised holds again once it is repaired. */
  outsider: 'soft delete' | 'foreign write' | undefined
  /** Somebody else ever did. */
  tainted = false
  /** The marks that updates left in the key's fields, and when it was blocked and unblocked. */
  readonly marks = new Set<string>()
  readonly blocks: { readonly keyId: string; readonly blocked: boolean; readonly step: number }[] = []
  /** The operations whose token was accepted. A creation without its labels is no key, and may draw another token. */
  readonly accepted = new Set<string>()
  readonly deleted = new Set<string>()
  get now(): Held | undefined {
    return this.history.at(-1)
  }

  /** The key that is to be accepted now, if any. */
  live(time: number): Held | undefined {
    const { now, outsider } = this
    return now !== undefined && outsider === undefined && now.complete && !now.revoked && !now.blocked && (now.ends === undefined || now.ends > time) ? now : undefined
  }

  /** All of that as plain data; steps of the world go through `order`, because only their order counts. */
  facts(order: (step?: number) => void): unknown {
    const { history, stored, seen, outsider, tainted, marks, blocks, accepted, deleted } = this
    for (const { step } of [...history, ...blocks]) order(step)
    return [history.map((held) => ({ ...held, step: 0 })), [...stored], seen, outsider, tainted, [...marks], blocks.map(({ keyId, blocked }) => [keyId, blocked]), [...accepted], [...deleted]]
  }
}

/** Whether a key has room for one stamp there: it forgets a running grace at the next rotation, and its list of operations says that one took effect and not on which key. */
export const oneStamp = ({ traits }: Pick<SecretProvider, 'traits'>): boolean => {
  const labels = traits.write?.labels
  return labels !== undefined && labels !== 'none' && labels.pairs < 24
}

export class Oracle {
  readonly #provider: SecretProvider
  readonly #clock: ManualClock
  readonly #lifecycle: KeyLifecycle
  readonly #names = new Map<string, Name>()
  readonly #call
  readonly promised = new Map<string, Promised>()
  /** All sendings: a key may only be changed by one that began after the key came to be. */
  readonly sendings: { readonly id: string; readonly verb: Verb; readonly firstStep: () => number | undefined }[] = []
  /** For examining the examination: what a planted bug breaks beside what it is looked for. */
  ignored: ReadonlySet<Invariant> = new Set()
  /** Whether a running grace may end early: stores with one stamp forget it at the next rotation without grace. */
  readonly #oneGrace: boolean
  readonly #remembered: Remembered
  /** What `verify` said of tokens, and from which answers of the store: time can only end what is accepted. */
  readonly #verified = new Map<string, { readonly valid: boolean; readonly until: number; readonly grounds: Grounds }>()
  step = 0
  /** Keys whose deletion was answered: from then on none of their tokens is accepted. */
  readonly ended = new Set<string>()
  /** By how much any clock was wrong. */
  skewMs = 0

  /** `opened`: the provider over the service, through the hook of `remembered`. */
  constructor(opened: SecretProvider, clock: ManualClock, remembered: Remembered) {
    const provider = remembered.through(opened)
    this.#provider = provider
    this.#clock = clock
    this.#remembered = remembered
    this.#call = { signal: new AbortController().signal, deadline: Infinity }
    this.#oneGrace = oneStamp(provider)
    const store = { name: 'oracle', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' as const }, invalidate: () => undefined }
    this.#lifecycle = new KeyLifecycle(store, { clock, random: new SeededRandom('oracle') })
  }

  at(name: SecretName): Name {
    const known = this.#names.get(name.text) ?? new Name()
    this.#names.set(name.text, known)
    return known
  }

  #refuse(invariant: Invariant, message: string): void {
    if (!this.ignored.has(invariant)) throw new Violation(invariant, message)
  }

  /** All that its verdicts come from beside the store, as plain data; what is remembered of answers only saves asking again, and step and skew are told at every look. */
  facts(order: (step?: number) => void): unknown {
    for (const { firstStep } of this.sendings) order(firstStep())
    return [[...this.#names].map(([text, name]) => [text, name.facts(order)]), [...this.promised], this.sendings.map(({ id, verb }) => [id, verb]), [...this.ended]]
  }

  names(): IterableIterator<Name> {
    return this.#names.values()
  }

  /** Whether the store holds something else than at the last look; `touched`: the objects that were changed since. */
  refresh(touched: Iterable<string>): boolean {
    return this.#remembered.differs(touched)
  }

  /** What the store holds, as one number. */
  get hash(): number {
    return this.#remembered.hash
  }

  async accepts(token: string): Promise<boolean> {
    const known = this.#verified.get(token)
    if (known !== undefined && this.#clock.now() < known.until && (await this.#remembered.holds(known.grounds))) return known.valid
    const { concluded, grounds } = await this.#remembered.concluding(() => this.#lifecycle.verify(SecretValue.of(token), this.#call))
    const { valid, notAfter } = concluded
    this.#verified.set(token, { valid, until: valid ? (notAfter?.getTime() ?? Infinity) : Infinity, grounds })
    return valid
  }

  /** Whether an operation was ever current. */
  applied(id: string): boolean {
    return [...this.#names.values()].some(({ stored }) => stored.has(id))
  }

  /** The key that an operation changed. */
  keyOf(id: string): string | undefined {
    return [...this.#names.values()].flatMap(({ history }) => history).find((held) => held.operation?.id === id && held.id !== gone)?.keyId
  }

  /** Whether a creation was ended by its own tombstone. */
  wasTakenBack(id: string): boolean {
    return [...this.#names.values()].some(({ history }) => history.some(({ operation }, index) => operation?.id === id && operation.verb === 'create' && history[index + 1]?.operation?.verb === 'delete'))
  }

  tokenOf(id: string): string | undefined {
    return [...this.#names.values()].map(({ stored }) => stored.get(id)).find((value) => value !== undefined)
  }

  async #look(name: SecretName): Promise<(Held & Said) | undefined> {
    try {
      const facts = await this.#provider.describe?.(name, this.#call)
      if (facts?.current === undefined) return undefined
      const { value } = await this.#provider.read(name, { version: facts.current.id }, this.#call)
      const known = saids.get(facts)
      const said = known?.value === value ? known.said : saidOf(facts, facts.current, value)
      saids.set(facts, { value, said })
      const { operation, keyId, marked } = said
      // A key that is on its way to this name lives under its old one until that ends.
      const arriving = operation?.verb === 'rename' && !this.#left(keyId, operation.id)
      return { ...said, step: this.step, at: this.#clock.now(), complete: marked && !arriving }
    } catch (error) {
      if (isCode(error, 'not_found')) return undefined
      throw error
    }
  }

  /** Looks at one name and judges what changed. */
  async judge(name: SecretName): Promise<void> {
    const known = this.at(name)
    const before = known.now
    const now = await this.#look(name)
    for (const [mark] of now?.data.matchAll(/wish-\d+/g) ?? []) known.marks.add(mark)
    if (now !== undefined && (known.blocks.at(-1)?.blocked !== now.blocked || known.blocks.at(-1)?.keyId !== now.keyId)) known.blocks.push({ keyId: now.keyId, blocked: now.blocked, step: this.step })
    if (known.outsider !== undefined) {
      if (now === undefined || (known.outsider === 'foreign write' && now.operation === undefined)) return
      known.outsider = undefined
    }
    if (now === undefined) {
      if (before === undefined || before.id === gone) return
      const ended = this.sendings.filter(({ id, verb, firstStep }) => verb === 'delete' && firstStep() !== Infinity && this.#beganOn(known, before.keyId, id))
      if (ended.length === 0 && !before.revoked) this.#refuse('I1 key lost', `${name.text} is gone, and nobody who began after key ${before.keyId} came to be has deleted it`)
      for (const { id } of ended) known.stored.set(id, '')
      known.history.push({ ...before, id: gone, revoked: true, value: '', step: this.step, at: this.#clock.now() })
      known.seen = ''
      return this.judgeFormer(name)
    }
    const id = now.operation?.id ?? now.id
    if (now.operation?.verb !== 'delete') {
      const first = known.stored.get(id)
      if (first !== undefined && first !== now.value && known.accepted.has(id)) this.#refuse('I3 key duplicated', `operation ${id.slice(0, 8)} stored two tokens under ${name.text}`)
    }
    known.stored.set(id, now.value)
    if (now.complete) known.accepted.add(id)
    if (before?.id !== now.id || before.complete !== now.complete) this.#judgeMove(name, known, before, now)
    if (before !== undefined && before.id !== now.id && now.revoked && this.sendings.some((sending) => sending.id === now.operation?.id && sending.verb === 'rename')) await this.#requireArrival(name, { ...now, keyId: before.keyId })
    if (known.seen === now.seen) return
    known.seen = now.seen
    // What is said about a key changes without a move.
    known.history[known.history.length - 1] = { ...(known.now ?? now), blocked: now.blocked, ends: now.ends, data: now.data }
    const foreign = [...this.#names.values()].some(({ tainted }) => tainted)
    if (!foreign && known.live(this.#clock.now()) !== undefined && !(await this.accepts(now.value))) this.#refuse('I1 key lost', `the current token of ${name.text} (${now.id}) is not accepted`)
    await this.judgeFormer(name)
  }

  #judgeMove(name: SecretName, known: Name, before: Held | undefined, now: Held): void {
    const moved = before?.id !== now.id
    /** The same token once more, by the operation that made it, or by the one that took it over from LiteLLM: so that no claim for that epoch can take effect. */
    const taken = now.operation?.verb === 'adopt' && before?.operation === undefined
    const reissued = before !== undefined && moved && !now.revoked && now.value === before.value && now.keyId === before.keyId && (taken || now.operation?.id === before.operation?.id)
    if (before !== undefined && moved) {
      // Over somebody else's value nobody knows the epoch any more.
      if (!known.tainted && (now.operation?.epoch ?? 0) <= (before.operation?.epoch ?? 0)) this.#refuse('I4 epoch', `${name.text} went from ${before.id} to ${now.id}`)
      const wasLive = before.complete && !before.revoked
      if (wasLive && !now.revoked && now.keyId !== before.keyId) this.#refuse('I1 key lost', `${name.text} passed from key ${before.keyId} to ${now.keyId} without a deletion`)
      if (wasLive && !reissued && before.keyId === (now.revoked ? before.keyId : now.keyId) && !this.#beganOn(known, before.keyId, now.operation?.id)) this.#refuse('I1 key lost', `key ${before.keyId} was changed by an operation older than itself, ${now.id}`)
      if (before.revoked && !now.revoked && !this.#mayFollowTombstone(known, now)) this.#refuse('I6 key resurrected', `${now.id} became current over the tombstone of ${name.text}`)
    }
    if (moved && !reissued) known.history.push(now.revoked && before !== undefined ? { ...now, keyId: before.keyId } : now)
    else known.history[known.history.length - 1] = { ...now, step: before.step, at: before.at, ...(now.revoked ? { keyId: before.keyId } : {}) }
    if (now.revoked && before !== undefined) known.deleted.add(before.keyId)
  }

  /** A new key may, and one that comes back to a name that it had; a deleted one never. */
  #mayFollowTombstone(known: Name, now: Held): boolean {
    if (now.operation?.verb === 'rename') return !this.ended.has(now.keyId)
    return now.operation?.verb === 'create' && !known.history.some(({ keyId }) => keyId === now.keyId)
  }

  /** Whether the old name of a renamed key has ended, by the renaming that brings it under its new one. */
  #left(keyId: string, arrival: string): boolean {
    return [...this.#names.values()].some(({ history }) => history.some(({ operation }) => operation?.verb === 'delete' && arrivalId(operation.id, keyId) === arrival))
  }

  /** A name that ended because its key has another one: then the key must be there. */
  async #requireArrival(name: SecretName, { keyId, operation }: Held): Promise<void> {
    for (const [text] of this.#names) {
      const there = text === name.text ? undefined : await this.#look({ ...name, text })
      if (there !== undefined && there.keyId === keyId && !there.revoked) return
    }
    this.#refuse('I1 key lost', `${name.text} ended by the renaming ${operation?.id.slice(0, 8) ?? ''}, and key ${keyId} is nowhere else`)
  }

  #beganOn(known: Name, keyId: string, id: string | undefined): boolean {
    const born = known.history.find((held) => held.keyId === keyId)?.step ?? 0
    return this.sendings.some((sending) => sending.id === id && (sending.firstStep() ?? 0) > born)
  }

  /** Tokens that were current once: accepted only in their grace, never after a deletion, and surely within an announced grace. */
  async judgeFormer(name: SecretName): Promise<void> {
    const { history, now } = this.at(name)
    for (let index = Math.max(0, history.length - 5); index < history.length - 1; index += 1) {
      const held = history[index]
      const next = history[index + 1]
      if (held === undefined || next === undefined || held.revoked || history.some((later, at) => at > index && later.value === held.value)) continue
      if ([...this.#names.values()].some((other) => other !== this.at(name) && other.now?.keyId === held.keyId && !other.now.revoked)) continue
      const accepted = await this.accepts(held.value)
      const promised = this.promised.get(next.operation?.id ?? '')
      const time = this.#clock.now()
      const sameKey = now?.keyId === held.keyId && !now.revoked
      if (accepted && !sameKey) this.#refuse('I6 key resurrected', `a token of the deleted key ${held.keyId} is accepted`)
      const latest = promised?.until ?? next.at + (promised?.graceMs ?? 0)
      if (this.at(name).tainted) continue
      if (accepted && (promised === undefined || time >= latest + 2 * this.skewMs)) this.#refuse('I11 grace', `the token before ${next.id} is accepted ${time - latest} ms too long`)
      const kept = promised?.until !== undefined && time < promised.until - this.skewMs && sameKey && now === this.at(name).live(time) && (!this.#oneGrace || next === now)
      if (kept && !accepted) this.#refuse('I11 grace', `the token before ${next.id} is refused ${(promised.until ?? 0) - time} ms too early`)
    }
  }
}

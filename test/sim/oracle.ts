// Who knows the truth: looks at the service after every change and holds it against the invariants. It never asks the engine that is examined what it
// believes, only what the store holds and which tokens are accepted.
import { isCode } from '../../shared/core/errors.ts'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import { parseOperation, type Verb, type WonEpoch } from '../../shared/core/keys/operation-text.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue, type SecretName } from '../../shared/core/secret.ts'
import { keyIdOf } from '../../shared/core/virtual-key.ts'
import { SeededRandom, type ManualClock } from '../support/runtime.ts'

export type Invariant = 'I1 key lost' | 'I3 key duplicated' | 'I4 epoch' | 'I6 key resurrected' | 'I11 grace' | 'I12 outcome' | 'claim' | 'liveness'

export class Violation extends Error {
  readonly invariant: Invariant

  constructor(invariant: Invariant, message: string) {
    super(`${invariant}: ${message}`)
    this.invariant = invariant
  }
}

interface Held {
  readonly id: string
  readonly operation?: WonEpoch
  /** The value as text: comparing in constant time is slow, and nobody listens here. */
  readonly value: string
  readonly keyId: string
  readonly revoked: boolean
  readonly complete: boolean
  readonly step: number
  readonly at: number
}

/** What a rotation promised about the token before its own. */
interface Promised {
  readonly graceMs: number
  until?: number
}

/** The id that stands for a secret that the service has deleted. */
const gone = 'gone'

/** What became current under one name, and what may be said about it. */
class Name {
  readonly history: Held[] = []
  /** Values by the operation that stored them. */
  readonly stored = new Map<string, string>()
  /** What the last look saw, to know whether anything changed. */
  seen = ''
  /** The operations whose token was accepted. A creation without its labels is no key, and may draw another token. */
  readonly accepted = new Set<string>()
  readonly deleted = new Set<string>()
  get now(): Held | undefined {
    return this.history.at(-1)
  }
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
  step = 0

  constructor(provider: SecretProvider, clock: ManualClock) {
    this.#provider = provider
    this.#clock = clock
    this.#call = { signal: new AbortController().signal, deadline: Infinity }
    const labels = provider.traits.write?.labels
    this.#oneGrace = labels !== undefined && labels !== 'none' && labels.pairs < 24
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

  async accepts(token: string): Promise<boolean> {
    return (await this.#lifecycle.verify(SecretValue.of(token), this.#call)).valid
  }

  /** Whether an operation was ever current. */
  applied(id: string): boolean {
    return [...this.#names.values()].some(({ stored }) => stored.has(id))
  }

  /** The key that an operation changed. */
  keyOf(id: string): string | undefined {
    return [...this.#names.values()].flatMap(({ history }) => history).find((held) => held.operation?.id === id && held.id !== gone)?.keyId
  }

  tokenOf(id: string): string | undefined {
    return [...this.#names.values()].map(({ stored }) => stored.get(id)).find((value) => value !== undefined)
  }

  async #look(name: SecretName): Promise<(Held & { seen: string }) | undefined> {
    try {
      const facts = await this.#provider.describe?.(name, this.#call)
      if (facts?.current === undefined) return undefined
      const { value } = await this.#provider.read(name, { version: facts.current.id }, this.#call)
      const operation = parseOperation(facts.current.operation)
      const label = facts.labels['latchkey-key-id'] ?? ''
      const keyId = operation?.verb === 'create' ? keyIdOf(operation.id) : label
      const base = { id: facts.current.id, value: value.reveal(), keyId, seen: JSON.stringify([facts.current.id, facts.labels]), step: this.step, at: this.#clock.now() }
      return { ...base, ...(operation === undefined ? {} : { operation }), revoked: operation?.verb === 'delete', complete: label === keyId && facts.labels['managed-by'] === 'latchkey' }
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
    if (now === undefined) {
      if (before === undefined || before.id === gone) return
      const ended = this.sendings.filter(({ id, verb }) => verb === 'delete' && this.#beganOn(known, before.keyId, id))
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
    if (known.seen === now.seen) return
    known.seen = now.seen
    if (now.complete && !now.revoked && !(await this.accepts(now.value))) this.#refuse('I1 key lost', `the current token of ${name.text} (${now.id}) is not accepted`)
    await this.judgeFormer(name)
  }

  #judgeMove(name: SecretName, known: Name, before: Held | undefined, now: Held): void {
    const moved = before?.id !== now.id
    if (before !== undefined && moved) {
      if ((now.operation?.epoch ?? 0) <= (before.operation?.epoch ?? 0)) this.#refuse('I4 epoch', `${name.text} went from ${before.id} to ${now.id}`)
      const wasLive = before.complete && !before.revoked
      if (wasLive && !now.revoked && now.keyId !== before.keyId) this.#refuse('I1 key lost', `${name.text} passed from key ${before.keyId} to ${now.keyId} without a deletion`)
      if (wasLive && before.keyId === (now.revoked ? before.keyId : now.keyId) && !this.#beganOn(known, before.keyId, now.operation?.id)) this.#refuse('I1 key lost', `key ${before.keyId} was changed by an operation older than itself, ${now.id}`)
      if (before.revoked && !now.revoked && (now.operation?.verb !== 'create' || known.history.some(({ keyId }) => keyId === now.keyId))) this.#refuse('I6 key resurrected', `${now.id} became current over the tombstone of ${name.text}`)
    }
    if (moved) known.history.push(now.revoked && before !== undefined ? { ...now, keyId: before.keyId } : now)
    else known.history[known.history.length - 1] = { ...now, step: before.step, at: before.at, ...(now.revoked ? { keyId: before.keyId } : {}) }
    if (now.revoked && before !== undefined) known.deleted.add(before.keyId)
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
      if (held === undefined || next === undefined || held.revoked || held.value === now?.value) continue
      const accepted = await this.accepts(held.value)
      const promised = this.promised.get(next.operation?.id ?? '')
      const time = this.#clock.now()
      const sameKey = now?.keyId === held.keyId && !now.revoked
      if (accepted && !sameKey) this.#refuse('I6 key resurrected', `a token of the deleted key ${held.keyId} is accepted`)
      const latest = promised?.until ?? next.at + (promised?.graceMs ?? 0)
      if (accepted && (promised === undefined || time >= latest)) this.#refuse('I11 grace', `the token before ${next.id} is accepted ${time - latest} ms too long`)
      const kept = promised?.until !== undefined && time < promised.until && sameKey && (!this.#oneGrace || next === now)
      if (kept && !accepted) this.#refuse('I11 grace', `the token before ${next.id} is refused ${(promised.until ?? 0) - time} ms too early`)
    }
  }
}

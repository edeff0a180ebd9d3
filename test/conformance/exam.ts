// The exam's ground: what a case is, what it may use, and whether it applies. A case throws when the provider is wrong and knows nothing of a test runner,
// so that the same list examines the providers, the peers, and the wrong providers that examine the exam.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { LatchkeyError, type ErrorCode } from '../../shared/core/errors.ts'
import type { Capability, ProviderTraits, SecretProvider, WriteRequest } from '../../shared/core/provider.ts'
import type { Call, Clock } from '../../shared/core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName, type Stage, type Version } from '../../shared/core/secret.ts'
import { canary, canariesIn } from '../support/canary.ts'
import { nameFor, type ExamProvider, type Fault, type FaultKind, type Harness } from './harness.ts'

/** The methods a provider has, with the ones that a case needs no longer optional. */
export type Able<C extends Capability> = SecretProvider & Required<Pick<SecretProvider, C>>

/** A fact that a case needs beside the methods: of the traits, or of the harness. */
export interface Condition {
  readonly says: string
  holds(traits: ProviderTraits, opened: ExamProvider, harness: Harness): boolean
}

export interface ExamCase {
  /** Stays for ever: deviations and wrong providers name it. */
  readonly id: string
  /** What is true of a right provider, as a sentence. */
  readonly title: string
  readonly can: readonly Capability[]
  readonly where: readonly Condition[]
  /** What the case breaks; none: it is a healthy one. */
  readonly fault?: FaultKind
  run(exam: Exam): Promise<void>
}

const versionsKnown: Condition = { says: 'versions are known (traits.versions)', holds: (traits) => traits.versions !== 'none' }
const labelsOf = (traits: ProviderTraits) => (traits.write === undefined || traits.write.labels === 'none' ? undefined : traits.write.labels)

/** The conditions that cases name. What is left out is printed in these words. */
export const when = {
  versions: versionsKnown,
  softDelete: { says: 'a delete can be taken back (traits.write.softDelete)', holds: (traits) => traits.write?.softDelete === true },
  hardDelete: { says: 'a delete is final (no traits.write.softDelete)', holds: (traits) => traits.write?.softDelete === false },
  labels: { says: 'secrets have labels (traits.write.labels)', holds: (traits) => labelsOf(traits) !== undefined },
  labelFilter: { says: 'a list can select by a label (traits.write.labels.filter)', holds: (traits) => labelsOf(traits)?.filter === true },
  labelsWithValue: { says: 'labels change in one step with the value (traits.write.labels.travel always)', holds: (traits) => labelsOf(traits)?.travel === 'always' },
  labelsApart: { says: 'labels change apart from the value (traits.write.labels.travel apart)', holds: (traits) => labelsOf(traits)?.travel === 'apart' },
  guarded: { says: 'the service checks conditions (traits.write.guarantee atomic)', holds: (traits) => traits.write?.guarantee === 'atomic' },
  anyBytes: { says: 'values can be any bytes (traits.value.bytes)', holds: (traits) => traits.value.bytes === 'any' },
  untrimmed: { says: 'values are not trimmed (traits.value.bytes)', holds: (traits) => traits.value.bytes !== 'trimmed_text' },
  emptyValue: { says: 'a value can be empty (traits.value.empty)', holds: (traits) => traits.value.empty },
  noEmptyValue: { says: 'a value cannot be empty (no traits.value.empty)', holds: (traits) => !traits.value.empty },
  seed: { says: 'the harness can fill the service behind the provider', holds: (_, opened) => opened.seed !== undefined },
  fill: { says: 'there is a way to fill the service', holds: (_, opened) => opened.seed !== undefined || opened.provider.write !== undefined },
  fresh: { says: 'the harness opens a fresh service each time', holds: (_, __, harness) => harness.fresh !== false },
  misconfigured: { says: 'the harness can open with wrong settings', holds: (_, opened) => opened.misconfigured !== undefined },
  expire: { says: 'the harness can let credentials expire', holds: (_, opened) => opened.expire !== undefined },
  createdNames: { says: 'the service holds names that Latchkey creates', holds: (_, __, harness) => harness.name === undefined },
} as const satisfies Record<string, Condition>

/** What a secret looks like from outside: for "nothing half-written". */
export interface State {
  readonly value: string
  readonly versions: number | undefined
  readonly stages: readonly string[] | undefined
  readonly labels: Readonly<Record<string, string>> | undefined
  readonly description: string | undefined
}

const runId = randomBytes(3).toString('hex')
let made = 0

const settled = Symbol('settled')
type Outcome<T> = { readonly value: T } | { readonly error: unknown }
const outcomeOf = <T>(promise: Promise<T>): Promise<Outcome<T>> => promise.then((value) => ({ value }), (error: unknown) => ({ error }))

/** What the exam says of a thrown thing that must be a failure of ours: its code, and that no canary stands in it anywhere. */
export const assertFailure = (error: unknown, codes: readonly ErrorCode[]): LatchkeyError => {
  assert.ok(error instanceof LatchkeyError, `a LatchkeyError (${codes.join(' or ')}) was expected, not ${error instanceof Error ? error.name : typeof error}`)
  assert.ok(codes.includes(error.code), `${codes.join(' or ')} was expected, not ${error.code}`)
  assertNothingSecret(error)
  return error
}

/** Every text and every byte that can be reached from a thing through its properties, hidden ones included. */
const reachable = (thing: unknown, seen: Set<unknown> = new Set()): string[] => {
  if (typeof thing === 'string') return [thing]
  if (thing === null || (typeof thing !== 'object' && typeof thing !== 'function') || seen.has(thing) || seen.size > 5_000) return []
  seen.add(thing)
  if (ArrayBuffer.isView(thing)) return [Buffer.from(thing.buffer, thing.byteOffset, thing.byteLength).toString('latin1')]
  const inside = thing instanceof Map || thing instanceof Set ? [...thing].flatMap((item: unknown) => reachable(item, seen)) : []
  return [...inside, ...Reflect.ownKeys(thing).flatMap((key) => [String(key), ...reachable(Object.getOwnPropertyDescriptor(thing, key)?.value, seen)])]
}

/** Looks for every canary in everything that a thing shows or holds: message, stack, cause, JSON, hidden properties, buffers. */
export const assertNothingSecret = (thing: unknown): void => {
  const shown = [inspect(thing, { depth: Infinity, showHidden: true, compact: true, breakLength: Infinity }), String(thing), JSON.stringify(thing), ...reachable(thing)]
  const found = canariesIn(shown.join('\n'))
  assert.deepEqual(found.map(({ label, as }) => `${label} as ${as}`), [], 'a value is shown where none may be')
}

/** The ground on which one case stands: one opened provider, names and values of its own, and the questions that cases ask. */
export class Exam<C extends Capability = Capability> {
  readonly opened: ExamProvider
  readonly harness: Harness
  readonly #others: SecretProvider[] = []

  constructor(opened: ExamProvider, harness: Harness) {
    this.opened = opened
    this.harness = harness
  }

  get provider(): Able<C> {
    return this.opened.provider as Able<C>
  }

  get traits(): ProviderTraits {
    return this.opened.provider.traits
  }

  get clock(): Clock {
    return this.opened.clock
  }

  call(given: { signal?: AbortSignal; withinMs?: number } = {}): Call {
    return { signal: given.signal ?? new AbortController().signal, deadline: this.clock.now() + (given.withinMs ?? 25_000) }
  }

  /** A label that no other secret of this run has. */
  label(hint = 's'): string {
    made += 1
    return `exam-${runId}-${made}-${hint}`
  }

  name(hint?: string): SecretName {
    return nameFor(this.harness, this.label(hint))
  }

  operation(verb: 'create' | 'rotate' | 'delete' | 'put' = 'put', epoch = 1): string {
    const id = randomBytes(16).toString('hex')
    return verb === 'put' ? `put-${id}` : `${epoch}-${verb}-${id}`
  }

  /** A value that is watched: it may appear nowhere but where it is read. */
  value(label = 'value'): string {
    return canary(label)
  }

  /** A write of a current value, whole; `more` wins. */
  request(name: SecretName, value: string | Uint8Array, more: Partial<WriteRequest> = {}): WriteRequest {
    return { name, value: typeof value === 'string' ? SecretValue.of(value) : SecretValue.ofBytes(value), expect: 'absent', operation: this.operation(), stage: 'current', ...more }
  }

  /** Fills the service by whatever way there is, and lets it settle. */
  async put(name: SecretName, value: string | Uint8Array, more: Partial<WriteRequest> = {}): Promise<Version | undefined> {
    if (this.opened.provider.write === undefined) {
      assert.ok(this.opened.seed !== undefined)
      await this.opened.seed(name, value)
      await this.settle()
      return undefined
    }
    const { outcome, version } = await this.opened.provider.write(this.request(name, value, more), this.call())
    assert.equal(outcome, 'written')
    await this.settle()
    return version
  }

  /** A first version and its id. For cases that need `versions`. */
  async create(name: SecretName, value: string, more: Partial<WriteRequest> = {}): Promise<string> {
    const version = await this.put(name, value, { operation: this.operation('create'), epoch: 1, ...more })
    return this.idOf(version, name)
  }

  /** A conditional replacement of the current version. */
  async replace(name: SecretName, version: string, value: string, more: Partial<WriteRequest> = {}): Promise<string> {
    const next = await this.put(name, value, { expect: { version }, before: version, epoch: 2, operation: this.operation('rotate', 2), ...more })
    return this.idOf(next, name)
  }

  /** A claim: a pending version on top of `from`. */
  claim(name: SecretName, from: string, value: string, more: Partial<WriteRequest> = {}): WriteRequest {
    return this.request(name, value, { expect: { version: from }, before: from, epoch: 2, operation: this.operation('rotate', 2), stage: 'pending', ...more })
  }

  async idOf(version: Version | undefined, name: SecretName): Promise<string> {
    const id = version?.id ?? (await this.facts(name)).current?.id
    assert.ok(id !== undefined, 'the current version has no id')
    return id
  }

  facts(name: SecretName): Promise<SecretFacts> {
    assert.ok(this.opened.provider.describe !== undefined)
    return this.opened.provider.describe(name, this.call())
  }

  async text(name: SecretName, at: { version?: string; stage?: Stage } = {}, provider: SecretProvider = this.opened.provider): Promise<string> {
    return (await provider.read(name, at, this.call())).value.reveal()
  }

  /** Everything that can be seen of a secret. */
  async state(name: SecretName): Promise<State> {
    const read = await outcomeOf(this.text(name))
    const value = 'value' in read ? read.value : `(${assertFailure(read.error, ['not_found']).code})`
    const described = this.opened.provider.describe === undefined ? undefined : await outcomeOf(this.facts(name))
    if (described !== undefined && 'error' in described) assertFailure(described.error, ['not_found'])
    const facts = described !== undefined && 'value' in described ? described.value : undefined
    const stages = facts?.versions?.flatMap((version, index) => version.stages.map((stage) => `${stage}: ${index}`)).sort()
    return { value, versions: facts?.versions?.length, stages, labels: facts?.labels, description: facts?.description }
  }

  /** How many versions there are; `undefined` when the service does not say. */
  async countOf(name: SecretName): Promise<number | undefined> {
    return (await this.state(name)).versions
  }

  /** Lets what was written become visible to everybody. */
  async settle(): Promise<void> {
    if (this.traits.settleMs > 0) await this.opened.pass(this.traits.settleMs)
  }

  /** Asserts that a promise fails with one of the codes and that nothing secret stands in the failure. */
  async fails(promise: Promise<unknown>, ...codes: readonly ErrorCode[]): Promise<LatchkeyError> {
    const outcome = await outcomeOf(promise)
    assert.ok('error' in outcome, `${codes.join(' or ')} was expected, but the call succeeded`)
    return assertFailure(outcome.error, codes)
  }

  /** Asserts that a call which may not be made sends nothing to the service. */
  async sendsNothing(act: () => Promise<unknown>): Promise<void> {
    const before = this.opened.calls?.()
    await act()
    assert.equal(this.opened.calls?.(), before, 'something was sent')
  }

  /** Asserts that a promise settles without any time going by on the clock, and soon on the machine's own. */
  async promptly<T>(promise: Promise<T>): Promise<Outcome<T>> {
    const outcome = await Promise.race([outcomeOf(promise), new Promise<typeof settled>((resolve) => setTimeout(resolve, 2_000, settled).unref())])
    assert.notEqual(outcome, settled, 'the call did not end')
    return outcome as Outcome<T>
  }

  async reopen(): Promise<Able<C>> {
    const provider = await this.opened.reopen()
    this.#others.push(provider)
    return provider as Able<C>
  }

  async break(fault: Fault): Promise<void> {
    assert.ok(this.opened.fault !== undefined)
    await this.opened.fault(fault)
  }

  async heal(): Promise<void> {
    await this.opened.heal?.()
    await this.settle()
  }

  /** Every item of a list, page by page. A service that never ends is a failure. */
  async listed(prefix: string, more: { label?: readonly [string, string]; limit?: number } = {}): Promise<SecretFacts[]> {
    assert.ok(this.opened.provider.list !== undefined)
    const items: SecretFacts[] = []
    let cursor: string | undefined
    for (let page = 0; page < 500; page += 1) {
      const answer = await this.opened.provider.list({ prefix, limit: more.limit ?? 50, ...(more.label !== undefined && { label: more.label }), ...(cursor !== undefined && { cursor }) }, this.call())
      assert.ok(answer.items.length <= (more.limit ?? 50), 'a page is longer than its limit')
      items.push(...answer.items)
      if (answer.cursor === undefined) return items
      cursor = answer.cursor
    }
    throw new assert.AssertionError({ message: 'the list does not end' })
  }

  async close(): Promise<void> {
    await this.opened.heal?.()
    for (const provider of this.#others) await provider.close?.()
    await this.opened.close()
  }
}

/** A case as data. `can` types the provider that `run` gets. */
export const examCase = <C extends Capability = never>(given: {
  id: string
  title: string
  can?: readonly C[]
  where?: readonly Condition[]
  fault?: FaultKind
  run(exam: Exam<C>): Promise<void>
}): ExamCase => ({ can: [], where: [], ...given, run: (exam) => given.run(exam as unknown as Exam<C>) })

/** Why a case does not apply to an opened provider; nothing when it does. In words of capability and trait, never of the case's title. */
export const leftOut = (one: ExamCase, opened: ExamProvider, harness: Harness): string | undefined => {
  const missing = one.can.find((capability) => opened.provider[capability] === undefined)
  if (missing !== undefined) return `needs the capability ${missing}`
  const unmet = one.where.filter((condition) => !condition.holds(opened.provider.traits, opened, harness))
  if (unmet.length > 0) return `only where ${unmet.map((condition) => condition.says).join(' and ')}`
  const itself = harness.answersItself?.find((operation) => one.fault !== undefined && one.id === `fault.${one.fault}.${operation}`)
  if (itself !== undefined) return `needs a call to the service, and ${itself} makes none`
  if (one.fault !== undefined && ![...harness.faults, ...(harness.nonsense ?? [])].includes(one.fault)) return `needs a fault that it cannot have (${harness.faultsReason ?? 'the harness cannot produce it'})`
  return undefined
}

/** Opens, runs one case, closes. @throws whatever the case found wrong */
export const runCase = async (one: ExamCase, harness: Harness): Promise<void> => {
  const exam = new Exam(await harness.open(), harness)
  try {
    await one.run(exam)
  } finally {
    await exam.close()
  }
}

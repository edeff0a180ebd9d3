// One schedule: requests of several instances over one service, with faults, then calm, then recovery by a later request. Everything follows from the
// seed; the answers are held against what the oracle saw.
import { asLatchkeyError, isCode, LatchkeyError } from '../../shared/core/errors.ts'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import { beginOperation } from '../../shared/core/keys/operation.ts'
import type { Verb } from '../../shared/core/keys/operation-text.ts'
import { createdName } from '../../shared/core/names.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import type { Call, Runtime } from '../../shared/core/runtime.ts'
import type { SecretName } from '../../shared/core/secret.ts'
import type { KeyAnswer, OperationContext } from '../../shared/core/virtual-key.ts'
import { calmHook, type Hook } from '../shapes/service.ts'
import { SeededRandom, testRuntime } from '../support/runtime.ts'
import { Oracle, Violation, type Invariant } from './oracle.ts'
import type { Shape } from './shapes.ts'
import { World, type Fault, type Process } from './world.ts'

/** One operation as a client means it: it may be sent several times with one key. */
export interface Wish {
  readonly verb: Verb
  readonly alias: string
  readonly keyed: boolean
  readonly graceMs: number
  readonly attempts: number
}

export interface Attempt extends Process {
  readonly wish: Wish
  readonly number: number
  readonly operationId: string
  started: boolean
  /** When its first look at the secret was answered, in steps of the world: it may take several calls, a login among them. */
  firstLook?: number
  answer?: KeyAnswer
  error?: LatchkeyError
}

/** How a wrong engine or a wrong store is put in: around an instance's service, its provider, its deletion, or its answers. */
export interface Bug {
  readonly id: string
  readonly says: string
  readonly shapes: readonly string[]
  /** One of these must be what finds it. */
  readonly expected: readonly Invariant[]
  /** What it breaks beside, all the time: not looked at. */
  readonly ignored?: readonly Invariant[]
  service?(service: unknown): unknown
  open?(service: unknown, runtime: Runtime): Promise<SecretProvider>
  provider?(provider: SecretProvider): SecretProvider
  /** In place of the engine's deletion. */
  remove?(provider: SecretProvider, name: SecretName, call: Call): Promise<void>
  answer?(attempt: Attempt): void
}

export class Simulation {
  readonly world = new World()
  readonly shape: Shape
  readonly oracle: Oracle
  readonly attempts: Attempt[] = []
  readonly #service: { through(hook: Hook): unknown }
  readonly #seed: string
  readonly #bug: Bug | undefined
  readonly #names = new Set<string>()
  readonly #claims: { name: string; before: string | undefined; operation: string; id: string }[] = []
  /** Versions that somebody began to discard: from then on nobody can say whether their claim stands. */
  readonly #discarded = new Set<string>()
  /** A violation seen inside a process. */
  failure: Violation | undefined

  private constructor(shape: Shape, service: { through(hook: Hook): unknown }, oracle: Oracle, world: World, seed: string, bug: Bug | undefined) {
    this.shape = shape
    this.#service = service
    this.oracle = oracle
    this.world = world
    this.#seed = seed
    this.#bug = bug
    world.busy = () => this.attempts.some((attempt) => attempt.started && !attempt.dead && !attempt.done && !world.waiting.some(({ process }) => process === attempt))
    world.changed = async () => {
      oracle.step = world.steps
      for (const alias of this.#names) await oracle.judge(createdName(`litellm/${alias}`))
    }
  }

  static async open(shape: Shape, seed: string, bug?: Bug): Promise<Simulation> {
    const world = new World()
    const service = shape.make(world.clock)
    const provider = await shape.open(service.through(calmHook), { ...testRuntime(), clock: world.clock, random: new SeededRandom('oracle provider') })
    const oracle = new Oracle(provider, world.clock)
    oracle.ignored = new Set(bug?.ignored)
    return new Simulation(shape, service, oracle, world, seed, bug)
  }

  #context(wish: Wish, wishNumber: number): Omit<OperationContext, 'call'> {
    return { caller: 'client', route: `/key/${wish.verb}`, body: JSON.stringify(wish), ...(wish.keyed ? { idempotencyKey: `key of wish ${wishNumber} ${this.#seed}` } : {}) }
  }

  /** Adds one sending of a wish; it runs once it is started. */
  add(wish: Wish, wishNumber: number, number: number): Attempt {
    this.#names.add(wish.alias)
    const random = this.#random(wish, wishNumber, number)
    const context = { ...this.#context(wish, wishNumber), call: { signal: new AbortController().signal, deadline: 0 } }
    const operationId = beginOperation(wish.verb, context, `litellm/${wish.alias}`, random).id
    const label = `${wish.verb} ${wish.alias} #${wishNumber}.${number}`
    const attempt: Attempt = { wish, number, operationId, label, dead: false, done: false, started: false, calls: 0, faulted: false }
    this.attempts.push(attempt)
    if (wish.verb === 'rotate' && !this.oracle.promised.has(operationId)) this.oracle.promised.set(operationId, { graceMs: wish.graceMs })
    this.oracle.sendings.push({ id: operationId, verb: wish.verb, firstStep: () => attempt.firstLook ?? attempt.firstStep })
    return attempt
  }

  #random(wish: Wish, wishNumber: number, number: number): SeededRandom {
    return new SeededRandom(`${this.#seed} ${wish.alias} ${wishNumber}.${number}`)
  }

  async start(attempt: Attempt, wishNumber: number): Promise<void> {
    attempt.started = true
    const { world } = this
    const service = this.#service.through(world.hookFor(attempt))
    const runtime = { ...testRuntime(), clock: world.clock, random: new SeededRandom(`${this.#seed} provider ${attempt.label}`) }
    const bug = this.#bug
    const opened = await (bug?.open ?? this.shape.open)(bug?.service?.(service) ?? service, runtime)
    const provider = this.#watched(bug?.provider?.(opened) ?? opened, attempt)
    const store = { name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' as const }, invalidate: () => undefined }
    const { wish } = attempt
    const lifecycle = new KeyLifecycle(store, { clock: world.clock, random: this.#random(wish, wishNumber, attempt.number) })
    const call = { signal: new AbortController().signal, deadline: world.clock.now() + 25_000 }
    const context: OperationContext = { ...this.#context(wish, wishNumber), call }
    const { alias } = wish
    const removed = wish.verb !== 'delete' ? undefined : bug?.remove?.(provider, createdName(`litellm/${alias}`), call).then((): KeyAnswer => ({ keyId: '', epoch: 0, state: 'revoked', stored: { store: '', name: '' }, data: {}, operations: [], guarantee: 'detected', operationId: attempt.operationId, enforcedBy: [] }))
    const answered = removed ?? (wish.verb === 'create' ? lifecycle.create({ alias }, context) : wish.verb === 'rotate' ? lifecycle.rotate({ alias }, { graceMs: wish.graceMs }, context) : lifecycle.remove({ alias }, context))
    void answered.then(
      (answer) => {
        if (!attempt.dead) this.#finish(attempt, { answer })
      },
      (error: unknown) => {
        if (!attempt.dead) this.#finish(attempt, { error: error instanceof LatchkeyError ? error : Object.assign(asLatchkeyError(error), { cause: error }) })
      },
    )
    await world.settle()
  }

  /** Watches the claims: two operations never hold one on the same version at once. */
  #watched(provider: SecretProvider, attempt: Attempt): SecretProvider {
    return {
      ...provider,
      describe: async (name, call) => {
        try {
          return await (provider.describe as NonNullable<SecretProvider['describe']>)(name, call)
        } finally {
          attempt.firstLook ??= this.world.steps
        }
      },
      write: async (request, call) => {
        const outcome = await (provider.write as NonNullable<SecretProvider['write']>)(request, call)
        if (request.stage !== 'pending' || attempt.dead) return outcome
        const current = this.oracle.at(request.name).now?.id
        const id = outcome.version?.id ?? ''
        const other = this.#claims.find((claim) => claim.name === request.name.text && claim.before === request.before && claim.before === current && claim.operation !== request.operation && !this.#discarded.has(`${claim.name} ${claim.id}`))
        if (other !== undefined) this.failure ??= new Violation('claim', `${request.operation} was given the claim that ${other.operation} holds`)
        this.#claims.push({ name: request.name.text, before: request.before, operation: request.operation, id })
        return outcome
      },
      discard: async (name, version, call) => {
        this.#discarded.add(`${name.text} ${version}`)
        return provider.discard?.(name, version, call)
      },
    }
  }

  #finish(attempt: Attempt, outcome: { answer: KeyAnswer } | { error: LatchkeyError }): void {
    Object.assign(attempt, outcome, { done: true })
    this.#bug?.answer?.(attempt)
    const { answer, error } = attempt
    const text = error === undefined ? `answers ${answer?.state ?? ''} epoch ${answer?.epoch ?? ''}${answer?.key === undefined ? '' : ' with its token'}${answer?.superseded === undefined ? '' : `, superseded: ${answer.superseded}`}` : `answers ${error.code}, applied ${error.details.applied ?? '?'}`
    this.world.trace.push(`     ${attempt.label.padEnd(22)} ${text}`)
    const until = answer?.operations.find(({ id }) => id === attempt.operationId)?.until
    const promised = this.oracle.promised.get(attempt.operationId)
    if (until !== undefined && promised !== undefined && answer?.superseded === undefined) promised.until = Math.max(promised.until ?? 0, until.getTime())
  }

  /** I11 where nothing but time has passed. */
  async pass(ms: number): Promise<void> {
    await this.world.pass(ms)
    for (const alias of this.#names) await this.oracle.judgeFormer(createdName(`litellm/${alias}`))
  }

  /** I12: every answer says what is true. */
  async judgeAnswers(): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    for (const attempt of this.attempts) {
      const { answer, error, operationId, label, wish } = attempt
      const applied = this.oracle.applied(operationId)
      const refuse = (says: string): void => {
        if (!this.oracle.ignored.has('I12 outcome')) throw new Violation('I12 outcome', `${label} answers ${says}, and that is not so`)
      }
      if (error !== undefined && error.code === 'internal') refuse(`internal (${String((error.cause as Error | undefined)?.stack)})`)
      if (answer !== undefined && !applied) refuse('success')
      const stored = this.oracle.tokenOf(operationId)
      const changed = this.oracle.keyOf(operationId)
      if (answer !== undefined && this.#bug?.remove === undefined && changed !== undefined && answer.keyId !== changed) refuse(`for key ${answer.keyId}, having changed ${changed}`)
      if (answer?.key !== undefined && (stored === undefined || stored !== answer.key.reveal())) refuse('with another token than the stored one')
      if (answer !== undefined && wish.verb !== 'delete' && answer.key === undefined && answer.keyWithheld === undefined) refuse('without a token and without a reason')
      const siblings = this.attempts.filter((other) => other.operationId === operationId)
      if (error?.details.applied === 'yes' && !applied) refuse('applied: yes')
      if (siblings.every((other) => other.error?.details.applied === 'no') && applied) refuse('applied: no')
      if (error !== undefined && error.details.applied === undefined && !['invalid_request', 'forbidden'].includes(error.code)) refuse(`${error.code} without saying whether it was applied`)
      const faulted = this.attempts.some((other) => other.faulted || isCode(other.error, 'deadline_exceeded'))
      if (error?.details.applied === 'unknown' && !faulted && !this.#mayNotKnow(attempt)) refuse('unknown without any fault')
    }
  }

  /** R-5 of the operations page: where tags are mirrors, what a deletion of the same name left behind may not tell whether an operation that was sent twice took effect. */
  #mayNotKnow({ wish, operationId }: Attempt): boolean {
    const sent = this.attempts.filter((other) => other.operationId === operationId)
    const deleted = this.attempts.some((other) => other.operationId !== operationId && other.wish.verb === 'delete' && other.wish.alias === wish.alias && this.oracle.applied(other.operationId))
    return this.shape.name === 'staged' && sent.length > 1 && deleted
  }

  /** Runs what is waiting, in order, without faults, until nothing waits. */
  async calm(): Promise<void> {
    for (let turns = 0; this.world.waiting.length > 0; turns += 1) {
      if (turns > 400) throw new Violation('liveness', 'an operation does not come to an end')
      await this.world.meet(0)
      await this.world.settle()
    }
  }

  /** Lets one sending run to its end while the others wait. */
  async only(attempt: Attempt): Promise<void> {
    for (let turns = 0; turns < 300; turns += 1) {
      const next = this.world.waiting.findIndex(({ process }) => process === attempt)
      if (next < 0) return
      await this.world.meet(next)
      await this.world.settle()
    }
  }

  /** One wish, alone, to its end. */
  async alone(wish: Wish, wishNumber: number, number = 1): Promise<Attempt> {
    const attempt = this.add(wish, wishNumber, number)
    await this.start(attempt, wishNumber)
    await this.calm()
    return attempt
  }

  /**
   * After the faults: what is on the way lands, leases run out, every keyed wish is sent once more, and each name must be usable: a live key rotates, a
   * deleted one is created anew. Only a staged store may still have to say `unknown` (R-5).
   */
  async recover(wishes: readonly Wish[]): Promise<void> {
    const { world } = this
    await this.calm()
    while (world.late.length > 0) await world.land(0)
    await this.pass(120_000)
    for (const [index, wish] of wishes.entries()) {
      const mine = this.attempts.filter((attempt) => attempt.wish === wish)
      if (!wish.keyed || mine.some(({ answer }) => answer !== undefined)) continue
      const again = await this.alone(wish, index, 90)
      if (again.error?.details.applied === 'unknown' && this.shape.name !== 'staged') throw new Violation('liveness', `${again.label} still answers unknown`)
      await this.pass(61_000)
    }
    for (const alias of this.#names) await this.#usable(alias, wishes.length + 1)
    await this.judgeAnswers()
  }

  async #usable(alias: string, wishNumber: number): Promise<void> {
    const name = createdName(`litellm/${alias}`)
    await this.oracle.judge(name)
    const { now } = this.oracle.at(name)
    const verb = now !== undefined && now.complete && !now.revoked ? 'rotate' : 'create'
    const wish: Wish = { verb, alias, keyed: false, graceMs: 0, attempts: 1 }
    const attempt = await this.alone(wish, wishNumber)
    if (attempt.answer?.key === undefined) throw new Violation('liveness', `a new ${verb} of ${alias} answers ${attempt.error?.code ?? 'no key'}: ${attempt.error?.message ?? ''}`)
    if (!(await this.oracle.accepts(attempt.answer.key.reveal()))) throw new Violation('I1 key lost', `the new token of ${alias} is not accepted`)
    await this.oracle.judgeFormer(name)
  }
}

/** What happens to one step of a schedule. */
export type FaultAt = (step: number, call: string, changes: boolean) => Fault | undefined

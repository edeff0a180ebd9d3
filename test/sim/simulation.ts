// One schedule: requests of several instances over one service and one gateway, with faults, then calm, then recovery by later requests and sweeps. What
// happens next is said from outside, one decision at a time; the answers are held against what the oracle saw.
import { createHash } from 'node:crypto'
import { asLatchkeyError, LatchkeyError } from '../../shared/core/errors.ts'
import type { Gateway } from '../../shared/core/gateway.ts'
import { KeyLifecycle, type KeyLifecycleOptions } from '../../shared/core/key-lifecycle.ts'
import { beginOperation } from '../../shared/core/keys/operation.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import type { Call, Clock, Runtime } from '../../shared/core/runtime.ts'
import { SecretValue, type SecretName } from '../../shared/core/secret.ts'
import { keyIdOf, type KeyAnswer, type KeyTarget, type OperationContext, type ReconcileReport } from '../../shared/core/virtual-key.ts'
import { calmHook, type Hook } from '../shapes/service.ts'
import { SeededRandom, testRuntime } from '../support/runtime.ts'
import type { Fault, Outsider } from './world/faults.ts'
import { GatewayModel } from './world/gateway.ts'
import { ClaimsJudge } from './judges/claims-judge.ts'
import { GatewayJudge } from './judges/gateway-judge.ts'
import { Oracle, Violation, type Invariant } from './judges/oracle.ts'
import { Remembered } from './judges/remembered.ts'
import type { Shape } from './shapes.ts'
import { withShortPages } from './world/short-pages.ts'
import { QuietRequests } from './world/settled.ts'
import { operationVerb, send, type Said, type Wish, type WishVerb } from './world/verbs.ts'
import { mix } from './world/mix.ts'
import { World, type Process } from './world/world.ts'

export interface Attempt extends Process {
  readonly wish: Wish
  readonly wishNumber: number
  readonly number: number
  readonly operationId: string
  /** Its id under every name that the key may have by then: an operation is told from others by the name that it starts from. */
  readonly operationIds: readonly string[]
  started: boolean
  startStep: number
  startedAt: number
  /** How long it took. */
  tookMs: number
  /** When its first look at the secret was answered, in steps of the world: it may take several calls, a login among them. */
  firstLook?: number
  answer?: KeyAnswer
  report?: ReconcileReport
  error?: LatchkeyError
}

/** How a wrong engine, store or gateway is put in: around an instance's service, its provider, its gateway, its deletion, or its answers. */
export interface Bug {
  readonly id: string
  readonly says: string
  readonly shapes: readonly string[]
  /** One of these must be what finds it. */
  readonly expected: readonly Invariant[]
  /** What it breaks beside, all the time: not looked at. */
  readonly ignored?: readonly Invariant[]
  /** Only these verbs are wished for, and only these faults happen, where the bug shows in them alone. */
  readonly verbs?: readonly WishVerb[]
  readonly faults?: readonly Fault[]
  service?(service: unknown): unknown
  open?(service: unknown, runtime: Runtime): Promise<SecretProvider>
  provider?(provider: SecretProvider, of: BugContext): SecretProvider
  gateway?(gateway: Gateway, of: BugContext): Gateway
  /** In place of the engine's deletion. */
  remove?(provider: SecretProvider, name: SecretName, call: Call, of: BugContext): Promise<void>
  answer?(attempt: Attempt): void
}

/** What a bug may know of the instance that it is put into: its wish, both of its ports without the bug, and a memory that its world shares. */
export interface BugContext {
  readonly wish: Wish
  /** Of this sending, for what one instance holds in its own memory. */
  readonly label: string
  readonly provider: SecretProvider
  readonly gateway: Gateway
  readonly clock: Clock
  readonly memory: Map<string, unknown>
}

/** What makes one schedule different from another before anything happens. */
export interface Setting {
  readonly shape: Shape
  /** Of the tokens and keys. */
  readonly seed: string
  /** Whether the instances have a gateway. */
  readonly gateway: boolean
  /** Whether each process has a clock of its own, up to 5 s off. */
  readonly skewed?: boolean
  readonly shortPages?: boolean
  /** Whether the instances may read no value; whoever knows the truth may. */
  readonly writeOnly?: boolean
  /** Whether the sweep runs at the end. Default: true, where there is one. */
  readonly sweeps?: boolean
  readonly bug?: Bug
}

/** What happens next. Calls are named by their process. */
export type Decision =
  | readonly ['start', wish: number, number: number]
  | readonly ['meet', label: string, fault?: Fault]
  | readonly ['run', label: string]
  | readonly ['land', index: number]
  | readonly ['release', label: string]
  | readonly ['pass', ms: number]
  | readonly ['outsider', what: Outsider, alias: string]

const isAnswer = (said: Said): said is KeyAnswer => 'keyId' in said

export class Simulation {
  readonly world = new World()
  readonly setting: Setting
  readonly oracle: Oracle
  readonly gateway: GatewayModel
  readonly judge: GatewayJudge
  readonly claims: ClaimsJudge
  readonly attempts: Attempt[] = []
  readonly #service: ReturnType<Shape['make']>
  /** The aliases that anybody asked for. */
  readonly names = new Set<string>()
  readonly #memory = new Map<string, unknown>()
  /** The token of the first key, by which some clients name theirs. */
  firstToken: SecretValue | undefined
  /** Where states are counted: every one that was reached. */
  counted: Set<number> | undefined
  /** Where it is remembered what requests that changed nothing were told. */
  quiet: QuietRequests | undefined

  private constructor(setting: Setting, service: ReturnType<Shape['make']>, oracle: Oracle, world: World) {
    this.setting = setting
    this.#service = service
    this.world = world
    world.inMemory = setting.shape.inMemory
    this.oracle = oracle
    this.oracle.ignored = new Set(setting.bug?.ignored)
    this.gateway = new GatewayModel(world.clock)
    this.judge = new GatewayJudge(this.gateway, this.oracle, world.clock)
    this.claims = new ClaimsJudge(this.oracle, this.judge)
    world.denied = (row) => void this.judge.refused.add(row)
    world.forget = () => void (this.gateway.forgets = true)
    world.busy = () => this.attempts.some((attempt) => attempt.started && !attempt.dead && !attempt.done && !world.waiting.some(({ process }) => process === attempt) && !world.held.some(({ process }) => process === attempt))
    world.changed = () => this.look()
  }

  static async open(setting: Setting): Promise<Simulation> {
    const world = new World()
    const service = setting.shape.make(world.clock)
    const held = service.content?.bind(service)
    const remembered = new Remembered({ now: () => world.clock.now(), ...(held === undefined ? {} : { held, kind: setting.shape.name }) })
    const provider = await setting.shape.open(service.through(remembered.hook), { ...testRuntime(), clock: world.clock, random: new SeededRandom('oracle provider') })
    return new Simulation(setting, service, new Oracle(provider, world.clock, remembered), world)
  }

  /** All that the service holds, where it can tell. */
  content(): string | undefined {
    return this.#service.content?.()
  }

  /** Who knows the truth looks at everything. */
  async look(): Promise<void> {
    const { oracle, world } = this
    oracle.step = world.steps
    oracle.skewMs = world.skewMs
    const differs = oracle.refresh(world.touched)
    world.touched.clear()
    if (differs) for (const alias of this.names) await oracle.judge(createdName(`litellm/${alias}`))
    if (this.setting.gateway) this.judge.judge()
  }

  #context(wish: Wish, wishNumber: number): Omit<OperationContext, 'call'> {
    const caller = wish.verb === 'event' ? 'events' : 'client'
    return { caller, route: `/key/${wish.verb}`, body: JSON.stringify(wish), ...(wish.keyed ? { idempotencyKey: `key of wish ${wishNumber} ${this.setting.seed}` } : {}) }
  }

  /** Adds one sending of a wish; it runs once it is started. */
  add(wish: Wish, wishNumber: number, number: number): Attempt {
    this.names.add(wish.alias)
    if (wish.to !== undefined) this.names.add(wish.to)
    const context = { ...this.#context(wish, wishNumber), call: { signal: new AbortController().signal, deadline: 0 } }
    const verb = operationVerb(wish.verb)
    const routed = verb === 'rename' ? { ...context, route: `${context.route} rename` } : context
    const idAt = (alias: string): string => beginOperation(verb, routed, `litellm/${alias}`, this.#random(wish, wishNumber, number)).id
    const operationId = idAt(wish.alias)
    const operationIds = wish.by === undefined ? [operationId] : [operationId, idAt(wish.alias === 'a' ? 'b' : 'a')]
    const label = `${wish.verb} ${wish.alias} #${wishNumber}.${number}`
    const { skewed = false, seed } = this.setting
    const skewMs = skewed && wishNumber < 90 ? (mix(`${label} ${seed}`) % 10_001) - 5_000 : 0
    const attempt: Attempt = { wish, wishNumber, number, operationId, operationIds, label, dead: false, done: false, started: false, startStep: 0, startedAt: 0, tookMs: 0, calls: 0, faulted: false, skewMs, seen: 0, made: 0 }
    this.attempts.push(attempt)
    for (const id of operationIds) if (verb === 'rotate' && wish.verb !== 'reconcile' && !this.oracle.promised.has(id)) this.oracle.promised.set(id, { graceMs: wish.graceMs })
    const firstStep = (): number | undefined => attempt.firstLook ?? attempt.firstStep
    for (const id of operationIds) this.oracle.sendings.push({ id, verb, firstStep })
    // A creation that the gateway refuses ends its own key, by an operation that anybody can name.
    if (verb === 'create') this.oracle.sendings.push({ id: createHash('sha256').update(`undo ${operationId}`).digest('hex').slice(0, 32), verb: 'delete', firstStep: () => Infinity })
    return attempt
  }

  #random(wish: Wish, wishNumber: number, number: number): SeededRandom {
    return new SeededRandom(`${this.setting.seed} ${wish.alias} ${wishNumber}.${number}`)
  }

  #target({ alias, by }: Wish): KeyTarget {
    const token = this.firstToken
    const first = this.attempts.find(({ wish, answer }) => wish.verb === 'create' && wish.alias === alias && answer !== undefined)
    if (alias !== 'a' || by === undefined || token === undefined || first === undefined) return { alias }
    return by === 'token' ? { token } : { keyId: keyIdOf(first.operationId) }
  }

  #begin(attempt: Attempt): void {
    const { world } = this
    Object.assign(attempt, { started: true, startStep: world.steps, startedAt: world.clock.now() })
    world.skewMs = Math.max(world.skewMs, Math.abs(attempt.skewMs))
    if (attempt.wish.verb === 'unblock') this.judge.blocked.clear()
  }

  async start(attempt: Attempt): Promise<void> {
    this.#begin(attempt)
    const { world } = this
    const { bug, shape, seed, gateway: hasGateway, shortPages = false } = this.setting
    const { wish, wishNumber, number } = attempt
    const clock = world.clockOf(attempt)
    const hook: Hook = world.hookFor(attempt)
    const service = this.#service.through(hook)
    const runtime = { ...testRuntime(), clock, random: new SeededRandom(`${seed} provider ${attempt.label}`) }
    const opened = await (bug?.open ?? shape.open)(bug?.service?.(service) ?? service, runtime)
    const plainGateway = this.gateway.through(hook, clock)
    const of: BugContext = { wish, label: attempt.label, provider: opened, gateway: plainGateway, clock, memory: this.#memory }
    const pages = shortPages && mix(`pages ${attempt.label} ${seed}`) % 2 === 0
    const provider = this.claims.watched(withShortPages(bug?.provider?.(opened, of) ?? opened, pages), attempt, () => void (attempt.firstLook ??= world.steps))
    const gateway = withShortPages(bug?.gateway?.(plainGateway, of) ?? plainGateway, pages)
    const store = { name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: this.setting.writeOnly === true ? ('write_only' as const) : ('read_and_write' as const) }, invalidate: () => undefined }
    const options: KeyLifecycleOptions = { clock, random: this.#random(wish, wishNumber, number), ...(hasGateway ? { gateway } : {}) }
    const lifecycle = new KeyLifecycle(store, options)
    const call = { signal: new AbortController().signal, deadline: clock.now() + (wish.verb === 'reconcile' ? 60_000 : 25_000) }
    const context: OperationContext = { ...this.#context(wish, wishNumber), call }
    const removed = wish.verb !== 'delete' ? undefined : bug?.remove?.(provider, createdName(`litellm/${wish.alias}`), call, of).then((): KeyAnswer => ({ keyId: '', epoch: 0, state: 'revoked', stored: { store: '', name: '' }, data: {}, operations: [], guarantee: 'detected', operationId: attempt.operationId, enforcedBy: [] }))
    void (removed ?? send(lifecycle, wish, wishNumber, this.#target(wish), context)).then(
      (said) => {
        if (!attempt.dead) this.#finish(attempt, isAnswer(said) ? { answer: said } : { report: said })
      },
      (error: unknown) => {
        if (!attempt.dead) this.#finish(attempt, { error: error instanceof LatchkeyError ? error : Object.assign(asLatchkeyError(error), { cause: error }) })
      },
    )
    await world.settle()
  }

  #finish(attempt: Attempt, outcome: { answer: KeyAnswer } | { report: ReconcileReport } | { error: LatchkeyError }): void {
    Object.assign(attempt, outcome, { done: true, tookMs: this.world.clock.now() - attempt.startedAt })
    this.setting.bug?.answer?.(attempt)
    const { answer, error, report, wish } = attempt
    const said = answer === undefined ? `has looked at ${report?.checked ?? 0}: ${(report?.items ?? []).map(({ finding, action }) => `${finding} ${action}`).join(', ') || 'all well'}` : `answers ${answer.state} epoch ${answer.epoch}${answer.key === undefined ? '' : ' with its token'}${answer.superseded === undefined ? '' : `, superseded: ${answer.superseded}`}`
    this.world.trace.push(`     ${attempt.label.padEnd(22)} ${error === undefined ? said : `answers ${error.code}, applied ${error.details.applied ?? '?'}`}`)
    if (answer === undefined) return
    const { verb } = wish
    if (verb === 'delete') this.oracle.ended.add(answer.keyId)
    if (answer.superseded !== undefined) return
    if (verb === 'create') {
      if (wish.alias === 'a') this.firstToken ??= answer.key
      this.judge.born.add(answer.keyId)
    }
    // Of a key that was one already, an adoption says only how it stands.
    const taken = verb === 'adopt' && this.oracle.at(createdName(`litellm/${wish.alias}`)).now?.operation === undefined
    if ((verb === 'unblock' || taken) && answer.state !== 'blocked') this.judge.born.add(answer.keyId)
    if (verb === 'rotate' || verb === 'event') this.judge.rotated.add(answer.operationId)
    const freed = this.attempts.some((other) => other.wish.verb === 'unblock' && other.started && (!other.done || other.faulted || other.startStep >= attempt.startStep))
    if (verb === 'block' && answer.state === 'blocked' && !freed) this.judge.blocked.add(answer.keyId)
    const until = answer.operations.find(({ id }) => id === answer.operationId)?.until
    const promised = this.oracle.promised.get(answer.operationId)
    if (until !== undefined && promised !== undefined) promised.until = Math.max(promised.until ?? 0, until.getTime())
  }

  /** Carries out one decision; `false` where there is nothing to do it to. `before`: called before each call of a sending that runs. */
  async decide(decision: Decision, before?: (attempt: Attempt) => void): Promise<boolean> {
    const { world } = this
    const [kind] = decision
    if (kind === 'start') {
      const attempt = this.attempts.find((each) => each.wishNumber === decision[1] && each.number === decision[2] && !each.started)
      if (attempt !== undefined) await this.start(attempt)
      return attempt !== undefined
    }
    if (kind === 'run') {
      await this.only(this.attempts.find(({ label }) => label === decision[1]), before)
      return true
    }
    const index = kind === 'meet' || kind === 'release' ? (kind === 'meet' ? world.waiting : world.held).findIndex(({ process }) => process.label === decision[1]) : kind === 'land' && decision[1] < world.late.length ? decision[1] : -1
    if (kind === 'pass') await this.pass(decision[1])
    else if (kind === 'outsider') await this.outsider(decision[1], decision[2])
    else if (index < 0) return false
    else if (kind === 'meet') await world.meet(index, decision[2])
    else if (kind === 'land') await world.land(index)
    else await world.release(index)
    await world.settle()
    this.counted?.add(this.state())
    if (this.claims.failure !== undefined) throw this.claims.failure
    return true
  }

  /** @throws Violation, unless a planted bug is known to break that one beside */
  refuse(invariant: Invariant, message: string): void {
    if (!this.oracle.ignored.has(invariant)) throw new Violation(invariant, message)
  }

  readonly #beside: Hook = (step, apply) => {
    this.world.touched.add(step.name)
    return calmHook(step, apply)
  }

  /** Somebody else does something to a live secret in the service. */
  async outsider(what: Outsider, alias: string): Promise<void> {
    const name = createdName(`litellm/${alias}`)
    const known = this.oracle.at(name)
    const act = this.setting.shape.outsiders[what]
    if (act === undefined || known.outsider !== undefined || known.now === undefined || known.now.revoked || !known.now.complete) return
    Object.assign(known, { outsider: what, tainted: true })
    this.world.trace.push(`     ${'(somebody else)'.padEnd(22)} ${what} of ${alias}`)
    await act(this.#service.through(this.#beside), name)
    await this.look()
  }

  /** LiteLLM stores a key of its own under an alias, and accepts it where there is a gateway. */
  async stored(alias: string): Promise<void> {
    const { world, setting, gateway } = this
    const provider = await setting.shape.open(this.#service.through(this.#beside), { ...testRuntime(), clock: world.clock, random: new SeededRandom('litellm') })
    const token = SecretValue.of(`sk-litellm-${mix(setting.seed)}`)
    const call = { signal: new AbortController().signal, deadline: Infinity }
    this.names.add(alias)
    await provider.write?.({ name: createdName(`litellm/${alias}`), value: token, expect: 'any', operation: `litellm-${'0'.repeat(40)}`, stage: 'current' }, call)
    if (setting.gateway) gateway.hold(token)
    await this.look()
  }

  /** I11 where nothing but time has passed. */
  async pass(ms: number): Promise<void> {
    await this.world.pass(ms)
    if (ms < 1000) return
    for (const alias of this.names) await this.oracle.judgeFormer(createdName(`litellm/${alias}`))
  }

  /** The state of this world as one number: what the store and the gateway hold, what is on the way, and what every living process has seen. */
  state(): number {
    const { world } = this
    const processes = this.attempts.filter(({ started, dead, done }) => started && !dead && !done).map(({ label, seen, calls }) => `${label} ${calls} ${seen}`)
    const onTheWay = [...world.late.map(({ step }) => `${step.call} ${step.name}`), ...world.held.map(({ process }) => process.label)]
    return mix(`${this.oracle.hash} ${this.gateway.hash} ${processes.join()}|${onTheWay.join()}`)
  }

  /** Runs what is waiting, in order, without faults, until nothing waits. */
  async calm(): Promise<void> {
    const { world } = this
    for (let turns = 0; world.waiting.length + world.held.length > 0; turns += 1) {
      if (turns > 600) throw new Violation('I13 liveness', 'an operation does not come to an end')
      if (world.waiting.length > 0) await world.meet(0)
      else await world.release(0)
      await world.settle()
      this.counted?.add(this.state())
    }
  }

  /** Lets one sending run to its end while the others wait. `before`: called before each of its calls. */
  async only(attempt: Attempt | undefined, before?: (attempt: Attempt) => void): Promise<void> {
    for (let turns = 0; turns < 400; turns += 1) {
      const next = this.world.waiting.findIndex(({ process }) => process === attempt)
      if (attempt === undefined || next < 0) return
      before?.(attempt)
      await this.world.meet(next)
      await this.world.settle()
      this.counted?.add(this.state())
    }
  }

  /** One wish, alone, to its end. */
  async alone(wish: Wish, wishNumber: number, number = 1): Promise<Attempt> {
    const attempt = this.add(wish, wishNumber, number)
    const { world, claims, quiet } = this
    const question = quiet === undefined ? undefined : QuietRequests.question(this, attempt)
    const told = quiet?.told(question)
    const [began, met, written] = [world.steps, world.met.length, claims.writes]
    if (told !== undefined) {
      this.#begin(attempt)
      world.steps += told.steps
      const after = (steps: number | undefined): number | undefined => (steps === undefined ? undefined : began + steps)
      Object.assign(attempt, { firstStep: after(told.firstStep), firstLook: after(told.firstLook) })
      this.#finish(attempt, told.outcome)
      return attempt
    }
    await this.start(attempt)
    await this.calm()
    const { answer, report, error, firstStep, firstLook } = attempt
    const outcome = answer !== undefined ? { answer } : report !== undefined ? { report } : error !== undefined ? { error } : undefined
    const since = (step: number | undefined): number | undefined => (step === undefined ? undefined : step - began)
    if (question !== undefined && outcome !== undefined && !attempt.faulted && claims.writes === written && !world.met.slice(met).some(({ step }) => step.changes)) quiet?.remember(question, { outcome, steps: world.steps - began, firstStep: since(firstStep), firstLook: since(firstLook) })
    return attempt
  }
}

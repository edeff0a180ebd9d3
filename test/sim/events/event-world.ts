// A world of events: one key in one store, several instances with a rotator each that share nothing but the service, senders that bring events to them, and the faults of
// every schedule. What must hold is judged after every change by the judges of all schedules, and at the end by the event judge.
import { createHash } from 'node:crypto'
import { SecretCache } from '../../../shared/core/cache.ts'
import { KeyLifecycle } from '../../../shared/core/key-lifecycle.ts'
import { beginOperation } from '../../../shared/core/keys/operation.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { eventGraceMs, rotationContext } from '../../../shared/core/rotation/schedule.ts'
import { Rotator } from '../../../shared/core/rotation/rotator.ts'
import type { Clock, Runtime } from '../../../shared/core/runtime.ts'
import { SecretStore } from '../../../shared/core/store.ts'
import type { KeyAnswer } from '../../../shared/core/virtual-key.ts'
import { openSecretsManagerAccount, SecretsManagerAccount } from '../../shapes/secrets-manager.ts'
import { calmHook, type Hook } from '../../shapes/service.ts'
import { SeededRandom, testRuntime } from '../../support/runtime.ts'
import { GatewayJudge } from '../judges/gateway-judge.ts'
import { Oracle } from '../judges/oracle.ts'
import { Remembered } from '../judges/remembered.ts'
import { shapes } from '../shapes.ts'
import { GatewayModel } from '../world/gateway.ts'
import { World } from '../world/world.ts'
import { nextOf, senderOf, take, type Delivery, type Sender, type Sending } from './deliveries.ts'

/** A service that events are about: the shapes of memory, and an account of AWS, which drives rotations itself. */
export interface Host {
  readonly name: string
  readonly inMemory: boolean
  make(clock: Clock): { open(hook: Hook, runtime: Runtime): Promise<SecretProvider>; held(object: string): string; reserve?(name: string, version: string): { readonly arn: string; readonly handler: string } }
}

export const hosts: readonly Host[] = [
  ...shapes.filter(({ inMemory }) => inMemory).map((shape): Host => ({
    name: shape.name,
    inMemory: true,
    make: (clock) => {
      const service = shape.make(clock)
      return { open: (hook, runtime) => shape.open(service.through(hook), runtime), held: (object) => service.content?.(object) ?? '' }
    },
  })),
  {
    name: 'aws',
    inMemory: false,
    make: (clock) => {
      const account = new SecretsManagerAccount(clock)
      return { open: (hook, runtime) => openSecretsManagerAccount(account.through(hook), runtime), held: (object) => account.content(object), reserve: (name, version) => account.rotate(name, version) }
    },
  },
]

const name = createdName('litellm/a')
const day = 24 * 3_600_000

/** The operation that a version of AWS's is. */
const operationOf = (version: string): string => createHash('sha256').update(version).digest('hex').slice(0, 32)

export class EventWorld {
  readonly world = new World()
  readonly gateway: GatewayModel
  readonly oracle: Oracle
  readonly judge: GatewayJudge
  readonly senders: Sender[] = []
  readonly deliveries: Delivery[] = []
  readonly hasGateway: boolean
  readonly #service: ReturnType<Host['make']>
  readonly #seed: string

  private constructor(host: Host, service: ReturnType<Host['make']>, how: { readonly seed: string; readonly gateway: boolean }, oracle: Oracle, world: World) {
    this.world = world
    this.#service = service
    this.#seed = how.seed
    this.hasGateway = how.gateway
    this.oracle = oracle
    this.gateway = new GatewayModel(world.clock)
    this.judge = new GatewayJudge(this.gateway, oracle, world.clock)
    world.inMemory = host.inMemory
    world.forget = () => void (this.gateway.forgets = true)
    world.busy = () => this.deliveries.some((each) => !each.dead && !each.done && !world.waiting.some(({ process }) => process === each) && !world.held.some(({ process }) => process === each))
    world.changed = () => this.look()
  }

  static async open(host: Host, how: { readonly seed: string; readonly gateway: boolean }): Promise<EventWorld> {
    const world = new World()
    const service = host.make(world.clock)
    const remembered = new Remembered({ now: () => world.clock.now(), held: (object) => service.held(object) })
    const provider = await service.open(remembered.hook, { ...testRuntime(), clock: world.clock, random: new SeededRandom('oracle provider') })
    return new EventWorld(host, service, how, new Oracle(provider, world.clock, remembered), world)
  }

  /** Who knows the truth looks at everything. */
  async look(): Promise<void> {
    const { oracle, world } = this
    oracle.step = world.steps
    const differs = oracle.refresh(world.touched)
    world.touched.clear()
    if (differs) await oracle.judge(name)
    if (this.hasGateway) this.judge.judge()
  }

  async #instance(label: string, hook: Hook): Promise<{ keys: KeyLifecycle; rotator: Rotator }> {
    const { clock } = this.world
    const runtime = { ...testRuntime(), clock, random: new SeededRandom(`${this.#seed} ${label}`) }
    const provider = await this.#service.open(hook, { ...runtime, random: new SeededRandom(`${this.#seed} provider ${label}`) })
    const policy = { accessMode: 'read_and_write' as const, prefix: 'litellm', storeVirtualKeys: true }
    const store = new SecretStore({ name: 'default', system: 'any', provider, policy, cache: new SecretCache(clock), clock, random: runtime.random })
    const keys = new KeyLifecycle(store, { clock, random: runtime.random, ...(this.hasGateway ? { gateway: this.gateway.through(hook, clock) } : {}) })
    return { keys, rotator: new Rotator({ stores: new Map([['default', store]]), keys, keyStore: 'default', gateway: this.hasGateway, rotated: [], runtime }) }
  }

  /** The key that the events are about, made a day ago. */
  async key(rotatesDaily: boolean): Promise<KeyAnswer> {
    const touching: Hook = (step, apply) => {
      this.world.touched.add(step.name)
      return calmHook(step, apply)
    }
    const { keys } = await this.#instance('creator', touching)
    const call = { signal: new AbortController().signal, deadline: Infinity }
    const made = await keys.create({ alias: 'a', ...(rotatesDaily ? { data: { auto_rotate: true, rotation_interval: '1d' } } : {}) }, { call, caller: 'client', route: '/key/generate', body: '{}' })
    for (let epoch = 1; epoch < 8; epoch += 1) this.#promise(beginOperation('rotate', rotationContext(made.keyId, epoch, call), name.text, new SeededRandom()).id)
    this.judge.born.add(made.keyId)
    await this.look()
    await this.world.pass(day)
    return made
  }

  #promise(id: string): void {
    this.oracle.promised.set(id, { graceMs: eventGraceMs })
    this.oracle.sendings.push({ id, verb: 'rotate', firstStep: () => Infinity })
  }

  /** AWS begins a rotation; nothing where the service drives none. */
  reserve(version: string): { readonly arn: string; readonly handler: string } | undefined {
    this.#promise(operationOf(version))
    const reserved = this.#service.reserve?.(name.text, version)
    this.world.touched.add(name.text)
    return reserved
  }

  send(sending: Sending): Sender {
    const sender = senderOf(sending)
    this.senders.push(sender)
    return sender
  }

  /** The next delivery of a sender begins. */
  async deliver(sender: Sender): Promise<Delivery | undefined> {
    const delivery = nextOf(sender)
    if (delivery === undefined) return undefined
    sender.now = delivery
    this.deliveries.push(delivery)
    const { world } = this
    const { rotator } = await this.#instance(delivery.label, world.hookFor(delivery))
    void rotator.handle(delivery.event, { signal: new AbortController().signal, deadline: world.clock.now() + 60_000 }).then((outcome) => {
      if (delivery.dead) return
      Object.assign(delivery, { outcome, done: true })
      world.trace.push(`     ${delivery.label.padEnd(22)} ${outcome.decision}: ${outcome.reason} ${outcome.error?.message ?? ''}`)
    })
    await world.settle()
    return delivery
  }

  /** Every sender sees what became of its delivery. */
  taken(): void {
    for (const sender of this.senders) take(sender)
  }

  /** Runs all that is under way to its end, without faults. */
  async calm(): Promise<void> {
    const { world } = this
    while (world.waiting.length + world.held.length > 0) {
      if (world.waiting.length > 0) await world.meet(0)
      else await world.release(0)
      await world.settle()
    }
    this.taken()
  }

  /** One sender alone, until it has nothing to bring. */
  async alone(sender: Sender): Promise<void> {
    while ((await this.deliver(sender)) !== undefined) await this.calm()
  }
}

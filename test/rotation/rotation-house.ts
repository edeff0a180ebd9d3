// Keys and secrets of one store with the rotator over them, and further instances beside it that share nothing but the service. The store is any shape of memory, or a
// real provider over its fake.
import { SecretCache } from '../../shared/core/cache.ts'
import { hostedName } from '../../shared/core/names.ts'
import { createdName } from '../../shared/core/names/created.ts'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import type { AccessPolicy } from '../../shared/core/policy.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import type { RotationEvent } from '../../shared/core/rotation/event.ts'
import { Rotator } from '../../shared/core/rotation/rotator.ts'
import { readRotation } from '../../shared/core/rotation/settings.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { SecretStore } from '../../shared/core/store.ts'
import type { KeyAnswer } from '../../shared/core/virtual-key.ts'
import { GatewayModel } from '../sim/world/gateway.ts'
import { calmHook, type WireStep } from '../shapes/service.ts'
import type { Shape } from '../sim/shapes.ts'
import { callOf, testRuntime, type TestRuntime } from '../support/runtime.ts'
import { nameIn } from '../../shared/core/stores/naming.ts'

export const hour = 3_600_000
export const day = 24 * hour

export interface Opening {
  readonly policy?: Partial<AccessPolicy>
  readonly gateway?: boolean
  /** `latchkey.rotation`, as it is written. */
  readonly rotation?: unknown
}

/** An event as a host makes it; what differs is given. */
export const eventOf = (given: Partial<RotationEvent>): RotationEvent => ({ source: 'http', kind: 'rotate', id: 'event-1', ...given })

export const rotationHouse = async (runtime: TestRuntime, open: () => Promise<SecretProvider>, opening: Opening = {}) => {
  const { clock, random } = runtime
  const model = new GatewayModel(clock)
  const gateway = { model, port: model.through(calmHook, clock) }
  /** One process: its own provider, cache, lifecycle and rotator. `wrap` stands before its provider. */
  const instance = async (wrap: (provider: SecretProvider) => Partial<SecretProvider> = () => ({})) => {
    const opened = await open()
    const provider = { ...opened, ...wrap(opened) }
    const policy: AccessPolicy = { accessMode: 'read_and_write', prefix: 'litellm', storeVirtualKeys: true, ...opening.policy }
    const store = new SecretStore({ name: 'default', system: 'any', provider, policy, cache: new SecretCache(clock), clock, random })
    const keys = new KeyLifecycle(store, { clock, random, ...(opening.gateway === true ? { gateway: model.through(calmHook, clock) } : {}) })
    const stores = new Map([['default', store]])
    const rotator = new Rotator({ stores, keys, keyStore: 'default', gateway: opening.gateway === true, rotated: readRotation(opening.rotation), runtime })
    return { provider, store, keys, rotator, handle: (event: Parameters<Rotator['handle']>[0], withinMs = 300_000) => rotator.handle(event, callOf(clock, { withinMs })) }
  }
  const first = await instance()
  const call = () => callOf(clock, { withinMs: 300_000 })
  const context = () => ({ call: call(), caller: 'tester', route: '/key', body: '{}' })
  const accepts = async (token: SecretValue | undefined): Promise<boolean> => token !== undefined && (await first.keys.verify(token, call())).valid
  /** A key that was made long enough ago to be rotated. */
  const oldKey = async (alias: string, more: object = {}): Promise<KeyAnswer> => {
    const made = await first.keys.create({ alias, ...more }, context())
    clock.advance(day)
    return made
  }
  /** An ordinary secret of ours, made long enough ago. */
  const oldSecret = async (name: string, value: string, labels: Readonly<Record<string, string>> = { 'managed-by': 'latchkey' }): Promise<void> => {
    await first.provider.write?.({ name: nameIn(first.store, name), value: SecretValue.of(value), expect: 'any', operation: `seed-${Buffer.from(random.bytes(20)).toString('hex')}`, stage: 'current', labels }, call())
    clock.advance(day)
  }
  const epochOf = async (alias: string): Promise<number> => (await first.keys.info({ alias }, call())).epoch
  const tokenOf = async (alias: string): Promise<SecretValue> => (await first.provider.read(createdName(`litellm/${alias}`), {}, call())).value
  const valueOf = async (name: string): Promise<SecretValue> => (await first.provider.read(hostedName(name), {}, call())).value
  const lines = () => runtime.audited.filter(({ action }) => action === 'events:rotate')
  return { ...first, runtime, clock, gateway, instance, call, context, accepts, oldKey, oldSecret, epochOf, tokenOf, valueOf, lines }
}

/** The house over one of the simulator's shapes. `steps` holds every call to the service. */
export const houseOn = async (shape: Shape, opening: Opening = {}) => {
  const runtime = testRuntime()
  const steps: WireStep[] = []
  const service = shape.make(runtime.clock).through((step, apply) => {
    steps.push(step)
    return calmHook(step, apply)
  })
  const house = await rotationHouse(runtime, () => shape.open(service, runtime), opening)
  const writes = (): number => steps.filter(({ changes }) => changes).length
  return { ...house, steps, writes }
}

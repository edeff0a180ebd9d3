// A store of virtual keys over one shape of memory, and further instances beside it that see the same service through a provider of their own.
import { expect } from 'vitest'
import { KeyLifecycle, type KeyLifecycleOptions } from '../../../shared/core/key-lifecycle.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { Gateway } from '../../../shared/core/gateway.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { AccessMode } from '../../../shared/core/policy.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import type { SecretValue } from '../../../shared/core/secret.ts'
import { tokenHash, type Reconciled } from '../../../shared/core/virtual-key.ts'
import { GatewayModel } from '../../sim/world/gateway.ts'
import { calmHook, type WireStep } from '../../shapes/service.ts'
import { shapes, type Shape } from '../../sim/shapes.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'

export type Required = { readonly [M in keyof SecretProvider]-?: NonNullable<SecretProvider[M]> }

export interface Given {
  readonly accessMode?: AccessMode
  readonly storeVirtualKeys?: boolean
  readonly prefix?: string
  readonly without?: keyof SecretProvider
  /** Methods that stand before those of the provider. */
  readonly wrap?: (provider: Required) => Partial<SecretProvider>
  readonly options?: Partial<KeyLifecycleOptions>
}

/** A call that never gets an answer. */
export const unanswered = (): Promise<never> => Promise.reject(new LatchkeyError('provider_unavailable', 'The service does not answer.'))

/** An instance that stops once a call of this kind about this name has taken effect: none is answered from then on. */
export const stoppingAfter = (method: 'promote' | 'write', text: string): { readonly wrap: (provider: Required) => Partial<Required> } => {
  let over = false
  const until = <A extends readonly unknown[], R>(send: (...all: A) => Promise<R>) => (...all: A): Promise<R> => (over ? unanswered() : send(...all))
  const last = <A extends readonly unknown[], R>(send: (...all: A) => Promise<R>, nameOf: (...all: A) => string) => async (...all: A): Promise<R> => {
    const answer = await until(send)(...all)
    over ||= nameOf(...all) === text
    return answer
  }
  return {
    wrap: ({ describe, annotate, discard, write, promote }) => ({
      describe: until(describe),
      annotate: until(annotate),
      discard: until(discard),
      write: method === 'write' ? last(write, ({ name }) => name.text) : until(write),
      promote: method === 'promote' ? last(promote, (name) => name.text) : until(promote),
    }),
  }
}

let written = 0
/** LiteLLM, or somebody else, writes a value of its own. */
export const litellmWrites = (provider: Required, value: SecretValue, text = 'litellm/a') => provider.write({ name: createdName(text), value, expect: 'any', operation: `litellm-${String((written += 1)).padStart(40, '0')}`, stage: 'current' }, { signal: new AbortController().signal, deadline: Infinity })

/** A provider of a service whose labels follow a version: under this name they never do. */
export const unlabelled = (inner: Required, text: string): Required => ({ ...inner, write: ({ labels = {}, ...plain }, call) => inner.write(plain.name.text === text ? plain : { ...plain, labels }, call) })

/** What a call came to: `done`, or the code of its failure. */
export const outcomeOf = (answer: Promise<unknown>): Promise<string> => answer.then(() => 'done', (error: { code: string }) => error.code)

/** Seconds to wait, exactly; about so where the service's own pauses come between. */
export const seconds = ({ pausesMs }: Shape, exactly: number): number => (pausesMs === 0 ? exactly : (expect.toSatisfy((told: unknown) => typeof told === 'number' && told > exactly - pausesMs / 1000 && told <= exactly + pausesMs / 1000) as number))

export const shapeNamed = (name: string): Shape => shapes.find((shape) => shape.name === name) as Shape

export const house = async (shape: Shape = shapes[0] as Shape, first: Given = {}) => {
  const runtime = testRuntime()
  const steps: WireStep[] = []
  const service = shape.make(runtime.clock).through((step, apply) => {
    steps.push(step)
    return calmHook(step, apply)
  })
  const provider = (await shape.open(service, runtime)) as Required
  const beside = ({ accessMode = 'read_and_write', storeVirtualKeys = true, prefix = 'litellm', without, wrap, options = {} }: Given = {}): KeyLifecycle => {
    const seen = { ...provider, ...wrap?.(provider), ...(without === undefined ? {} : { [without]: undefined }) }
    const store = { name: 'default', provider: seen, policy: { prefix, storeVirtualKeys, accessMode }, invalidate: () => undefined }
    return new KeyLifecycle(store, { clock: runtime.clock, random: runtime.random, ...options })
  }
  const gateway = new GatewayModel(runtime.clock)
  /** Instances that tell the gateway; `wrap` stands before its calls. */
  const withGateway = (given: Given = {}, before: (inner: Gateway) => Partial<Gateway> = () => ({})): KeyLifecycle => {
    const port = gateway.through(calmHook, runtime.clock)
    return beside({ ...given, options: { ...given.options, gateway: { ...port, ...before(port) } } })
  }
  const keys = beside(first)
  const call = (given: { signal?: AbortSignal } = {}) => callOf(runtime.clock, given)
  const context = (idempotencyKey?: string, body = '{}') => ({ call: call(), caller: 'tester', route: '/key', body, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) })
  const accepts = async (token: SecretValue | undefined) => token !== undefined && (await keys.verify(token, call())).valid
  const atGateway = (token: SecretValue | undefined): boolean => token !== undefined && gateway.accepts(tokenHash(token))
  /** The sweep, to its end: what it found and did. */
  const sweep = async (swept: KeyLifecycle = keys, repair = true) => {
    const items: Reconciled[] = []
    let cursor: string | undefined
    do {
      const page = await swept.reconcile({ limit: 50, repair, ...(cursor === undefined ? {} : { cursor }) }, context())
      items.push(...page.items)
      cursor = page.cursor
    } while (cursor !== undefined)
    return items
  }
  return { runtime, steps, service, provider, keys, beside, withGateway, gateway, atGateway, sweep, context, call, accepts }
}

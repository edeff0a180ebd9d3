// What Latchkey says of itself and of who asks: is it ready, who am I, what can the stores do. `/ready` asks each store at most every ten seconds, whoever asks.
import { waitFor, type Call } from '../../core/runtime.ts'
import type { Finding } from '../../core/provider.ts'
import type { SecretStore } from '../../core/store.ts'
import type { Answer, Caller, Exchange, Services } from '../api.ts'
import { allows, tokenOf } from '../auth.ts'
import { answer, openAnswer, type Body } from '../problem.ts'

const readyForMs = 10_000
const checkWithinMs = 5_000

interface StoreState {
  readonly store: SecretStore
  readonly findings: readonly Finding[]
}

type Depth = 'reach' | 'read' | 'write'
interface Checked {
  readonly at: number
  readonly states: Promise<readonly StoreState[]>
}
const checks = { reach: new WeakMap<Services, Checked>(), permissions: new WeakMap<Services, Checked>() } as const

const checkStore = async (store: SecretStore, depth: Depth, call: Call): Promise<StoreState> => {
  try {
    return { store, findings: await store.provider.check(depth, call, store.policy.prefix) }
  } catch {
    return { store, findings: [{ ok: false, subject: depth, message: 'The check itself failed.' }] }
  }
}

/** What this function, with this store's policy, will ever ask of the service. */
const neededDepth = ({ policy }: SecretStore, { changes }: Services): Depth => {
  if (changes && (policy.storeVirtualKeys || policy.accessMode !== 'read_only')) return 'write'
  return policy.accessMode === 'write_only' ? 'reach' : 'read'
}

/** One check serves everybody who asks within ten seconds; no caller's leaving ends it. */
const stateOf = (services: Services, what: keyof typeof checks): Promise<readonly StoreState[]> => {
  const now = services.runtime.clock.now()
  const last = checks[what].get(services)
  if (last !== undefined && now - last.at < readyForMs) return last.states
  const call: Call = { signal: new AbortController().signal, deadline: now + checkWithinMs }
  const states = Promise.all([...services.stores.values()].map((store) => checkStore(store, what === 'reach' ? 'reach' : neededDepth(store, services), call)))
  checks[what].set(services, { at: now, states })
  return states
}

const shown = (state: StoreState | undefined): readonly Body[] => (state?.findings ?? []).map(({ ok, subject, message, setting }) => ({ ok, subject, message, setting }))
const isReady = (state: StoreState): boolean => state.findings.every((finding) => finding.ok)

/** Whoever comes through a gateway that proves everybody, and is named nowhere, asks a public question like anybody else. @throws what it was given, otherwise */
const unlessUnnamed = (exchange: Exchange, error: unknown): Caller => {
  if (exchange.identity === undefined || tokenOf(exchange) !== undefined) throw error
  return exchange.caller
}

/** `GET /ready`: whether every store can be reached, and to operators what each may do. */
export const ready = async (exchange: Exchange): Promise<Answer> => {
  const { services, headers, identity } = exchange
  const credential = headers['authorization'] ?? headers['x-litellm-api-key'] ?? identity
  const caller = credential === undefined ? exchange.caller : await services.auth.authenticate(exchange, exchange.call).catch((error: unknown) => unlessUnnamed(exchange, error))
  const states = await waitFor(stateOf(services, 'reach'), exchange.call, services.runtime.clock)
  const fine = states.every(isReady)
  const body = { status: fine ? 'ready' : 'not_ready' }
  const [status, more] = fine ? [200, {}] : [503, { 'retry-after': String(readyForMs / 1000) }]
  if (!allows(caller, 'ops:read')) return openAnswer(status, body, more)
  const receipt = await exchange.record({ action: 'ops:read', decision: 'allowed', caller: caller.name })
  // Permissions are told and decide nothing: an identity that may read certain names only is refused the name that a check makes up.
  const permissions = await waitFor(stateOf(services, 'permissions'), exchange.call, services.runtime.clock)
  const stores = states.map((state, index) => ({ name: state.store.name, system: state.store.system, ready: isReady(state), findings: shown(state), permissions: shown(permissions[index]) }))
  return answer(receipt, status, { ...body, stores }, more)
}

const selfOf = ({ name, master, grants, also }: Caller): Body => ({
  name,
  master,
  grants: master ? [{ action: '*' }] : grants.map(({ action, names, team, fields }) => ({ action, names, team, fields })),
  also: also && selfOf(also),
})

/** `GET /whoami`: who the caller is, and what it may do. */
export const whoami = async (exchange: Exchange): Promise<Answer> => {
  return answer(await exchange.record({ decision: 'allowed' }), 200, selfOf(exchange.caller))
}

const capabilitiesOf = (store: SecretStore): Body => {
  const { traits } = store.provider
  return {
    name: store.name,
    system: store.system,
    access_mode: store.policy.accessMode,
    store_virtual_keys: store.policy.storeVirtualKeys,
    prefix: store.policy.prefix,
    guarantee: traits.write?.guarantee ?? null,
    versions: traits.versions,
    soft_delete: traits.write?.softDelete ?? false,
    max_value_bytes: traits.value.maxBytes,
    value_bytes: traits.value.bytes,
    can: {
      read: true,
      batch_read: store.can('readMany'),
      list: store.can('list'),
      write: store.can('write'),
      rotate: store.can('promote'),
      delete: store.can('remove'),
      recover: store.can('recover'),
    },
  }
}

/** `GET /capabilities`: what every store can do. */
export const capabilities = async (exchange: Exchange): Promise<Answer> => {
  const { services } = exchange
  const receipt = await exchange.record({ decision: 'allowed' })
  return answer(receipt, 200, { version: services.version, stores: [...services.stores.values()].map(capabilitiesOf) })
}

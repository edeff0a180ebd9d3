// The five shapes as the simulator drives them, and which of their calls may land however late: conditional steps and new objects. Label writes have no
// condition; they land within the deadline of their request, which every sender checks before each send.
import type { SecretProvider } from '../../shared/core/provider.ts'
import type { HttpPort } from '../../shared/core/http-client.ts'
import type { Clock, Runtime } from '../../shared/core/runtime.ts'
import { readSettings } from '../../shared/core/settings.ts'
import { googleSecretManager } from '../../shared/providers/google-secret-manager.ts'
import { hashicorpVault } from '../../shared/providers/hashicorp-vault.ts'
import { knownAccount } from '../fakes/google-bearer.ts'
import { fakeProject, GoogleSecretFake } from '../fakes/google/secret-manager.ts'
import { VaultState } from '../fakes/vault/vault.ts'
import { wireless } from '../fakes/wire.ts'
import { fakeVault, openAzureWireless } from '../conformance/harnesses/azure-key-vault.ts'
import { openConjurWireless } from '../conformance/harnesses/cyberark.ts'
import { openInfisicalWireless } from '../conformance/harnesses/infisical.ts'
import { ConjurService } from '../fakes/conjur/server.ts'
import { infisicalService } from '../fakes/infisical/service.ts'
import { CompareAndSetService, openCompareAndSet } from '../shapes/compare-and-set.ts'
import { EtagService, openEtag } from '../shapes/etag.ts'
import { openPlain, PlainService } from '../shapes/plain.ts'
import type { Hook } from '../shapes/service.ts'
import { openStaged, StagedService } from '../shapes/staged.ts'
import { openUpsert, UpsertService } from '../shapes/upsert.ts'

/** A service seen through one instance's hook. */
export interface Shape<S = unknown> {
  readonly name: string
  readonly guarantee: 'atomic' | 'cooperating' | 'detected'
  /** How many times as long a schedule takes as in memory: the shapes find what the engine does wrong, the real providers on their fakes what they do, in fewer schedules. */
  readonly effort: number
  /** How long one of its operations may pause by itself, on the clock of the test. */
  readonly pausesMs: number
  make(clock: Clock): { through(hook: Hook): S }
  open(service: S, runtime: Runtime): Promise<SecretProvider>
}

const shape = <S>(name: string, guarantee: Shape['guarantee'], make: (clock: Clock) => { through(hook: Hook): S }, open: Shape<S>['open'], effort = 1, pausesMs = 0): Shape => ({ name, guarantee, effort, pausesMs, make, open: open as Shape['open'] })

/** A fake with a wire protocol of its own, without a socket. */
const inProcess = <S>(service: S): { through(hook: Hook): { readonly service: S; readonly hook: Hook } } => ({ through: (hook) => ({ service, hook }) })

/** The real provider over the fake without a socket: one request is one step. */
interface VaultLine {
  readonly http: HttpPort
  readonly token: string
}
const makeVault = (clock: Clock): { through(hook: Hook): VaultLine } => {
  const state = new VaultState({ now: () => clock.now() })
  return { through: (hook) => ({ http: wireless(state, hook), token: state.rootToken }) }
}
const openVault = ({ http, token }: VaultLine, runtime: Runtime): Promise<SecretProvider> =>
  hashicorpVault.open(readSettings(hashicorpVault.settings, { vault_token: token }, { path: 'vault' }).settings, { ...runtime, http }, { kind: 'operator' })

/** Google's client is loaded before it is needed, because the simulator counts the turns that a process takes. */
const openGoogle = async ({ service, hook }: { readonly service: GoogleSecretFake; readonly hook: Hook }, runtime: Runtime): Promise<SecretProvider> => {
  await Promise.all([import('@google-cloud/secret-manager'), import('google-gax/fallback')])
  const { settings } = readSettings(googleSecretManager.settings, { google_project_id: fakeProject, google_service_account: knownAccount().file }, { path: 'google' })
  return googleSecretManager.open(settings, { ...runtime, http: wireless(service, hook) }, { kind: 'operator' })
}

export const shapes: readonly Shape[] = [
  shape('staged', 'atomic', (clock) => new StagedService(clock), openStaged),
  shape('compare_and_set', 'atomic', (clock) => new CompareAndSetService(clock), openCompareAndSet),
  shape('etag', 'cooperating', (clock) => new EtagService(clock), openEtag),
  shape('upsert', 'detected', (clock) => new UpsertService(clock), openUpsert),
  shape('plain', 'detected', (clock) => new PlainService(clock), openPlain),
  shape('vault', 'atomic', makeVault, openVault, 5),
  shape('google', 'cooperating', (clock) => inProcess(new GoogleSecretFake({ now: () => clock.now() })), openGoogle, 5),
  shape('azure', 'detected', (clock) => inProcess(fakeVault({ now: () => clock.now(), quota: { sets: 1_000_000, others: 1_000_000 } })), openAzureWireless, 5, 30_000),
  shape('conjur', 'detected', (clock) => inProcess(new ConjurService({ now: () => clock.now() })), openConjurWireless, 5),
  shape('infisical', 'detected', (clock) => inProcess(infisicalService({ now: () => clock.now() })), openInfisicalWireless, 5),
]

const bounded: ReadonlySet<string> = new Set(['tag', 'untag', 'updateDescription', 'patchMetadata', 'patchTags', 'restoreSecret', 'recoverDeleted'])

/** Whether a call may land after any time. */
export const landsAnyTime = (call: string): boolean => !bounded.has(call)

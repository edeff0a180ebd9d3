// The five shapes as the simulator drives them, and which of their calls may land however late: conditional steps, new objects, and the gateway's adds. Label
// writes and changes of the gateway's rows have no condition; they land within the deadline of their request, which every sender checks before each send.
import type { SecretProvider } from '../../shared/core/provider.ts'
import type { HttpPort } from '../../shared/core/http-client.ts'
import { slugHashCodec } from '../../shared/core/names/slug-hash.ts'
import type { Clock, Runtime } from '../../shared/core/runtime.ts'
import type { SecretName } from '../../shared/core/secret.ts'
import { hexEscapeCodec } from '../../shared/credentials/google/names.ts'
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
import type { Outsider } from './world/faults.ts'
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
  /** Made of memory alone: a process comes from one call to the next without leaving the microtasks, and the service can tell all that it holds. */
  readonly inMemory: boolean
  make(clock: Clock): { through(hook: Hook): S; content?(only?: string): string }
  open(service: S, runtime: Runtime): Promise<SecretProvider>
  /** What somebody else can do in the service. */
  readonly outsiders: Readonly<Partial<Record<Outsider, (service: S, name: SecretName) => Promise<unknown>>>>
}

const shape = <S>(name: string, guarantee: Shape['guarantee'], make: Shape<S>['make'], open: Shape<S>['open'], effort = 1, pausesMs = 0, outsiders: Shape<S>['outsiders'] = {}): Shape => ({ name, guarantee, effort, pausesMs, inMemory: effort === 1, make, open: open as Shape['open'], outsiders: outsiders as Shape['outsiders'] })

const foreign = Buffer.from('written by somebody else')
const shortly = { force: false }

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
  shape('staged', 'atomic', (clock) => new StagedService(clock), openStaged, 1, 0, {
    'soft delete': (service, { text }) => service.deleteSecret(text, shortly),
    'foreign write': (service, { text }) => service.putValue(text, '00000000-0000-4000-8000-000000000001', foreign, ['AWSCURRENT']),
  }),
  shape('compare_and_set', 'atomic', (clock) => new CompareAndSetService(clock), openCompareAndSet),
  shape('etag', 'cooperating', (clock) => new EtagService(clock), openEtag, 1, 0, { 'foreign write': (service, name) => service.addVersion(hexEscapeCodec.encode(name), foreign) }),
  shape('upsert', 'detected', (clock) => new UpsertService(clock), openUpsert, 1, 0, {
    'soft delete': (service, name) => service.deleteSecret(slugHashCodec.encode(name)),
    'foreign write': (service, name) => service.setSecret(slugHashCodec.encode(name), foreign, {}),
  }),
  shape('plain', 'detected', (clock) => new PlainService(clock), openPlain, 1, 0, { 'foreign write': (service, { text }) => service.set(text, foreign.toString()) }),
  shape('vault', 'atomic', makeVault, openVault, 5),
  shape('google', 'cooperating', (clock) => inProcess(new GoogleSecretFake({ now: () => clock.now() })), openGoogle, 5),
  shape('azure', 'detected', (clock) => inProcess(fakeVault({ now: () => clock.now(), quota: { sets: 1_000_000, others: 1_000_000 } })), openAzureWireless, 5, 30_000),
  shape('conjur', 'detected', (clock) => inProcess(new ConjurService({ now: () => clock.now() })), openConjurWireless, 5),
  shape('infisical', 'detected', (clock) => inProcess(infisicalService({ now: () => clock.now() })), openInfisicalWireless, 5),
]

const bounded: ReadonlySet<string> = new Set(['tag', 'untag', 'updateDescription', 'patchMetadata', 'patchTags', 'restoreSecret', 'recoverDeleted', 'gateway.change', 'gateway.block', 'gateway.unblock'])

/** Whether a call may land after any time. */
export const landsAnyTime = (call: string): boolean => !bounded.has(call)

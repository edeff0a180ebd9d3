// What a configuration reads for itself, as LiteLLM resolves it: the manager where it may be asked, the environment after a confirmed absence or where it may not. Unlike over HTTP
// the environment is whole here. Loaded by who asks first: a request with a token of `latchkey.access` needs none of it.
import type { Configuration, MasterKeyPlan, StoreConfiguration } from '../configuration.ts'
import { isCode } from '../errors.ts'
import type { Call, Clock } from '../runtime.ts'
import { SecretValue, type SecretRef } from '../secret.ts'
import type { SecretStore } from '../store.ts'
import { ciphertextSystems } from './ciphertext-systems.ts'
import { plainEnvironment } from './environment-fence.ts'
import type { Reader } from './reading.ts'
import type { ReferenceSource } from './reference-sources.ts'

/** What {@link OwnValues} are made of. `open` opens one store, and makes no network call. */
export interface OwnValuesOptions {
  readonly configuration: Configuration
  readonly reader: Reader
  readonly open: (store: StoreConfiguration) => Promise<SecretStore>
  readonly clock: Clock
}

/** The values that a configuration means. */
export interface OwnValues {
  /** A master key by its plan, or nothing where none is configured. @throws the failure of the store that should hold it */
  keyOf(plan: MasterKeyPlan, call: Call): Promise<SecretValue | undefined>
  /** One secret, for a program that imports Latchkey. @throws not_found, provider_denied, provider_unavailable and every other failure */
  read(given: string | SecretRef, how: Partial<Call> & { readonly default?: string }): Promise<SecretValue>
  /** Every reference of the configuration with where it is held. */
  references(call: Call): Promise<readonly ReferenceSource[]>
  close(): Promise<void>
}

const callMs = 25_000

/** Opens them; the stores that only they see are opened by the first who needs one. */
export const openOwnValues = ({ configuration, reader, open, clock }: OwnValuesOptions): OwnValues => {
  const main = reader.store('default')
  const mainConfiguration = configuration.stores.get(main.name)
  let unfenced: Promise<SecretStore> | undefined
  /** The environment as the configuration itself sees it: every name, and never over HTTP. */
  const ownEnvironment = (): Promise<SecretStore> => (unfenced ??= open({ ...plainEnvironment, name: '(configuration) environment' }))
  let openManager: Promise<SecretStore> | undefined
  /** The manager as the configuration itself sees it. It differs where variables hold ciphertext: over HTTP they are as fenced as the environment is. */
  const ownManager = async (): Promise<SecretStore> =>
    mainConfiguration === undefined || !ciphertextSystems.has(mainConfiguration.system) ? main : (openManager ??= open({ ...mainConfiguration, name: '(configuration) manager' }))

  const resolve = async (ref: SecretRef, call: Call, managerFirst: boolean): Promise<{ value: SecretValue; source: 'manager' | 'environment' }> => {
    if (managerFirst) {
      try {
        const own = await ownManager()
        const answer = own === main || (ref.store !== undefined && ref.store !== main.name) ? await reader.read(ref, call) : await own.read(ref, call)
        return { value: answer.value, source: answer.source === 'environment' ? 'environment' : 'manager' }
      } catch (error) {
        if (ref.store !== undefined || !isCode(error, 'not_found', 'forbidden')) throw error
      }
    }
    return { value: (await (await ownEnvironment()).read(ref, call)).value, source: 'environment' }
  }

  return {
    keyOf: async (plan, call) => {
      if (plan.kind === 'literal') return plan.value
      if (plan.kind === 'ref') return (await reader.read(plan.ref, call)).value
      for (const place of plan.lookIn) {
        try {
          return (await (await (place === 'manager' ? ownManager() : ownEnvironment())).read({ name: plan.name }, call)).value
        } catch (error) {
          if (!isCode(error, 'not_found')) throw error
        }
      }
      return undefined
    },
    read: async (given, { signal = new AbortController().signal, deadline = clock.now() + callMs, default: instead }) => {
      const { isOpener, parseRef } = await import('../configuration/references.ts')
      const ref = typeof given === 'string' ? parseRef(given) : given
      try {
        return (await resolve(ref, { signal, deadline }, ref.store !== undefined || !isOpener(configuration, ref.name))).value
      } catch (error) {
        if (instead === undefined || !isCode(error, 'not_found')) throw error
        return SecretValue.of(instead)
      }
    },
    references: async (call) => (await import('./reference-sources.ts')).referenceSources(configuration.references, (ref, managerFirst) => resolve(ref, call, managerFirst)),
    close: async () => {
      await (await openManager)?.provider.close?.()
    },
  }
}

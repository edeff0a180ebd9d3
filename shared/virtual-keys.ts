// The virtual keys of a running Latchkey: lifecycle and gateway together. Apart from the composition root, so that a function that only reads carries neither.
import type { Configuration, MasterKeyPlan } from './core/configuration.ts'
import { KeyLifecycle } from './core/key-lifecycle.ts'
import type { Call, Runtime } from './core/runtime.ts'
import type { SecretValue } from './core/secret.ts'
import type { SecretStore } from './core/store.ts'
import { openGateway } from './gateway/open.ts'

/** The keys of a store, and how to let go of what they hold. */
export interface OpenedKeys {
  readonly keys: KeyLifecycle
  close(): Promise<void>
}

/** Opens them without a network call. `keyOf` finds a master key by its plan. @throws misconfigured naming the setting */
export const openKeys = async (store: SecretStore, configuration: Configuration, runtime: Runtime, keyOf: (plan: MasterKeyPlan, call: Call) => Promise<SecretValue | undefined>): Promise<OpenedKeys> => {
  const { clock, random } = runtime
  const { description, tags } = configuration.stores.get(store.name) ?? {}
  const gateway = configuration.gateway === undefined ? undefined : await openGateway(configuration.gateway, runtime, keyOf)
  const said = { ...(description === undefined ? {} : { description }), ...(tags === undefined ? {} : { tags }), ...(gateway === undefined ? {} : { gateway }) }
  const close = async (): Promise<void> => gateway?.close?.()
  try {
    return { keys: new KeyLifecycle(store, { clock, random, keyName: configuration.keyName, aliases: { settings: configuration.litellmSettings, env: runtime.env }, ...said }), close }
  } catch (error) {
    await close()
    throw error
  }
}

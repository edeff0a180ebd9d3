// The virtual keys of a running Latchkey: lifecycle, gateway and the rotation by events together. Apart from the composition root, so that a function that only reads carries none of it.
import type { Configuration, MasterKeyPlan } from './core/configuration.ts'
import { KeyLifecycle } from './core/key-lifecycle.ts'
import type { Rotator } from './core/rotation/rotator.ts'
import { checkRotated, readRotation } from './core/rotation/settings.ts'
import type { Call, Runtime } from './core/runtime.ts'
import type { SecretValue } from './core/secret.ts'
import type { SecretStore } from './core/store.ts'
import { openGateway } from './gateway/open.ts'

/** The keys of a store, what rotates them by events, and how to let go of what they hold. */
export interface OpenedKeys {
  readonly keys: KeyLifecycle
  /** Loaded by the first event. */
  rotator(): Promise<Rotator>
  close(): Promise<void>
}

/** Opens them without a network call. `keyOf` finds a master key by its plan. @throws misconfigured naming the setting */
export const openKeys = async (store: SecretStore, configuration: Configuration, runtime: Runtime, keyOf: (plan: MasterKeyPlan, call: Call) => Promise<SecretValue | undefined>, stores: ReadonlyMap<string, SecretStore>): Promise<OpenedKeys> => {
  const { clock, random } = runtime
  const { description, tags } = configuration.stores.get(store.name) ?? {}
  const rotated = readRotation(configuration.rotation)
  checkRotated(rotated, stores)
  const gateway = configuration.gateway === undefined ? undefined : await openGateway(configuration.gateway, runtime, keyOf)
  const said = { ...(description === undefined ? {} : { description }), ...(tags === undefined ? {} : { tags }), ...(gateway === undefined ? {} : { gateway }) }
  const close = async (): Promise<void> => gateway?.close?.()
  try {
    const keys = new KeyLifecycle(store, { clock, random, keyName: configuration.keyName, aliases: { settings: configuration.litellmSettings, env: runtime.env }, ...said })
    let rotator: Promise<Rotator> | undefined
    const open = async (): Promise<Rotator> => new (await import('./core/rotation/rotator.ts')).Rotator({ stores, keys, keyStore: store.name, gateway: gateway !== undefined, rotated, runtime })
    return { keys, rotator: () => (rotator ??= open()), close }
  } catch (error) {
    await close()
    throw error
  }
}

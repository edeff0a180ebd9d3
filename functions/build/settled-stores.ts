// What the build takes off a function that opens a store: holding the store's settings against its provider's table.
import type { CompiledConfiguration } from '../../shared/core/configuration/compiled.ts'
import { settle } from '../../shared/core/settings/settle.ts'
import { loadProvider } from '../../shared/providers/registry.ts'

/** The same configuration; each store whose settings need no more of the table than the build can write down has that beside them. */
export const withSettled = async (compiled: CompiledConfiguration): Promise<CompiledConfiguration> => {
  const stores = compiled.configuration.stores.map(async (store) => {
    const settled = settle((await loadProvider(store.system, store.path)).settings, store.settings)
    return settled === undefined ? store : { ...store, settled }
  })
  return { ...compiled, configuration: { ...compiled.configuration, stores: await Promise.all(stores) } }
}

// What of the environment may be read over HTTP. Apart from the composition, because most deployments have no store of variables.
import type { Configuration, StoreConfiguration } from '../configuration.ts'

/** The environment where no configuration describes it. */
export const plainEnvironment: StoreConfiguration = {
  name: 'environment', system: 'environment', path: 'environment', settings: {}, accessMode: 'read_only', storeVirtualKeys: false, prefix: '', fallbackToEnvironment: false,
}

/** A store of variables as HTTP sees it. It is no open door: only what is hosted, in `.env`, or referred to, and never what the master key is called. */
export const fenced = (store: StoreConfiguration, { references }: Configuration, never: readonly string[]): StoreConfiguration => {
  const referred = references.filter(({ ref }) => ref.store === undefined || ref.store === store.name).map(({ name }) => name)
  return { ...store, settings: { ...store.settings, readable: [...(store.hostedKeys ?? []), ...referred], never } }
}

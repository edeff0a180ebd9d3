// A configuration that the build has read already, as a function takes it: what the file means beside the file itself, so that a cold start loads no parser. It holds in an
// environment in which no variable is set that the meaning depends on; in any other the file is read anew.
import type { Configuration, StoreConfiguration } from '../configuration.ts'
import type { Env } from '../runtime.ts'
import { SecretValue } from '../secret.ts'
import { unprintable } from '../settings/unprintable.ts'

/** Changes whenever the shape of {@link Configuration} does: what another build has compiled is read anew. */
export const compiledFormat = 'latchkey/2'

/** A {@link Configuration} as JSON has it. The text of a master key stands in the file beside it, and nowhere else. */
export type PlainConfiguration = Omit<Configuration, 'stores' | 'gateway'> & { readonly stores: readonly StoreConfiguration[] }

/** What the build writes. */
export interface CompiledConfiguration {
  readonly compiled: typeof compiledFormat
  /** The file's own objects. */
  readonly file: unknown
  /** Variables that must not be set, because with one of them the file means something else. */
  readonly unset: readonly string[]
  readonly configuration: PlainConfiguration
}

const isCompiled = (written: unknown): written is CompiledConfiguration => typeof written === 'object' && written !== null && 'compiled' in written && 'file' in written

/** The file's own objects, whether or not it was compiled. */
export const fileOf = (written: unknown): unknown => (isCompiled(written) ? written.file : written)

/** What a compiled file means in this environment, or nothing where the file has to be read. */
export const revive = (written: unknown, env: Env): Configuration | undefined => {
  if (!isCompiled(written) || written.compiled !== compiledFormat || written.unset.some((name) => (env.get(name) ?? '') !== '')) return undefined
  const { stores, masterKey, ...rest } = written.configuration
  const literal = (written.file as { readonly general_settings?: { readonly master_key?: unknown } } | null)?.general_settings?.master_key
  return {
    ...rest,
    masterKey: masterKey.kind === 'literal' ? { ...masterKey, value: SecretValue.of(String(literal)) } : masterKey,
    stores: new Map(stores.map((store) => [store.name, { ...store, settings: unprintable(store.settings) }])),
  }
}

// The settings of a store, read by its provider's own table.
import type { StoreConfiguration } from '../configuration.ts'
import type { EntrySettings } from '../configuration/stores.ts'
import type { Env } from '../runtime.ts'
import { requireSettings, type SettingsTable } from '../settings.ts'

/** The settings of a store that no provider's table has, so that a slip in one of them is told by its right name. */
const others: Readonly<Record<keyof EntrySettings, true>> = { system: true, access_mode: true, hosted_keys: true, primary_secret_name: true, fallback: true }

/** What a provider is opened with. @throws misconfigured with every issue */
export const storeSettings = <S>(table: SettingsTable<S>, { settings, path }: StoreConfiguration, env: Env): S =>
  requireSettings(table, settings, { path, env, foreign: Object.keys(others).filter((name) => !Object.hasOwn(settings, name)) })

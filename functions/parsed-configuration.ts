// A function's configuration as the parser reads it: where the build did not compile it, or the environment says otherwise.
import { parseConfiguration, type Configuration } from '../shared/core/configuration.ts'
import { fileOf } from '../shared/core/configuration/compiled.ts'
import { identities } from '../shared/core/configuration/identities.ts'
import type { Env } from '../shared/core/runtime.ts'
import { registry } from '../shared/providers/registry.ts'
import type { KeySections } from './key-sections.ts'

/** @throws misconfigured with every issue of the file */
export const parsedConfiguration = (written: unknown, env: Env, more: KeySections): Configuration =>
  parseConfiguration(fileOf(written), { env, loopback: false, systems: Object.keys(registry), identities, ...more }).configuration

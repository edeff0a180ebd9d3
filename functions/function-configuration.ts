// What the configuration of a deployed function means: as the build compiled it, where it did and nothing here says otherwise; else as the parser reads it, which is loaded only then.
import type { Configuration } from '../shared/core/configuration.ts'
import { revive } from '../shared/core/configuration/compiled.ts'
import type { Env } from '../shared/core/runtime.ts'
import type { KeySections } from './key-sections.ts'

/** `written` is the JSON that the function was given. Who changes keys needs the gateway that no compiled configuration has. @throws misconfigured with every issue of the file */
export const functionConfiguration = async (written: unknown, env: Env, more: KeySections = {}): Promise<Configuration> => {
  const compiled = more.gateway === undefined ? revive(written, env) : undefined
  if (compiled !== undefined) return compiled
  return (await import('./parsed-configuration.ts')).parsedConfiguration(written, env, more)
}

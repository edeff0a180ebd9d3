// The build's side of a compiled configuration: reads the file once, notes which variables its meaning hangs on, and writes both down.
import { parseConfiguration, type ParseOptions } from '../configuration.ts'
import { isMapping } from '../settings/mapping.ts'
import { compiledFormat, type CompiledConfiguration } from './compiled.ts'

/** The file without `latchkey.deployment`: where functions run is no business of theirs, and account numbers and external ids need not travel with them. */
export const withoutDeployment = (input: unknown): unknown => {
  if (!isMapping(input) || !isMapping(input['latchkey'])) return input
  const { deployment: _, ...latchkey } = input['latchkey']
  return { ...input, latchkey }
}

/** Compiles a file for functions that only read; nothing where a variable that is set now decides what it means. @throws misconfigured as {@link parseConfiguration} does */
export const compile = (file: unknown, options: Omit<ParseOptions, 'gateway' | 'checkFields'>): CompiledConfiguration | undefined => {
  const asked = new Map<string, string | undefined>()
  const env: ParseOptions['env'] = {
    ...options.env,
    get: (name) => {
      asked.set(name, options.env.get(name))
      return asked.get(name)
    },
  }
  const { configuration } = parseConfiguration(file, { ...options, env })
  if ([...asked.values()].some((value) => value !== undefined && value !== '')) return undefined
  const { stores, ...rest } = configuration
  // Settings of stores print as nothing, on purpose; here they are written where they stand already.
  return { compiled: compiledFormat, file, unset: [...asked.keys()], configuration: { ...rest, stores: [...stores.values()].map((store) => ({ ...store, settings: Object.fromEntries(Object.entries(store.settings)) })) } }
}

// Which providers a compiled configuration opens, as files: the registry's own lines say which file a system is in.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { revive } from '../../shared/core/configuration/compiled.ts'
import { registryLine, root } from './bundle.ts'

/** Below `shared/providers`, without `.ts`. None where the configuration was not compiled. */
export const providerFiles = async (configuration: string): Promise<readonly string[]> => {
  const stores = revive(JSON.parse(configuration), { get: () => undefined, names: () => [] })?.stores.values() ?? []
  const lines = (await readFile(join(root, 'shared/providers/registry.ts'), 'utf8')).matchAll(registryLine)
  const files = new Map([...lines].map(([, system = '', file = '']) => [system, file]))
  return [...new Set([...stores].flatMap(({ system }) => files.get(system === 'local' ? 'environment' : system) ?? []))]
}

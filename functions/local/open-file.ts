// For programs that import Latchkey: one configuration file in, a running Latchkey out, on the ports of this process.
import { parseConfiguration } from '../../shared/core/configuration.ts'
import { identities } from '../../shared/core/configuration/identities.ts'
import { openLatchkey, type Latchkey } from '../../shared/latchkey.ts'
import { registry } from '../../shared/providers/registry.ts'
import { hostRuntime } from '../host-runtime.ts'
import { keySections } from '../key-sections.ts'
import { loadConfigFile } from './config-file.ts'

/** Opens what a LiteLLM file means; without a path `CONFIG_FILE_PATH`, `./config.yaml`, or the built-in configuration. Asks no store yet. @throws misconfigured with every problem */
export const openConfigFile = async (path?: string): Promise<Latchkey> => {
  const runtime = hostRuntime()
  const { input } = await loadConfigFile(path, runtime.env, runtime.files)
  const { configuration } = parseConfiguration(input, { env: runtime.env, loopback: true, systems: Object.keys(registry), identities, ...keySections })
  return openLatchkey(configuration, runtime)
}

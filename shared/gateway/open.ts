// Opens the gateway of a configuration: what a file says becomes what the client needs. The composition root calls it, and says how a master key is found.
import type { GatewayConfiguration, MasterKeyPlan } from '../core/configuration.ts'
import { wrongSetting } from '../core/errors.ts'
import type { Gateway } from '../core/gateway.ts'
import type { Call, Runtime } from '../core/runtime.ts'
import type { SecretValue } from '../core/secret.ts'
import { openLitellmGateway } from './litellm.ts'

/** What the gateway may know of the outside. */
export type GatewayIo = Pick<Runtime, 'http' | 'clock' | 'random' | 'files' | 'env'>

/** PEM as it is, or the text of the file that is named. @throws misconfigured when there is no such file */
const authorities = async (given: string, { files, env }: GatewayIo): Promise<string> => {
  if (given.includes('-----BEGIN')) return given
  const bytes = await files.read(given.replace(/^~(?=\/|$)/, () => env.get('HOME') ?? '~'))
  if (bytes === undefined) throw wrongSetting('latchkey.gateway.ca', 'names a file that is not there.')
  return Buffer.from(bytes).toString('utf8')
}

/**
 * Opens it; makes no call. `resolve` finds a master key by its plan, or nothing where none is set; it is asked at every call of the gateway, and what it throws is thrown on.
 * @throws misconfigured naming the setting; at a call, where there is no master key
 */
export const openGateway = async (
  { url, masterKey, licensed, timeoutSeconds, ca }: GatewayConfiguration,
  io: GatewayIo,
  resolve: (plan: MasterKeyPlan, call: Call) => Promise<SecretValue | undefined>,
): Promise<Gateway> =>
  openLitellmGateway(
    {
      url,
      licensed,
      timeoutSeconds,
      ...(ca !== undefined && { ca: await authorities(ca, io) }),
      masterKey: async (call) => {
        const key = await resolve(masterKey, call)
        if (key === undefined) throw wrongSetting('latchkey.gateway.master_key', "is not set, nor is the master key of this file's general_settings.")
        return key
      },
    },
    io,
  )

// What can be said of a vault without changing anything: who asks, whether the vault is there, and which permission is missing.
// Every probe is about a secret that does not exist: whoever may is told so.
import { asLatchkeyError, isCode } from '../../core/errors.ts'
import { internalName } from '../../core/names.ts'
import { probeSegment } from '../../core/names/probe.ts'
import { slugHashCodec } from '../../core/names/slug-hash.ts'
import type { Finding } from '../../core/provider.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import type { Vault } from './vault.ts'

/** Signs in and tries the permissions of that depth; answers, does not throw. */
export const checkVault = async (vault: Vault, io: ProviderIo, depth: 'reach' | 'read' | 'write', prefix: string, call: Call): Promise<readonly Finding[]> => {
  const signedIn = await vault.signIn(call).then(() => undefined, asLatchkeyError)
  const identity: Finding = { ok: signedIn === undefined, subject: 'identity', message: signedIn?.message ?? `Signed in as ${vault.who}.`, ...(signedIn !== undefined && { setting: vault.setting }) }
  if (signedIn !== undefined) return [identity]
  // Below the prefix, because a condition on the role may allow nothing beside it.
  const subject = { text: 'a probe', native: slugHashCodec.encode(internalName(prefix, probeSegment(io.random))) }
  const probes: Readonly<Record<string, () => Promise<unknown>>> = {
    get: () => vault.get(subject, undefined, call),
    ...(depth !== 'reach' && { list: () => vault.page(undefined, 1, call) }),
    ...(depth === 'write' && { set: () => vault.patch(subject, '0'.repeat(32), { tags: {} }, call) }),
  }
  const probe = async ([action, send]: [string, () => Promise<unknown>]): Promise<Finding> => {
    const said: unknown = await send().then(() => undefined, (error: unknown) => error)
    const reached = isCode(said, 'provider_denied') && depth === 'reach' && said.details.vendor?.status === 403 && !/Firewall|Connection/.test(said.details.vendor.name ?? '')
    const ok = said === undefined || isCode(said, 'not_found') || reached
    return { ok, subject: `secrets/${action}`, message: ok ? 'Allowed.' : asLatchkeyError(said).message, ...(!ok && { setting: isCode(said, 'provider_denied') ? vault.setting : 'azure_key_vault_uri' }) }
  }
  return [identity, ...(await Promise.all(Object.entries(probes).map(probe)))]
}

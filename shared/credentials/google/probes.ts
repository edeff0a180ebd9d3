// What Latchkey may do in Secret Manager, found out without doing it. Every probe names a secret that does not exist, or one that cannot: who may do it is
// told so, who may not is refused, and nothing is changed.
import { asLatchkeyError, isCode, type LatchkeyError } from '../../core/errors.ts'
import { internalName } from '../../core/names.ts'
import { probeSegment } from '../../core/names/probe.ts'
import type { Finding } from '../../core/provider.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import { hexEscapeCodec } from './names.ts'
import type { GoogleSecrets } from './secrets.ts'
import type { GoogleIdentity } from '../google.ts'

type Depth = 'reach' | 'read' | 'write'

/** The check of a store on Secret Manager: the identity first, then each permission that `depth` needs. Never throws. */
export const googleFindings = async (depth: Depth, identity: GoogleIdentity, secrets: GoogleSecrets, random: ProviderIo['random'], prefix: string, call: Call): Promise<readonly Finding[]> => {
  const failureOf = (doing: Promise<unknown>): Promise<LatchkeyError | undefined> => doing.then(() => undefined, asLatchkeyError)
  const denied = await failureOf(identity.tokens.get(call))
  if (denied !== undefined) return [{ ok: false, subject: 'identity', message: denied.message, setting: identity.setting }]
  // Below the prefix, because a condition of IAM may allow nothing beside it.
  const id = hexEscapeCodec.encode(internalName(prefix, probeSegment(random)))
  const probes: Readonly<Record<string, () => Promise<unknown>>> = {
    'versions.access': () => secrets.access(id, 'latest', id, call),
    ...(depth !== 'reach' && { 'secrets.get': () => secrets.get(id, id, call), 'versions.list': () => secrets.versions(id, id, call, 1) }),
    ...(depth === 'write' && {
      // No secret can have this name, so that none is made where this is allowed.
      'secrets.create': () => secrets.create('not.a.name', {}, id, call),
      'secrets.update': () => secrets.patch({ id, resource: '', etag: '"0"', labels: {}, annotations: {}, aliases: {} }, { labels: {} }, id, call),
      'secrets.delete': () => secrets.remove(id, undefined, id, call),
      'secrets.list': () => secrets.list({ filter: `name:${id}`, limit: 1 }, call),
      'versions.add': () => secrets.add(id, SecretValue.of('probe'), id, call),
      'versions.get': () => secrets.version(id, 1, id, call),
      'versions.destroy': () => secrets.setState(id, 1, 'destroy', id, call),
    }),
  }
  const probe = async ([permission, send]: [string, () => Promise<unknown>]): Promise<Finding> => {
    const failure = await failureOf(send())
    const subject = `secretmanager.${permission}`
    const refusesTheName = permission === 'secrets.create' && isCode(failure, 'invalid_request')
    const reached = depth === 'reach' && failure?.details.vendor?.name === 'PERMISSION_DENIED'
    if (failure === undefined || failure.code === 'not_found' || refusesTheName || reached) return { ok: true, subject, message: reached ? 'The service answers.' : 'Allowed.' }
    return { ok: false, subject, message: failure.message, setting: failure.code === 'provider_denied' ? identity.setting : failure.code === 'misconfigured' ? 'google_project_id' : 'google_endpoint' }
  }
  return [{ ok: true, subject: 'identity', message: `Latchkey is ${identity.who}.` }, ...(await Promise.all(Object.entries(probes).map(probe)))]
}

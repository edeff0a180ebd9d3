// Whether Latchkey may do in AWS Secrets Manager what it will be asked to.
import type { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { asLatchkeyError, isCode } from '../../core/errors.ts'
import { internalName, joinPrefix } from '../../core/names.ts'
import { createdName } from '../../core/names/created.ts'
import { probeSegment } from '../../core/names/probe.ts'
import type { Finding, SecretProvider } from '../../core/provider.ts'
import type { Call, Random } from '../../core/runtime.ts'
import type { SecretName } from '../../core/secret.ts'
import type { AwsIdentity } from '../aws.ts'
import type { Patience } from '../aws-calls.ts'
import { sharedLabel, type Ask, type SecretReads } from './secrets-manager.ts'

type CheckDepth = Parameters<SecretProvider['check']>[0]

/** What a check asks with. The SDK is loaded only by a check of writing. */
export interface CheckedParts {
  readonly identity: AwsIdentity
  readonly ask: Ask
  readonly reads: SecretReads
  readonly random: Random
  sdk(): Promise<SecretsManager>
}

/**
 * Every probe names a secret that does not exist: whoever may is told so, and nothing is changed. All are below the prefix, because a role may allow nothing beside it; whoever
 * writes is asked about a record of Latchkey's own, which is all that it reads in `write_only`.
 */
export const checkSecretsManager = async (depth: CheckDepth, call: Call, prefix: string, { identity, ask, reads, sdk, random }: CheckedParts): Promise<readonly Finding[]> => {
  const who = depth === 'reach' ? [] : await identity.check(call)
  const segment = probeSegment(random)
  const changed = createdName(joinPrefix(prefix, segment))
  const read: SecretName = depth === 'write' ? internalName(prefix, segment) : changed
  const SecretId = changed.text
  const probes: Readonly<Record<string, (patience: Patience) => Promise<unknown>>> = {
    GetSecretValue: (patience) => reads.getSecretValue({ SecretId: read.text, VersionStage: 'AWSCURRENT' }, patience),
    ...(depth === 'write' && {
      PutSecretValue: async (patience) => (await sdk()).putSecretValue({ SecretId, SecretString: 'probe' }, patience),
      UpdateSecretVersionStage: async (patience) => (await sdk()).updateSecretVersionStage({ SecretId, VersionStage: sharedLabel }, patience),
      TagResource: async (patience) => (await sdk()).tagResource({ SecretId, Tags: [{ Key: 'managed-by', Value: 'latchkey' }] }, patience),
    }),
  }
  const probe = async ([action, send]: [string, (patience: Patience) => Promise<unknown>]): Promise<Finding> => {
    const failure = await ask(action, action === 'GetSecretValue' ? read : changed, call, send).then(() => undefined, asLatchkeyError)
    const ok = failure === undefined || failure.code === 'not_found' || (depth === 'reach' && failure.details.vendor?.name === 'AccessDeniedException')
    const setting = failure?.details.issues?.[0]?.path ?? (isCode(failure, 'provider_denied', 'misconfigured') ? 'aws_access_key_id' : 'aws_region_name')
    return { ok, subject: `secretsmanager:${action}`, message: ok ? 'Allowed.' : failure.message, ...(!ok && { setting }) }
  }
  return who.some(({ ok }) => !ok) ? who : [...who, ...(await Promise.all(Object.entries(probes).map(probe)))]
}

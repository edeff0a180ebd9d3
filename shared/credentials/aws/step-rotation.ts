// AWS Secrets Manager's own rotation as the provider meets it: which secret an ARN means, what the service says of its rotation, and the calls of the steps. AWSPENDING is the
// service's and is put and left there as it wants it; the claim beside it is ours, so that no other rotation of the key runs at the same time.
import type { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { isCode, type LatchkeyError } from '../../core/errors.ts'
import { hostedName } from '../../core/names.ts'
import type { SecretProvider, StepRotation } from '../../core/provider.ts'
import type { Call } from '../../core/runtime.ts'
import type { SecretName } from '../../core/secret.ts'
import { bodyOf, labelMover, notAsNamed } from './secret-changes.ts'
import { holderOf, sightOf, type Seen } from './secret-sight.ts'
import { claimLabel, codec, recordOf, sharedLabel, stagesOf, type Ask } from './secrets-manager.ts'

const arn = /^arn:aws[\w-]*:secretsmanager:([a-z0-9-]{1,40}):\d{12}:secret:([A-Za-z0-9/_+=.@-]{1,512})-[A-Za-z0-9]{6}$/
const raise = (error: unknown): never => { throw error }
const conflict = (name: SecretName): LatchkeyError => notAsNamed(name, { retryAfter: 60 })

/** How an ARN is looked at, and the steps themselves, through one client of the SDK. */
export const stepRotation = (api: SecretsManager, region: string, ask: Ask): { readonly locate: NonNullable<SecretProvider['locate']>; readonly rotation: StepRotation } => {
  const { look, found, facts } = sightOf(api, ask)
  const move = labelMover(api, ask, found, conflict)

  /** Asks by name, never by an ARN that somebody else wrote: the answer's own ARN says whether it is the one that was meant. */
  const meant = async (resource: string, call: Call): Promise<{ readonly name: SecretName; readonly seen: Seen } | undefined> => {
    const [, where, text = ''] = arn.exec(resource) ?? []
    if (where !== region) return undefined
    const name = hostedName(text)
    const seen = await look(name, call)
    return seen?.answer.ARN === resource ? { name, seen } : undefined
  }

  const rotation: StepRotation = {
    describe: async (resource, version, call) => {
      const asked = await meant(resource, call)
      if (asked === undefined) return undefined
      const { name, seen } = asked
      const labels = seen.versions.get(version)
      const { RotationEnabled: enabled, RotationLambdaARN: handler } = seen.answer
      return { facts: await facts(name, seen, call), enabled: enabled === true, stage: labels === undefined ? 'absent' : (stagesOf(labels)[0] ?? 'none'), ...(handler !== undefined && { handler }) }
    },
    read: async (name, version, call) => {
      const answer = await ask('GetSecretValue', name, call, (patience) => api.getSecretValue({ SecretId: codec.encode(name), VersionId: version }, patience)).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : raise(error)))
      return answer && recordOf(answer, 'GetSecretValue').value
    },
    write: async (name, { version, value, operation, rotationToken }, call) => {
      const before = await found(name, call)
      const other = holderOf(before, sharedLabel)
      if (other !== undefined && other !== version && stagesOf(before.versions.get(other) ?? []).includes('pending')) throw conflict(name)
      const own = operation === undefined ? undefined : claimLabel(operation)
      const claimed = own !== undefined && before.versions.get(version)?.includes(own) === true
      if (claimed && other === version) return 'same_operation'
      const VersionStages = ['AWSPENDING', ...(own === undefined ? [] : [own])]
      const input = { SecretId: codec.encode(name), ClientRequestToken: version, VersionStages, ...bodyOf(value), ...(rotationToken !== undefined && { RotationToken: rotationToken }) }
      const put = await ask('PutSecretValue', name, call, (patience) => api.putSecretValue(input, patience)).then(() => 'written' as const, (error: unknown) => (isCode(error, 'already_exists') ? ('same_operation' as const) : raise(error)))
      if (own === undefined) return put
      // The version may have a value of an earlier attempt, and that one counts; it must be known as the claim's all the same.
      if (put === 'same_operation' && !claimed) await move(name, own, undefined, version, call)
      await move(name, sharedLabel, other === version ? undefined : other, version, call).catch(async (error: unknown) => {
        // Another rotation of the key was faster: this one holds no claim, and its token has reached nobody.
        if (isCode(error, 'conflict')) await move(name, own, version, undefined, call)
        throw error
      })
      return put
    },
    finish: async (name, { to, from }, call) => {
      const before = (await found(name, call)).versions.get(to)
      if (before?.includes('AWSCURRENT') !== true) await move(name, 'AWSCURRENT', from, to, call)
      if (before?.includes(sharedLabel) === true) await move(name, sharedLabel, to, undefined, call)
      // A label keeps a version for ever, and there are twenty of them: claims of versions that are at no stage any more go.
      for (const [id, labels] of (await found(name, call)).versions) {
        if (stagesOf(labels).length > 0) continue
        for (const label of labels) if (label.startsWith(claimLabel(''))) await move(name, label, id, undefined, call)
      }
    },
  }
  return {
    rotation,
    locate: async (resource, call) => {
      const asked = await meant(resource, call)
      return asked && facts(asked.name, asked.seen, call)
    },
  }
}

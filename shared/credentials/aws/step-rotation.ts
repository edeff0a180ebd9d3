// AWS Secrets Manager's own rotation as the provider meets it: which secret an ARN means, what the service says of its rotation, and the calls of the steps. AWSPENDING is the
// service's and is put and left there as it wants it; the claim beside it is ours, so that no other rotation of the key runs at the same time.
import type { DescribeSecretResponse, PutSecretValueRequest, SecretsManager, UpdateSecretVersionStageRequest } from '@aws-sdk/client-secrets-manager'
import { isCode, LatchkeyError } from '../../core/errors.ts'
import { hostedName } from '../../core/names.ts'
import type { StepRotation } from '../../core/provider.ts'
import type { Call } from '../../core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName } from '../../core/secret.ts'
import type { Patience } from '../aws-calls.ts'
import { claimLabel, sharedLabel, stagesOf } from './secrets-manager.ts'

/** What the steps need of the provider. */
export interface StepCalls {
  readonly api: Pick<SecretsManager, 'describeSecret' | 'getSecretValue' | 'putSecretValue' | 'updateSecretVersionStage'>
  readonly region: string
  ask<Answer>(action: string, name: SecretName, call: Call, send: (patience: Patience) => Promise<Answer>): Promise<Answer>
  /** The value as a request takes it. */
  body(value: SecretValue): Pick<PutSecretValueRequest, 'SecretString' | 'SecretBinary'>
  facts(name: SecretName, call: Call): Promise<SecretFacts>
}

const arn = /^arn:aws[\w-]*:secretsmanager:([a-z0-9-]{1,40}):\d{12}:secret:([A-Za-z0-9/_+=.@-]{1,512})-[A-Za-z0-9]{6}$/
const raise = (error: unknown): never => { throw error }

/** How an ARN is looked at, and the steps themselves. */
export const stepRotation = ({ api, region, ask, body, facts }: StepCalls): { readonly locate: (resource: string, call: Call) => Promise<SecretFacts | undefined>; readonly rotation: StepRotation } => {
  /** Asks by name, never by an ARN that somebody else wrote: the answer's own ARN says whether it is the one that was meant. */
  const described = async (resource: string, call: Call): Promise<{ readonly name: SecretName; readonly answer: DescribeSecretResponse } | undefined> => {
    const [, where, text = ''] = arn.exec(resource) ?? []
    if (where !== region) return undefined
    const name = hostedName(text)
    const answer = await ask('DescribeSecret', name, call, (patience) => api.describeSecret({ SecretId: text }, patience)).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : raise(error)))
    return answer?.ARN === resource ? { name, answer } : undefined
  }
  const labelsOf = async (name: SecretName, call: Call): Promise<ReadonlyMap<string, readonly string[]>> => {
    const { VersionIdsToStages = {} } = await ask('DescribeSecret', name, call, (patience) => api.describeSecret({ SecretId: name.text }, patience))
    return new Map(Object.entries(VersionIdsToStages))
  }
  const holderOf = (labels: ReadonlyMap<string, readonly string[]>, label: string): string | undefined => [...labels].find(([, held]) => held.includes(label))?.[0]
  const conflict = (name: SecretName): LatchkeyError => new LatchkeyError('conflict', `${name.text} has another current version than the one named, or another operation on it is in progress.`, { retryAfter: 60 })

  /** Moves or takes off one label; a lost answer makes the call twice, so where the label is decides. */
  const move = async (name: SecretName, VersionStage: string, from: string | undefined, to: string | undefined, call: Call): Promise<void> => {
    const input: UpdateSecretVersionStageRequest = { SecretId: name.text, VersionStage, ...(to !== undefined && { MoveToVersionId: to }), ...(from !== undefined && { RemoveFromVersionId: from }) }
    await ask('UpdateSecretVersionStage', name, call, (patience) => api.updateSecretVersionStage(input, patience)).catch(async (error: unknown) => {
      if (!isCode(error, 'conflict', 'invalid_request')) throw error
      if (holderOf(await labelsOf(name, call), VersionStage) !== to) throw conflict(name)
    })
  }

  const read: StepRotation['read'] = async (name, version, call) => {
    const answer = await ask('GetSecretValue', name, call, (patience) => api.getSecretValue({ SecretId: name.text, VersionId: version }, patience)).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : raise(error)))
    if (answer === undefined) return undefined
    return answer.SecretString === undefined ? SecretValue.ofBytes(answer.SecretBinary ?? new Uint8Array()) : SecretValue.of(answer.SecretString)
  }

  const rotation: StepRotation = {
    describe: async (resource, version, call) => {
      const found = await described(resource, call)
      if (found === undefined) return undefined
      const { name, answer } = found
      const labels = answer.VersionIdsToStages?.[version]
      const handler = answer.RotationLambdaARN
      return { facts: await facts(name, call), enabled: answer.RotationEnabled === true, stage: labels === undefined ? 'absent' : (stagesOf(labels)[0] ?? 'none'), ...(handler !== undefined && { handler }) }
    },
    read,
    write: async (name, { version, value, operation, rotationToken }, call) => {
      const before = await labelsOf(name, call)
      const other = holderOf(before, sharedLabel)
      if (other !== undefined && other !== version && stagesOf(before.get(other) ?? []).includes('pending')) throw conflict(name)
      const own = operation === undefined ? undefined : claimLabel(operation)
      const claimed = own !== undefined && before.get(version)?.includes(own) === true
      if (claimed && other === version) return 'same_operation'
      const VersionStages = ['AWSPENDING', ...(own === undefined ? [] : [own])]
      const input = { SecretId: name.text, ClientRequestToken: version, VersionStages, ...body(value), ...(rotationToken !== undefined && { RotationToken: rotationToken }) }
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
      const before = await labelsOf(name, call)
      if (before.get(to)?.includes('AWSCURRENT') !== true) await move(name, 'AWSCURRENT', from, to, call)
      if (before.get(to)?.includes(sharedLabel) === true) await move(name, sharedLabel, to, undefined, call)
      // A label keeps a version for ever, and there are twenty of them: claims of versions that are at no stage any more go.
      for (const [id, labels] of await labelsOf(name, call)) {
        if (stagesOf(labels).length > 0) continue
        for (const label of labels) if (label.startsWith(claimLabel(''))) await move(name, label, id, undefined, call)
      }
    },
  }
  return {
    rotation,
    locate: async (resource, call) => {
      const found = await described(resource, call)
      return found && facts(found.name, call)
    },
  }
}

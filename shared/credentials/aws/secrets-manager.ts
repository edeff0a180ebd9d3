// AWS Secrets Manager's words: how it names failures, versions and labels, and what its answers mean. The version id of what we write is the operation id, and the
// service's labels are the stages.
import type { BatchGetSecretValueResponse, GetSecretValueRequest, GetSecretValueResponse, SecretValueEntry } from '@aws-sdk/client-secrets-manager'
import { LatchkeyError } from '../../core/errors.ts'
import { verbatimCodec } from '../../core/names.ts'
import type { Call } from '../../core/runtime.ts'
import { SecretValue, type SecretName, type SecretRecord, type Stage, type Version } from '../../core/secret.ts'
import type { AwsIdentitySettings } from '../aws.ts'
import { nonsense, type AwsClientSettings, type AwsService, type Patience } from '../aws-calls.ts'

/** Everything that one store of the service is told. */
export interface AwsSecretsManagerSettings extends AwsIdentitySettings, AwsClientSettings {
  readonly kms_key_id?: string
  readonly replica_regions?: readonly string[]
  readonly recovery_window_days: number
  readonly aws_secretsmanager_endpoint?: string
  readonly aws_read_with_sdk: boolean
}

/** What the service holds of tags on one secret. */
export const tagLimits = { pairs: 50, keyBytes: 127, valueBytes: 255 }
/** What a value may be at most. */
export const valueBytes = 65_536
/** What a name may be made of. */
export const legal = /^[A-Za-z0-9/_+=.@-]{1,512}$/
/** Names are sent as they are. */
export const codec = verbatimCodec(legal, 512, '1 to 512 of A-Z a-z 0-9 / _ + = . @ -')

/** The one label that a claim holds beside its own; AWSPENDING is what AWS's own rotation holds. */
export const sharedLabel = 'latchkey-next'
/** Who has one of these, and is not current or previous, is pending. */
export const pendingLabels: readonly string[] = [sharedLabel, 'AWSPENDING']
/** A claim's own label. */
export const claimLabel = (operation: string): string => `latchkey-claim-${operation}`

const form = /^(?:latchkey-claim-)?(\d{1,15}-[a-z]+-[0-9a-f]+)$/

/** A label of a claim on a version that is or was current is left over, and makes nothing pending. */
export const stagesOf = (labels: readonly string[]): Stage[] =>
  labels.includes('AWSCURRENT') ? ['current'] : labels.includes('AWSPREVIOUS') ? ['previous'] : labels.some((label) => pendingLabels.includes(label)) ? ['pending'] : []

/** A version as the rest of the house sees it. A reserved one that holds no claim has no operation of anybody's. */
export const versionOf = (id: string, labels: readonly string[], created?: Date): Version => {
  const claimed = form.test(id) ? undefined : labels.map((label) => form.exec(label)?.[1]).find((text) => text !== undefined)
  const operation = claimed ?? id
  const epoch = /^(\d{1,15})-[a-z]+-[0-9a-f]+$/.exec(operation)?.[1]
  return { id, stages: stagesOf(labels), enabled: true, operation, ...(epoch !== undefined && { epoch: Number(epoch) }), ...(created !== undefined && { created }) }
}

/** The service, for messages. */
export const service: AwsService = {
  title: 'AWS Secrets Manager',
  prefix: 'secretsmanager',
  meanings: async () => (await import('../aws-secrets/failures.ts')).meanings,
}

/** Confirmed absence. */
export const absent = (name: SecretName, what = 'secret'): LatchkeyError => new LatchkeyError('not_found', `There is no such ${what}: ${name.text}.`)

/** A read's answer. @throws provider_unavailable for an answer that cannot be one */
export const recordOf = ({ SecretString: text, SecretBinary: bytes, VersionId: id, VersionStages, CreatedDate }: GetSecretValueResponse | SecretValueEntry, action: string): Omit<SecretRecord, 'name'> => {
  if (typeof id !== 'string' || (typeof text !== 'string' && !(bytes instanceof Uint8Array))) throw nonsense(service, action)
  return { value: typeof text === 'string' ? SecretValue.of(text) : SecretValue.ofBytes(bytes ?? new Uint8Array()), version: versionOf(id, VersionStages ?? [], CreatedDate) }
}

/** The two calls that read values, whoever sends them. What they throw has the service's own name for it as `name`. */
export interface SecretReads {
  getSecretValue(input: GetSecretValueRequest, patience: Patience): Promise<GetSecretValueResponse>
  batchGetSecretValue(input: { readonly SecretIdList: string[] }, patience: Patience): Promise<BatchGetSecretValueResponse>
}

/** Runs one call under the caller's time, and turns what it throws into our words. */
export type Ask = <Answer>(action: string, name: SecretName | undefined, call: Call, send: (patience: Patience) => Promise<Answer>) => Promise<Answer>

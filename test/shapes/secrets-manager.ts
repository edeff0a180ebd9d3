// AWS Secrets Manager without a wire: the provider's own code over the rules of the fake, where every request is one step behind a hook. So the simulator drives the real
// calls of a rotation by AWS's four steps, and AWS's part of it, which reserves the version.
import type { SecretsManager } from '@aws-sdk/client-secrets-manager'
import '../../shared/credentials/aws/failures.ts'
import { awsCall } from '../../shared/credentials/aws-calls.ts'
import { changesOf } from '../../shared/credentials/aws/secret-changes.ts'
import { codec, recordOf, service, tagLimits, valueBytes, type Ask, type AwsSecretsManagerSettings } from '../../shared/credentials/aws/secrets-manager.ts'
import { stepRotation } from '../../shared/credentials/aws/step-rotation.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import type { Clock, Runtime } from '../../shared/core/runtime.ts'
import { secretsManagerRules, type HeldSecret } from '../fakes/aws-secrets-manager-rules.ts'
import { calmHook, type Hook } from './service.ts'

const region = 'us-east-1'
const rotatingFunction = `arn:aws:lambda:${region}:123456789012:function:latchkey-rotate`
const reads = /^(?:get|list|describe|batchGet)/

/** What the SDK makes of an answer's JSON: dates of seconds, bytes of base64. */
const parsed = (answer: unknown): unknown => {
  if (Array.isArray(answer)) return answer.map(parsed)
  if (typeof answer !== 'object' || answer === null) return answer
  return Object.fromEntries(Object.entries(answer).map(([field, held]) => [field, typeof held === 'number' && field.endsWith('Date') ? new Date(held * 1000) : field === 'SecretBinary' ? Buffer.from(String(held), 'base64') : parsed(held)]))
}

/** One account. `through` gives the same account behind another hook. */
export class SecretsManagerAccount {
  readonly clock: Clock
  hook: Hook = calmHook
  #rules: ReturnType<typeof secretsManagerRules>

  constructor(clock: Clock) {
    this.clock = clock
    this.#rules = secretsManagerRules({ region, now: () => clock.now() })
  }

  through(hook: Hook): SecretsManagerAccount {
    const view = new SecretsManagerAccount(this.clock)
    view.hook = hook
    view.#rules = this.#rules
    return view
  }

  /** The client, as far as the provider uses one. */
  get api(): SecretsManager {
    const send = (method: string) => (input: Readonly<Record<string, unknown>>) =>
      this.hook({ call: method, name: String(input['SecretId'] ?? input['Name'] ?? ''), changes: !reads.test(method) }, () => {
        const body = input['SecretBinary'] instanceof Uint8Array ? { ...input, SecretBinary: Buffer.from(input['SecretBinary']).toString('base64') } : input
        return parsed(this.#rules.operations[`${method.slice(0, 1).toUpperCase()}${method.slice(1)}`]?.(body))
      })
    return new Proxy({}, { get: (_, method) => send(String(method)) }) as unknown as SecretsManager
  }

  /** Begins a rotation as the service does: the version is reserved. Gives the ARN and the function that the service calls. */
  rotate(name: string, version: string): { readonly arn: string; readonly handler: string } {
    const answer = this.#rules.operations['RotateSecret']?.({ SecretId: name, ClientRequestToken: version, RotationLambdaARN: rotatingFunction })
    return { arn: String(answer?.['ARN']), handler: rotatingFunction }
  }

  /** What one name holds, as text. */
  content(only: string): string {
    const secret: HeldSecret | undefined = this.#rules.secrets.get(only)
    if (secret === undefined) return '[]'
    const { tags, versions, ...rest } = secret
    return JSON.stringify([rest, [...tags], [...versions.values()].map(({ labels, ...version }) => [version, [...labels]])])
  }
}

/** The provider of AWS Secrets Manager over such an account. */
export const openSecretsManagerAccount = async (account: SecretsManagerAccount, runtime: Runtime): Promise<SecretProvider> => {
  const { api } = account
  const ask: Ask = (action, name, call, send) => awsCall(service, runtime, action, name && { text: name.text, native: codec.encode(name) }, call, send)
  const changes = changesOf(api, { kms_key_id: undefined, replica_regions: undefined, recovery_window_days: 7 } as unknown as AwsSecretsManagerSettings, ask)
  const { locate, rotation } = stepRotation(api, region, ask)
  return {
    ...changes,
    locate,
    stepRotation: rotation,
    read: async (name, { version, stage }, call) => {
      const at = version === undefined ? { VersionStage: stage === 'previous' ? 'AWSPREVIOUS' : 'AWSCURRENT' } : { VersionId: version }
      const answer = await ask('GetSecretValue', name, call, (patience) => api.getSecretValue({ SecretId: codec.encode(name), ...at }, patience))
      return { name, ...recordOf(answer, 'GetSecretValue') }
    },
    check: async () => [{ ok: true, subject: 'reach', message: 'The service answers.' }],
    traits: { names: codec, settleMs: 0, versions: 'opaque', value: { maxBytes: valueBytes, empty: false, bytes: 'any' }, write: { guarantee: 'atomic', softDelete: true, labels: { travel: 'on_create', ...tagLimits, filter: true } } },
  }
}

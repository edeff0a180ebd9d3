// An AWS identity as a configuration opens it, against the fake STS: two accounts, a pod's role, a role across accounts, and a user.
import { awsClientSettings, awsIdentitySettings } from '../../shared/credentials/aws-settings.ts'
import { awsIdentity, type AwsIdentity } from '../../shared/credentials/aws.ts'
import type { AwsKeys } from '../../shared/credentials/aws-keys.ts'
import type { AwsLoginSettings } from '../../shared/credentials/aws/plan.ts'
import type { LatchkeyError } from '../../shared/core/errors.ts'
import { readSettings, type SettingsTable } from '../../shared/core/settings.ts'
import { fakeKeys } from '../fakes/aws-signature.ts'
import { fakeIssuer, startStsFake, type FakeCaller, type FakeRole, type StsFake } from '../fakes/sts.ts'
import { testRuntime, type TestRuntime } from '../support/runtime.ts'

/** A user with long-lived keys. */
export const user: FakeCaller = { ...fakeKeys, arn: 'arn:aws:iam::100000000001:user/latchkey' }
/** The role of a function, as its environment has it. */
export const execution: FakeCaller = { accessKeyId: 'ASIAFAKEEXECUTION001', secretAccessKey: 'fake/secret/key/of/the/execution/role', sessionToken: 'fake/session/token/of/the/execution/role', arn: 'arn:aws:sts::100000000001:assumed-role/Execution/function' }
/** The role that the pod's token is for. */
export const pod = 'arn:aws:iam::100000000001:role/Pod'
/** A role of the other account. */
export const target = 'arn:aws:iam::200000000002:role/path/Target'
/** The external id that it asks for. */
export const externalId = 'the-right-external-id'

const roles: readonly FakeRole[] = [
  { arn: pod, web: fakeIssuer, maxSeconds: 7200 },
  { arn: target, principals: [user.arn, execution.arn, pod], externalId, tagSession: true, setSourceIdentity: true, maxSeconds: 7200 },
  { arn: 'arn:aws:iam::100000000001:role/Open', principals: [user.arn, execution.arn, pod] },
  { arn: 'arn:aws:iam::100000000001:role/Execution', principals: [] },
]

/** The table that every AWS provider's begins with. */
export const table: SettingsTable<AwsLoginSettings> = { ...awsIdentitySettings, ...awsClientSettings }

/** A world of one test. */
export interface LoginWorld {
  readonly sts: StsFake
  readonly runtime: TestRuntime
  /** Files in memory, to change at will. */
  readonly files: Record<string, string>
  settings(given: Record<string, unknown>, env?: Record<string, string>): AwsLoginSettings
  io(env?: Record<string, string>): TestRuntime
  open(given: Record<string, unknown>, env?: Record<string, string>): Promise<AwsIdentity>
}

/** Starts the fake, whose clock may be ahead of ours; ours begins at this machine's time, because the SDK signs with that. */
export const loginWorld = async ({ skewMs = 0 }: { readonly skewMs?: number } = {}): Promise<LoginWorld> => {
  const files: Record<string, string> = {}
  const runtime = testRuntime({ now: Date.now(), files })
  const sts = await startStsFake({ now: () => runtime.clock.now() + skewMs, callers: [user, execution], roles })
  const environments = new Map<string, TestRuntime>()
  const io = (env: Record<string, string> = {}): TestRuntime => {
    const key = JSON.stringify(env)
    const made = environments.get(key) ?? { ...runtime, env: testRuntime({ env }).env }
    environments.set(key, made)
    return made
  }
  const settings = (given: Record<string, unknown>, env: Record<string, string> = {}): AwsLoginSettings => {
    const read = readSettings(table, { aws_region_name: 'us-east-1', aws_sts_endpoint: sts.url, aws_max_attempts: 1, ...given }, { path: 'settings', env: io(env).env })
    if (read.issues.length > 0) throw new Error(read.issues.map(({ path, message }) => `${path} ${message}`).join('\n'))
    return read.settings
  }
  return { sts, runtime, files, settings, io, open: async (given, env) => awsIdentity(settings(given, env), io(env)) }
}

/** Keys as of now. */
export const keysOf = async ({ credentials }: AwsIdentity): Promise<AwsKeys> => (typeof credentials === 'function' ? credentials() : credentials)

/** What a promise fails with. */
export const failureOf = (promise: Promise<unknown>): Promise<LatchkeyError> =>
  promise.then(
    () => {
      throw new Error('it succeeded')
    },
    (error: LatchkeyError) => error,
  )

/** The environment of a function. */
export const functionEnv = { AWS_ACCESS_KEY_ID: execution.accessKeyId, AWS_SECRET_ACCESS_KEY: execution.secretAccessKey, AWS_SESSION_TOKEN: execution.sessionToken ?? '' }
/** Settings with a user's keys. */
export const userKeys = { aws_access_key_id: user.accessKeyId, aws_secret_access_key: user.secretAccessKey }

// LiteLLM's documented AWS configurations, from the file as it stands to the calls that STS gets.
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { parse as parseEnv } from 'dotenv'
import { awsIdentity } from '../../shared/credentials/aws.ts'
import { readSettings } from '../../shared/core/settings.ts'
import { fakeIssuer, startStsFake, type StsFake } from '../fakes/sts.ts'
import { testRuntime, type TestRuntime } from '../support/runtime.ts'
import { failureOf, keysOf, table, user } from './aws-login.ts'

interface ExpectedHop {
  readonly call: string
  readonly role: string
  readonly session_name: string | { readonly begins_with: string }
  readonly external_id?: string | null
}
interface ExpectedIdentity {
  readonly region: string
  readonly hops: readonly ExpectedHop[]
  readonly when_AWS_ROLE_ARN_names_another_role?: { readonly AWS_ROLE_ARN: string; readonly hops: readonly ExpectedHop[] }
}
interface Expected {
  readonly configurations: Readonly<Record<string, { readonly system: string; readonly aws_identity?: ExpectedIdentity; readonly with_env: readonly string[] }>>
}

const folder = new URL('../fixtures/litellm/', import.meta.url)
const textOf = (name: string): string => readFileSync(new URL(name, folder), 'utf8')
const expected = JSON.parse(textOf('expected.json')) as Expected
const aws = Object.entries(expected.configurations).filter(([, { system }]) => system.startsWith('aws_'))
const withIdentity = aws.flatMap(([file, { aws_identity: identity }]) => (identity === undefined ? [] : [[file, identity] as const]))
/** Blank and static keys of the pages; the token file's path is the test's own. */
const envOf = (name: string): Record<string, string> => parseEnv(textOf(name))

let runtime: TestRuntime
let sts: StsFake
beforeEach(async () => {
  runtime = testRuntime({ now: Date.now(), files: {} })
  const every = withIdentity.flatMap(([, { hops, when_AWS_ROLE_ARN_names_another_role: more }]) => [...hops, ...(more?.hops ?? [])])
  const pods = every.filter(({ call }) => call === 'AssumeRoleWithWebIdentity').map(({ role }) => role)
  sts = await startStsFake({
    now: () => runtime.clock.now(),
    callers: [user],
    roles: every.map(({ role, external_id: id }) => ({ arn: role, principals: [user.arn, ...pods], web: fakeIssuer, ...(typeof id === 'string' && { externalId: id }) })),
  })
})
afterEach(() => sts.close())

/** As the configuration reads a store's settings: the AWS rows of `key_management_settings`, references from the environment. */
const opening = async (file: string, env: Record<string, string>) => {
  const { general_settings: general } = parse(textOf(file)) as { general_settings: { key_management_settings: Record<string, unknown> } }
  const given = Object.fromEntries(Object.entries(general.key_management_settings).filter(([key]) => key in table))
  const io = { ...runtime, files: testRuntime({ files: { 'path/to/web-identity-token': `${sts.token()}\n` } }).files, env: testRuntime({ env }).env }
  const { settings, issues } = readSettings(table, { ...given, aws_sts_endpoint: sts.url, aws_max_attempts: 1 }, { path: file, env: io.env })
  expect(issues).toEqual([])
  return { region: settings.aws_region_name, identity: await awsIdentity(settings, io) }
}

const hopsSeen = (): readonly object[] => sts.forms.map(({ action, fields }) => ({ call: action, role: fields['RoleArn'], session_name: fields['RoleSessionName'], external_id: fields['ExternalId'] ?? null }))
const hopsOf = (hops: readonly ExpectedHop[]): readonly object[] =>
  hops.map(({ call, role, session_name: name, external_id: id }) => ({ call, role, session_name: typeof name === 'string' ? name : (expect.stringMatching(new RegExp(`^${name.begins_with}[\\w+=,.@-]{2,55}$`)) as string), external_id: id ?? null }))

const keysInEnv = { AWS_ACCESS_KEY_ID: user.accessKeyId, AWS_SECRET_ACCESS_KEY: user.secretAccessKey }

describe('LiteLLM’s documented AWS identity', () => {
  it('is examined in every file that has one', () => {
    expect(withIdentity.map(([file]) => file)).toEqual(expect.arrayContaining(['aws-role.yaml', 'aws-cross-account.yaml', 'aws-irsa.yaml']))
  })

  it.each(withIdentity)('of %s makes the calls that are expected', async (file, identity) => {
    const irsa = file === 'aws-irsa.yaml'
    const opened = await opening(file, irsa ? envOf('env/aws-irsa.env') : keysInEnv)
    await keysOf(opened.identity)

    expect(opened.region).toBe(identity.region)
    expect(hopsSeen()).toEqual(hopsOf(identity.hops))
    expect(sts.forms.map(({ fields }) => fields['WebIdentityToken'])).toEqual(identity.hops.map(({ call }) => (call === 'AssumeRole' ? undefined : sts.token())))
  })

  it.each(withIdentity.filter(([, { when_AWS_ROLE_ARN_names_another_role: more }]) => more !== undefined))('of %s goes through another role first, where the pod has one', async (file, { when_AWS_ROLE_ARN_names_another_role: more }) => {
    const { identity } = await opening(file, { ...envOf('env/aws-irsa.env'), AWS_ROLE_ARN: more?.AWS_ROLE_ARN ?? '' })
    await keysOf(identity)

    expect(hopsSeen()).toEqual(hopsOf(more?.hops ?? []))
  })

  it('is the static keys where a file names no role', async () => {
    const { region, identity } = await opening('aws-read.yaml', envOf('env/aws-static-keys.env'))

    expect([region, identity.credentials]).toEqual(['us-east-2', { accessKeyId: 'AKIA0000FAKE0000FAKE', secretAccessKey: 'fake-sample-secret-access-key-000000000' }])
  })

  it('counts blank variables as unset: no region is a start error, and the keys are the default chain’s', async () => {
    const failure = await failureOf(opening('aws-read.yaml', envOf('env/aws-blank.env')))
    const { region, identity } = await opening('aws-role.yaml', envOf('env/aws-blank.env'))

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(/aws_region_name.*AWS_REGION_NAME/) as string })
    expect([region, typeof identity.credentials]).toEqual(['us-east-1', 'function'])
  })

  it('of a token reference whose variable is missing is an issue of the file', () => {
    const { issues } = readSettings(table, { aws_web_identity_token: 'os.environ/AWS_WEB_IDENTITY_TOKEN_FILE' }, { path: 'settings', env: testRuntime().env })

    expect(issues).toEqual([{ path: 'settings.aws_web_identity_token', message: 'refers to the environment variable AWS_WEB_IDENTITY_TOKEN_FILE, which is not set' }])
  })
})

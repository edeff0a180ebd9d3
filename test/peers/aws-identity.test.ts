// Who Latchkey is, on servers that nobody here wrote: web identity, a role of another account and its own secrets on moto; external ids and least privilege that
// are really enforced on ministack with its IAM switched on. boto3 is the operator who makes the roles and looks at the result.
import { randomBytes } from 'node:crypto'
import { describe, expect, inject, it } from 'vitest'
import { probeExternalId } from '../../shared/credentials/aws/chain.ts'
import type { LatchkeyError } from '../../shared/core/errors.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { readSettings } from '../../shared/core/settings.ts'
import { awsSecretsManager } from '../../shared/providers/aws-secrets-manager.ts'
import { awsSecretsManagerSettings } from '../../shared/credentials/aws-secrets/settings.ts'
import { callOf, testRuntime, type TestRuntime } from '../support/runtime.ts'
import { clientEnv, run } from './python-peers.ts'

const python = inject('python')
const peers = inject('peers')

/** A program of the operator; `argument` is its first argument, and what it prints is JSON. */
const operator = async (url: string, program: string, argument: object = {}): Promise<Record<string, string>> =>
  JSON.parse(await run(python, ['-c', `import boto3, json, sys\nargument = json.loads(sys.argv[1])\n${program}`, JSON.stringify(argument)], clientEnv(url))) as Record<string, string>

const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString('base64url')
/** moto takes any token; only its form is ours to keep. */
const token = `${part({ alg: 'RS256', kid: 'one' })}.${part({ iss: 'https://issuer.sample.example', aud: 'sts.amazonaws.com', sub: 'system:serviceaccount:gateway:latchkey', exp: Math.floor(Date.now() / 1000) + 3600 })}.${randomBytes(64).toString('base64url')}`

const worldOf = (env: Record<string, string> = {}): TestRuntime => testRuntime({ now: Date.now(), env, files: { '/var/token': token }, seed: randomBytes(8).toString('hex') })
const settingsOf = (url: string, given: Record<string, unknown>) => {
  const { settings, issues } = readSettings(awsSecretsManagerSettings, { aws_region_name: 'us-east-1', aws_secretsmanager_endpoint: url, aws_sts_endpoint: url, ...given }, { path: 'aws' })
  expect(issues).toEqual([])
  return settings
}
const using = async <T>(runtime: TestRuntime, url: string, given: Record<string, unknown>, act: (provider: SecretProvider) => Promise<T>): Promise<T> => {
  const provider = await awsSecretsManager.open(settingsOf(url, given), runtime, { kind: 'operator' })
  try {
    return await act(provider)
  } finally {
    await provider.close?.()
  }
}
const codeOf = (promise: Promise<unknown> | undefined): Promise<string> => (promise ?? Promise.reject(new Error('no such method'))).then(() => 'ok', (error: LatchkeyError) => `${error.code}: ${error.message}`)
const writing = (provider: SecretProvider, runtime: TestRuntime, name: string) =>
  provider.write?.({ name: createdName(name), value: SecretValue.of('the value'), expect: 'absent', operation: `put-${randomBytes(16).toString('hex')}`, stage: 'current' }, callOf(runtime.clock))

const leftOut = (title: string, missing: string): void => {
  describe(title, () => {
    it(`is left out: ${missing}`, () => {
      expect(missing).not.toBe('')
    })
  })
}

const { moto, ministack_iam: enforcing } = peers

const onMoto = (url: string): void => {
  describe('AWS identity on moto', () => {
    const pod = 'arn:aws:iam::100000000001:role/Pod'
    const target = 'arn:aws:iam::200000000002:role/Target'
    const acrossAccounts = { aws_role_name: target, aws_external_id: 'the-external-id', aws_web_identity_token: '/var/token' }

    it('goes from a web identity over a role with an external id to a secret of the other account', async () => {
      const runtime = worldOf({ AWS_ROLE_ARN: pod })
      const name = `across-${randomBytes(4).toString('hex')}`

      const outcome = await using(runtime, url, acrossAccounts, async (provider) => {
        await writing(provider, runtime, name)
        return { value: (await provider.read(createdName(name), {}, callOf(runtime.clock))).value.reveal(), findings: await provider.check('read', callOf(runtime.clock)) }
      })
      const seen = await operator(
        url,
        `
def at(account):
    keys = boto3.client('sts').assume_role(RoleArn=f'arn:aws:iam::{account}:role/Operator', RoleSessionName='operator')['Credentials']
    sm = boto3.client('secretsmanager', aws_access_key_id=keys['AccessKeyId'], aws_secret_access_key=keys['SecretAccessKey'], aws_session_token=keys['SessionToken'])
    try:
        facts = sm.get_secret_value(SecretId=argument['name'], VersionStage='AWSCURRENT')
        return facts['SecretString'] + ' of ' + facts['ARN'].split(':')[4]
    except sm.exceptions.ResourceNotFoundException: return 'absent'
print(json.dumps({account: at(account) for account in ['100000000001', '200000000002', '300000000003']}))`,
        { name },
      )

      expect(outcome.value).toBe('the value')
      expect(outcome.findings).toEqual([{ ok: true, subject: 'sts:GetCallerIdentity', message: 'Account 200000000002, role Target.' }, { ok: true, subject: 'secretsmanager:GetSecretValue', message: 'Allowed.' }])
      expect(seen).toEqual({ '100000000001': 'absent', '200000000002': 'the value of 200000000002', '300000000003': 'absent' })
    })

    it('renews the session when the clock jumps over its end, and reads on', async () => {
      const runtime = worldOf({ AWS_ROLE_ARN: pod })
      const name = `jump-${randomBytes(4).toString('hex')}`

      const value = await using(runtime, url, acrossAccounts, async (provider) => {
        await writing(provider, runtime, name)
        runtime.clock.advance(3 * 3_600_000)
        return (await provider.read(createdName(name), {}, callOf(runtime.clock))).value.reveal()
      })

      expect(value).toBe('the value')
    })

    it('finds a role that takes any external id: moto looks at none', async () => {
      const runtime = worldOf()
      const settings = settingsOf(url, { aws_role_name: target, aws_external_id: 'the-external-id', aws_access_key_id: 'test', aws_secret_access_key: 'test' })

      expect(await probeExternalId(settings, runtime, callOf(runtime.clock))).toMatchObject({ ok: false, setting: 'aws_external_id' })
    })
  })
}

const making = `
iam = boto3.client('iam')
trust = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Principal': {'AWS': '*'}, 'Action': 'sts:AssumeRole', 'Condition': {'StringEquals': {'sts:ExternalId': argument['externalId']}}}]}
iam.create_role(RoleName=argument['role'], AssumeRolePolicyDocument=json.dumps(trust))
iam.put_role_policy(RoleName=argument['role'], PolicyName='least', PolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': argument['statement']}))
user = argument['role'] + '-caller'
iam.create_user(UserName=user)
iam.put_user_policy(UserName=user, PolicyName='assume', PolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Resource': '*'}]}))
key = iam.create_access_key(UserName=user)['AccessKey']
print(json.dumps({'arn': iam.get_role(RoleName=argument['role'])['Role']['Arn'], 'id': key['AccessKeyId'], 'secret': key['SecretAccessKey']}))`

const onMinistack = (url: string): void => {
  describe('AWS identity on ministack with its IAM enforced', () => {
    const externalId = 'the-external-id'
    const roleWith = async (statement: readonly object[]): Promise<{ readonly given: Record<string, unknown>; readonly arn: string }> => {
      const { arn = '', id, secret } = await operator(url, making, { role: `role-${randomBytes(4).toString('hex')}`, externalId, statement })
      return { arn, given: { aws_role_name: arn, aws_access_key_id: id, aws_secret_access_key: secret } }
    }
    const everything = [{ Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' }]

    it('is refused without an external id and with a wrong one, by the emulator, and accepted with the right one', async () => {
      const runtime = worldOf()
      const { given } = await roleWith(everything)
      const name = createdName(`external-${randomBytes(4).toString('hex')}`)
      const reading = (more: Record<string, unknown>) => using(runtime, url, { ...given, ...more }, (provider) => codeOf(provider.read(name, {}, callOf(runtime.clock))))

      const answers = [await reading({}), await reading({ aws_external_id: 'a-wrong-one' }), await reading({ aws_external_id: externalId })]

      expect(answers).toEqual([
        expect.stringMatching(/^provider_denied: The login to AWS failed at sts:AssumeRole .*because aws_external_id is not set/) as string,
        expect.stringMatching(/^provider_denied: The login to AWS failed at sts:AssumeRole .*no other external id than that of aws_external_id/) as string,
        expect.stringMatching(/^not_found/) as string,
      ])
    })

    it('passes the probe of its external id, and fails it with a wrong one', async () => {
      const runtime = worldOf()
      const { given } = await roleWith(everything)
      const probing = (aws_external_id: string) => probeExternalId(settingsOf(url, { ...given, aws_external_id }), runtime, callOf(runtime.clock))

      expect(await probing(externalId)).toEqual({ ok: true, subject: 'sts:ExternalId', message: 'The role refuses a random external id and accepts that of aws_external_id.' })
      expect(await probing('a-wrong-one')).toMatchObject({ ok: false, setting: 'aws_role_name' })
    })

    it('may do what the role may, and nothing else: a refusal is provider_denied and names the action', async () => {
      const runtime = worldOf()
      const { given } = await roleWith([{ Effect: 'Allow', Action: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret', 'secretsmanager:CreateSecret'], Resource: 'arn:aws:secretsmanager:us-east-1:*:secret:allowed/*' }])
      const name = `allowed/${randomBytes(4).toString('hex')}`

      const answers = await using(runtime, url, { ...given, aws_external_id: externalId }, async (provider) => ({
        made: await codeOf(writing(provider, runtime, name)),
        read: await codeOf(provider.read(createdName(name), {}, callOf(runtime.clock))),
        elsewhere: await codeOf(provider.read(createdName(`elsewhere/${name}`), {}, callOf(runtime.clock))),
        removed: await codeOf(provider.remove?.(createdName(name), { expect: 'any', final: false }, callOf(runtime.clock))),
        check: await provider.check('read', callOf(runtime.clock)),
      }))

      expect(answers).toMatchObject({
        made: 'ok',
        read: 'ok',
        elsewhere: expect.stringMatching(/^provider_denied: AWS refused secretsmanager:GetSecretValue/) as string,
        removed: expect.stringMatching(/^provider_denied: AWS refused secretsmanager:DeleteSecret/) as string,
        check: [
          { ok: true, subject: 'sts:GetCallerIdentity', message: expect.stringMatching(/^Account \d{12}, role role-/) as string },
          { ok: false, subject: 'secretsmanager:GetSecretValue', message: expect.stringMatching(/AWS refused secretsmanager:GetSecretValue/) as string },
        ],
      })
    })

    it('knows a wrong secret key for what it is', async () => {
      const runtime = worldOf()
      const { given } = await roleWith(everything)

      expect(await using(runtime, url, { ...given, aws_secret_access_key: 'wrong', aws_external_id: externalId }, (provider) => codeOf(provider.read(createdName('x'), {}, callOf(runtime.clock))))).toMatch(/^provider_denied: The login to AWS failed at sts:AssumeRole/)
    })
  })
}

if ('url' in moto) onMoto(moto.url)
else leftOut('AWS identity on moto', moto.missing)
if ('url' in enforcing) onMinistack(enforcing.url)
else leftOut('AWS identity on ministack with its IAM enforced', enforcing.missing)

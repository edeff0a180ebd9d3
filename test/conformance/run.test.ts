// `npm run exam`, against our own fakes in the place of a server that somebody named.
import { describe, expect, it, onTestFinished } from 'vitest'
import { fakeKeys, startSecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { examCases } from './exam-cases.ts'
import { examine } from './run.ts'

const running = async (args: readonly string[], env: Record<string, string> = {}) => {
  const lines: string[] = []
  const code = await examine(args, { env, print: (line) => void lines.push(line) })
  return { code, text: lines.join('\n') }
}

const aws = async () => {
  const fake = await startSecretsManagerFake({ now: () => Date.now() })
  onTestFinished(() => fake.close())
  return { fake, args: ['--provider', 'aws_secret_manager', '--url', fake.url, '--setting', 'aws_region_name=us-east-1', '--setting', `aws_access_key_id=os.environ/THE_ID`, '--setting', 'aws_secret_access_key=os.environ/THE_KEY'], env: { THE_ID: fakeKeys.accessKeyId, THE_KEY: fakeKeys.secretAccessKey } }
}

describe('npm run exam', () => {
  it('examines a server that somebody names, prints the table and what was left out, and ends with 0', { timeout: 120_000 }, async () => {
    const { args, env } = await aws()

    const { code, text } = await running(args, env)

    expect(text).not.toContain('failed')
    expect(text).toMatch(/^exam of +half +read +write +rotate +delete +list +batch +all +left out +deviating$/m)
    expect(text).toMatch(/^aws_secret_manager +healthy +(\d+)\/\1 /m)
    expect(text).toContain('left out, needs a fault that it cannot have (a server that somebody else runs cannot be broken on purpose)')
    expect(code).toBe(0)
  })

  it('takes settings from variables with a prefix', async () => {
    const { fake } = await aws()

    const { code, text } = await running(['--provider', 'aws_secret_manager', '--url', fake.url, '--settings-env', 'EXAM_', '--only', 'read.missing'], {
      EXAM_AWS_REGION_NAME: 'us-east-1', EXAM_AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, EXAM_AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, OTHER: 'x',
    })

    expect(text).toMatch(/healthy +4\/4|healthy +3\/3/)
    expect(code).toBe(0)
  })

  it('takes the variables that the provider itself knows, but for its address', async () => {
    const { fake } = await aws()

    const { code, text } = await running(['--provider', 'aws_secret_manager', '--url', fake.url, '--only', 'read.missing', '--setting', 'aws_access_key_id=os.environ/AWS_ACCESS_KEY_ID', '--setting', 'aws_secret_access_key=os.environ/AWS_SECRET_ACCESS_KEY'], {
      AWS_REGION_NAME: 'us-east-1', AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey,
    })

    expect(text).not.toContain('failed')
    expect(code).toBe(0)
  })

  it('names each case that fails and ends with 1', async () => {
    const { fake, args, env } = await aws()
    fake.fault({ kind: 'throttled', on: 'change' })

    const { code, text } = await running([...args, '--only', 'write.create'], env)

    expect(text).toContain('failed  write.create: ')
    expect(text).toMatch(/healthy +- +0\/\d/)
    expect(code).toBe(1)
  })

  it.each<readonly [string, readonly string[], string]>([
    ['nothing at all', [], 'npm run exam -- --provider NAME'],
    ['no server', ['--provider', 'aws_secret_manager'], 'npm run exam -- --provider NAME'],
    ['something that is no URL', ['--provider', 'aws_secret_manager', '--url', 'nowhere'], '--url must be a URL'],
    ['a provider that there is not', ['--provider', 'aws_secret_managr', '--url', 'http://127.0.0.1:1'], 'did you mean aws_secret_manager?'],
    ['a provider without a server', ['--provider', 'environment', '--url', 'http://127.0.0.1:1'], 'environment has no harness that takes any server'],
    ['an option that there is not', ['--server', 'x'], '--server'],
    ['a setting that there is not', ['--provider', 'aws_secret_manager', '--url', 'http://127.0.0.1:1', '--setting', 'aws_regio=x'], 'aws_regio is no setting'],
    ['a setting without a value', ['--provider', 'aws_secret_manager', '--url', 'http://127.0.0.1:1', '--setting', 'aws_region_name'], 'KEY=VALUE'],
    ['a secret on the command line', ['--provider', 'aws_secret_manager', '--url', 'http://127.0.0.1:1', '--setting', 'aws_secret_access_key=abc'], 'aws_secret_access_key=os.environ/NAME'],
    ['a variable that is not set', ['--provider', 'aws_secret_manager', '--url', 'http://127.0.0.1:1', '--setting', 'aws_region_name=os.environ/NOWHERE'], 'NOWHERE, which is not set'],
  ])('refuses %s with 2, and says why', async (_, args, why) => {
    const { code, text } = await running(args)

    expect(text).toContain(why)
    expect(code).toBe(2)
  })

  it('lists every case and every provider that can be examined so', async () => {
    const { code, text } = await running(['--list'])

    expect(text.split('\n')).toHaveLength(examCases.length + 1)
    expect(text).toMatch(/Servers of aws_secret_manager, aws_kms, azure_key_vault, google_secret_manager, google_kms, hashicorp_vault, cyberark, infisical can be examined\.$/)
    expect(code).toBe(0)
  })
})

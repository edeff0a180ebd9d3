// `npm start` as a person meets it: a real process, the printed lines in a real shell, real signals.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fakeKeys, startSecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { ServerFolder } from './server-process.ts'

const run = promisify(execFile)
const goodKey = 'sk-an-operators-own-master-key-0123456789'

/** Processes start slowly on a busy machine. */
vi.setConfig({ testTimeout: 60_000 })

let folder: ServerFolder
beforeEach(() => {
  folder = new ServerFolder()
})
afterEach(() => folder.close())

const paste = async (line: string, env: Readonly<Record<string, string>> = {}): Promise<Record<string, unknown>> => {
  const { stdout } = await run('sh', ['-c', line], { env: { PATH: process.env['PATH'] ?? '', ...env } })
  return JSON.parse(stdout) as Record<string, unknown>
}

/** Opens a request and sends all of it but the last byte of its body. */
const unfinished = async (url: string, key: string): Promise<{ socket: Socket; finish: () => Promise<string> }> => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  const body = '{"value":"x"}'
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk.toString('utf8')))
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(`PUT /secrets/slow HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`)
  await once(socket, 'data')
  socket.write(body.slice(0, -1))
  const finish = async (): Promise<string> => {
    socket.write(body.slice(-1))
    await once(socket, 'close')
    return answer
  }
  return { socket, finish }
}

describe('npm start', () => {
  it('prints three lines that work when pasted, and again after the next start', async () => {
    const marks = new Set<string>()
    for (let start = 1; start <= 2; start += 1) {
      const { curls, child } = await folder.start()

      const answers = [await paste(curls[0] ?? ''), await paste(curls[1] ?? ''), await paste(curls[2] ?? '')]

      expect(curls).toHaveLength(3)
      expect(answers[0]).toMatchObject({ name: 'your-test-key', store: 'default' })
      expect(answers[1]).toMatchObject({ name: 'your-test-key', value: 'hello from Latchkey', store: 'default' })
      expect(answers[2]).toMatchObject({ key: expect.stringMatching(/^sk-/), key_alias: expect.stringMatching(/^demo-/), stored: { store: 'default', name: expect.stringMatching(/^litellm\/demo-/) } })
      marks.add(String(answers[2]?.['key_alias']))
      child.kill('SIGTERM')
      await once(child, 'exit')
    }

    expect(marks.size).toBe(2)
  })

  it('prints lines that take a configured master key from the shell, and never the key', async () => {
    const { curls, output } = await folder.start({ LITELLM_MASTER_KEY: goodKey })

    const answer = await paste(curls[0] ?? '', { LITELLM_MASTER_KEY: goodKey })

    expect(answer).toMatchObject({ name: 'your-test-key' })
    expect(output()).not.toContain(goodKey)
  })

  it('warns of a weak master key without showing it', async () => {
    const { output } = await folder.start({ LITELLM_MASTER_KEY: 'sk-1234' })

    expect(output()).toMatch(/Warning: .*fewer than 32 characters/)
    expect(output()).not.toContain('sk-1234')
  })

  it('makes another master key for every run and takes no other token', async () => {
    const first = await folder.start()
    const second = await folder.start({ LATCHKEY_DATA_DIR: 'elsewhere' })

    const answer = await paste(`curl -sS ${second.url}/whoami -H 'Authorization: Bearer ${first.masterKey}'`)

    expect(first.masterKey).not.toBe(second.masterKey)
    expect(answer).toMatchObject({ code: 'unauthenticated' })
  })

  it('does the same on AWS Secrets Manager with examples/aws.yaml, and the service holds the token under its name, with the tags', async () => {
    const aws = await startSecretsManagerFake()
    const env = { LITELLM_MASTER_KEY: goodKey, AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, AWS_ENDPOINT_URL: aws.url }
    const { curls, output } = await folder.start(env, ['--config', join(import.meta.dirname, '../../examples/aws.yaml')])

    const answers = [await paste(curls[0] ?? '', env), await paste(curls[1] ?? '', env), await paste(curls[2] ?? '', env)]
    const SecretId = `litellm/${String(answers[2]?.['key_alias'])}`
    const listed = await new SecretsManager({ region: 'us-east-1', endpoint: aws.url, credentials: fakeKeys }).describeSecret({ SecretId })
    const held = await new SecretsManager({ region: 'us-east-1', endpoint: aws.url, credentials: fakeKeys }).getSecretValue({ SecretId })
    await aws.close()

    expect(answers[1]).toMatchObject({ value: 'hello from Latchkey', source: 'aws_secret_manager' })
    expect(held.SecretString).toBe(answers[2]?.['key'])
    expect(listed.Tags).toEqual(expect.arrayContaining([{ Key: 'team', Value: 'platform' }]))
    expect(output()).toMatch(/os\.environ\/OPENAI_API_KEY +absent/)
  })

  it('lists every reference of the configuration with its source', async () => {
    folder.write('config.yaml', 'model_list:\n  - model_name: a\n    litellm_params: { model: openai/a, api_key: os.environ/A_KEY }\n  - model_name: b\n    litellm_params: { model: openai/b, api_key: os.environ/B_KEY }\n')

    const { output } = await folder.start({ A_KEY: 'held' })

    expect(output()).toMatch(/os\.environ\/A_KEY +environment/)
    expect(output()).toMatch(/os\.environ\/B_KEY +absent/)
    expect(output()).not.toContain('held')
  })

  it('answers a request in flight when it is told to stop, and ends with 0', async () => {
    const { url, masterKey, child } = await folder.start()
    const request = await unfinished(url, masterKey)
    const ended = once(child, 'exit')

    child.kill('SIGTERM')
    await expect.poll(() => refusesConnections(url), { timeout: 15_000 }).toBe(true)
    const answer = await request.finish()

    expect(answer).toMatch(/HTTP\/1\.1 201 /)
    expect(await ended).toEqual([0, null])
  })

  it('ends at once at the second signal', async () => {
    const { url, masterKey, child } = await folder.start()
    const { socket } = await unfinished(url, masterKey)
    const ended = once(child, 'exit')

    child.kill('SIGTERM')
    await expect.poll(() => refusesConnections(url), { timeout: 15_000 }).toBe(true)
    child.kill('SIGTERM')

    expect(await ended).toEqual([1, null])
    socket.destroy()
  })
})

const refusesConnections = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.once('connect', () => resolve(false)).once('error', () => resolve(true))
    socket.once('connect', () => socket.destroy())
  })

describe('npm start refuses', () => {
  it('a port that is taken, and says how to choose another', async () => {
    const { url } = await folder.start()
    const { port } = new URL(url)

    const { code, stderr } = await folder.refuse({ PORT: port })

    expect(code).toBe(78)
    expect(stderr).toContain(`Port ${port} on 127.0.0.1 is taken`)
    expect(stderr).toContain(`PORT=${Number(port) + 1} npm start`)
  })

  it('a configuration with five mistakes, listing all five and no stack', async () => {
    const file = folder.write('five.yaml', [
      'general_settings:',
      '  key_management_system: aws_secret_manger',
      '  key_management_settings:',
      '    acces_mode: read_only',
      '    store_virtual_keys: "perhaps"',
      'latchkey:',
      '  cache: { ttl_seconds: 99999 }',
      '  reed_order: [default]',
    ].join('\n'))

    const { code, stdout, stderr } = await folder.refuse({}, ['--config', file])

    expect(code).toBe(78)
    expect(stdout).toBe('')
    expect(stderr.trimEnd().split('\n')).toHaveLength(6)
    expect(stderr).toMatch(/did you mean aws_secret_manager\?[\s\S]*did you mean access_mode\?/)
    expect(stderr).not.toMatch(/\bat .*:\d+:\d+|node:internal/)
  })

  it('a file that is no YAML, with line and column', async () => {
    folder.write('config.yaml', 'general_settings:\n  master_key: "open\n')

    const { code, stderr } = await folder.refuse()

    expect(code).toBe(78)
    expect(stderr).toMatch(/config\.yaml:\d+:\d+ /)
  })

  it.each([
    ['without a master key', {}, /no master key is configured/],
    ['with a weak master key', { LITELLM_MASTER_KEY: 'sk-1234' }, /master key/],
  ])('an address that others can reach %s', async (_title, env, message) => {
    const { code, stderr } = await folder.refuse({ HOST: '0.0.0.0', ...env })

    expect(code).toBe(78)
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain('sk-1234')
  })

  it.each([
    [{ PORT: 'eighty' }, [], /PORT must be a whole number/],
    [{}, ['--port', '80'], /--config <file> and --help/],
    [{}, ['--config', 'nowhere.yaml'], /nowhere\.yaml/],
    [{ HOST: '203.0.113.1', LITELLM_MASTER_KEY: goodKey }, [], /no address of this machine/],
  ])('%o %o', async (env, args, message) => {
    const { code, stderr } = await folder.refuse(env, args)

    expect(code).toBe(78)
    expect(stderr).toMatch(message)
  })

  it('nothing when asked for help', async () => {
    const { code, stdout } = await folder.refuse({}, ['--help'])

    expect(code).toBe(0)
    expect(stdout).toMatch(/PORT .*Default: 4100/)
  })
})

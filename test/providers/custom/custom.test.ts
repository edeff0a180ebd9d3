// Your own provider: what its module must look like, what may be plain in it, and that nothing it throws or does gets through to a caller.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { custom } from '../../../shared/providers/custom.ts'
import { assertNothingSecret } from '../../conformance/exam.ts'
import { fakeApplication } from '../../conformance/harnesses/azure-key-vault.ts'
import { clients } from '../../fixtures/custom/azure-around.ts'
import { canary } from '../../support/canary.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'
import { ClientSecretCredential } from '@azure/identity'
import { scene } from '../azure/azure-scene.ts'

const runtime = testRuntime({ env: { OWN_TOKEN: 'from the environment', EMPTY: '' } })
const name = hostedName('OPENAI_API_KEY')
const call = () => callOf(runtime.clock)

const moduleOf = async (text: string, ending = 'ts'): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-custom-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, `mine.${ending}`)
  await writeFile(path, text)
  return path
}
const open = (path: string, custom_settings?: Record<string, string>): Promise<SecretProvider> =>
  custom.open({ custom_secret_manager: path, ...(custom_settings !== undefined && { custom_settings }) }, runtime, { kind: 'operator' })
const opened = async (text: string, settings?: Record<string, string>): Promise<SecretProvider> => open(await moduleOf(text), settings)
const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'no failure', (error: unknown) => error)
const check = 'check: async () => [{ ok: true, subject: "mine", message: "is ready" }]'

describe('a module', () => {
  it.each<readonly [string, string, string]>([
    ['exports nothing', 'export const other = 1', 'neither a default export nor one named provider'],
    ['exports a number', 'export default 7', 'is a number and must be a provider'],
    ['exports null', 'export default null', 'is null and must be a provider'],
    ['has no read', `export default { ${check} }`, 'read is missing; a provider has read(name, at, call)'],
    ['has no check', 'export default { read: async () => "x" }', 'check is missing; a provider has check(depth, call)'],
    ['has neither', 'export default {}', 'read is missing; a provider has read(name, at, call); check is missing'],
    ['has a list for read', `export default { read: [], ${check} }`, 'read is a list and must be a function'],
    ['mistypes a method', `export default { read: async () => "x", ${check}, list: 'all' }`, 'list is a string and must be a function'],
    ['misspells a method', `export default { read: async () => "x", ${check}, descirbe: async () => 1 }`, 'descirbe is no member of a provider; did you mean describe?'],
    ['writes without saying what a write guarantees', `export default { read: async () => "x", ${check}, write: async () => ({}) }`, 'traits.write, which says what a write guarantees, is missing'],
    ['has text for traits', `export default { read: async () => "x", ${check}, traits: 'none' }`, 'traits is a string and must be an object'],
    ['has a negative settle time', `export default { read: async () => "x", ${check}, traits: { settleMs: -1 } }`, 'traits.settleMs must be a whole number'],
    ['has no number of bytes', `export default { read: async () => "x", ${check}, traits: { value: { maxBytes: 'many' } } }`, 'traits.value.maxBytes must be a whole number'],
    ['has a number for the value', `export default { read: async () => "x", ${check}, traits: { value: 1 } }`, 'traits.value is a number and must be an object'],
    ['has names without encode', `export default { read: async () => "x", ${check}, traits: { names: {} } }`, 'traits.names must have encode(name)'],
    ['has versions of its own kind', `export default { read: async () => "x", ${check}, traits: { versions: 'dated' } }`, 'traits.versions must be none, numbered or opaque'],
    ['has an open that is none', 'export default { open: true }', 'open is a boolean and must be a function'],
    ['opens to nothing', 'export default { open: () => undefined }', 'is a undefined and must be a provider'],
    ['opens to half a provider', 'export default { open: async () => ({ read: async () => "x" }) }', 'check is missing'],
  ])('that %s stops the start and is told so', async (_, text, why) => {
    const error = await failure(opened(text))

    expect(error).toMatchObject({ code: 'misconfigured' })
    expect(String(error)).toContain('custom_secret_manager')
    expect(String(error)).toContain(why)
  })

  it.each([
    ['my_secrets.MySecrets', 'Python class'],
    ['./my-secrets', 'ends in .ts'],
    ['./my-secrets.py', 'ends in .ts'],
    ['./there-is-none.ts', 'cannot be loaded'],
  ])('at %s is no module', async (path, why) => {
    expect(await failure(open(path))).toMatchObject({ code: 'misconfigured', message: expect.stringContaining(why) as string })
  })

  it('that throws while it is loaded or opened is told by the name of its error alone', async () => {
    const secret = canary('in an error')
    const errors = [
      await failure(opened(`throw Object.assign(new TypeError('it holds ${secret}'), { code: 'E_OWN' })`)),
      await failure(opened(`throw '${secret}'`)),
      await failure(opened(`export default { open: () => { throw new Error('${secret}') } }`)),
      await failure(opened('export default {{')),
    ]

    expect(errors).toMatchObject(Array.from({ length: 4 }, () => ({ code: 'misconfigured' })))
    expect(String(errors[0])).toContain('TypeError E_OWN')
    assertNothingSecret(errors)
  })

  it.each(['mts', 'js', 'mjs'])('may end in .%s', async (ending) => {
    const provider = await open(await moduleOf(`export const provider = { read: async () => 'x', ${check} }`, ending))

    expect((await provider.read(name, {}, call())).value.reveal()).toBe('x')
  })

  it('is found from the working directory as well, and loaded only when its store is opened', async () => {
    const path = await moduleOf(`globalThis.latchkeyLoaded = true; export default { read: async () => 'x', ${check} }`)
    const before = 'latchkeyLoaded' in globalThis

    const provider = await open(`./${relative(process.cwd(), path)}`)

    expect([before, 'latchkeyLoaded' in globalThis, typeof provider.read]).toEqual([false, true, 'function'])
  })

  it('is opened with its own settings, references opened, and with the ports', async () => {
    const provider = await opened(`export default { open: async (settings, io) => ({ read: async () => JSON.stringify([settings, typeof io.http.connect, io.env.get('OWN_TOKEN')]), ${check} }) }`, { url: 'https://x', token: 'os.environ/OWN_TOKEN' })

    expect(JSON.parse((await provider.read(name, {}, call())).value.reveal())).toEqual([{ url: 'https://x', token: 'from the environment' }, 'function', 'from the environment'])
  })

  it.each(['NOWHERE', 'EMPTY'])('whose settings refer to %s, which is not set, stops the start', async (variable) => {
    expect(await failure(opened(`export default { open: () => 1 }`, { token: `os.environ/${variable}` }))).toMatchObject({ code: 'misconfigured', message: expect.stringContaining(`custom_settings.token refers to the environment variable ${variable}`) as string })
  })
})

describe('a plain provider', () => {
  it.each([
    ["'a text'", 'a text'],
    ["new Uint8Array([97, 98])", 'ab'],
    ["({ value: 'a text' })", 'a text'],
    ["({ value: { bytes: () => new Uint8Array([99]) } })", 'c'],
    ["({ value: new Uint8Array([100]), name: { text: 'another', place: 'hosted' } })", 'd'],
    ["''", ''],
  ])('may answer %s', async (answer, expected) => {
    const provider = await opened(`export default { read: async () => ${answer}, ${check} }`)

    const record = await provider.read(name, {}, call())

    expect([record.value.reveal(), record.name]).toEqual([expected, name])
  })

  it.each([
    ['nothing', 'undefined', 'not_found'],
    ['null', 'null', 'not_found'],
    ['a number', '7', 'provider_unavailable'],
    ['a record without a value', '({ version: { id: "1" } })', 'provider_unavailable'],
    ['a record whose value is nothing', '({ value: undefined })', 'provider_unavailable'],
  ])('that answers %s has not answered a value', async (_, answer, code) => {
    const provider = await opened(`export default { read: async () => ${answer}, ${check} }`)

    expect(await failure(provider.read(name, {}, call()))).toMatchObject({ code })
  })

  it.each([
    ["Object.assign(new Error(text), { code: 'not_found' })", 'not_found'],
    ["Object.assign(new Error(text), { code: 'provider_denied' })", 'provider_denied'],
    ["Object.assign(new Error(text), { code: 'provider_throttled', stack: text })", 'provider_throttled'],
    ["Object.assign(new Error(text), { code: 'ECONNRESET', config: { headers: { authorization: text } } })", 'provider_unavailable'],
    ["Object.assign(new Error(text), { code: 'constructor' })", 'provider_unavailable'],
    ['new TypeError(text)', 'provider_unavailable'],
    ['text', 'provider_unavailable'],
  ])('that throws %s fails as %s, and nothing of it is shown', async (thrown, code) => {
    const secret = canary('thrown')
    const provider = await opened(`const text = '${secret}'; export default { read: async () => { throw ${thrown} }, check: () => { throw ${thrown} } }`)

    const error = await failure(provider.read(name, {}, call()))
    const findings = await provider.check('read', call())

    expect(error).toBeInstanceOf(LatchkeyError)
    expect(error).toMatchObject({ code })
    expect(findings).toMatchObject([{ ok: false, setting: 'custom_secret_manager' }])
    assertNothingSecret([error, findings])
  })

  it('whose check answers no list is not ready', async () => {
    const provider = await opened(`export default { read: async () => 'x', check: async () => 'fine' }`)

    expect(await provider.check('read', call())).toMatchObject([{ ok: false, message: expect.stringContaining('list of findings') as string }])
  })

  it('is not asked when the call is over, and does not keep a caller that leaves', async () => {
    const provider = await opened(`globalThis.latchkeyAsked = 0; export default { read: () => { globalThis.latchkeyAsked += 1; return new Promise(() => undefined) }, check: () => new Promise(() => undefined) }`)
    const controller = new AbortController()
    const reason = new Error('gone')

    const late = await failure(provider.read(name, {}, callOf(runtime.clock, { withinMs: -1 })))
    const waiting = [failure(provider.read(name, {}, callOf(runtime.clock, { signal: controller.signal }))), provider.check('read', callOf(runtime.clock, { signal: controller.signal }))]
    controller.abort(reason)

    expect(late).toMatchObject({ code: 'deadline_exceeded' })
    expect(await Promise.all(waiting)).toEqual([reason, [expect.objectContaining({ ok: false })]])
    expect((globalThis as { latchkeyAsked?: number }).latchkeyAsked).toBe(1)
  })

  it('is never given a value that its traits refuse', async () => {
    const provider = await opened(`export default { read: async () => 'x', ${check}, write: async () => ({ outcome: 'written' }), traits: { value: { maxBytes: 4, empty: false, bytes: 'text' }, write: { guarantee: 'detected', softDelete: false, labels: 'none' } } }`)
    const write = (text: string) => failure(provider.write?.({ name: createdName('litellm/a'), value: SecretValue.of(text), expect: 'any', operation: 'put-'.padEnd(36, '0'), stage: 'current' }, call()) ?? Promise.resolve())

    expect([await write('12345'), await write(''), await write('1234')]).toMatchObject([{ code: 'too_large' }, { code: 'invalid_request' }, 'no failure'])
  })

  it('that can be closed is closed', async () => {
    const provider = await opened(`export default { read: async () => 'x', ${check}, close: () => { globalThis.latchkeyClosed = true } }`)

    await provider.close?.()

    expect('latchkeyClosed' in globalThis).toBe(true)
  })
})

describe('the example, a ready SecretClient in twenty lines', () => {
  it('reads, finds absent and is refused, against the fake that Microsoft’s own client examines', async () => {
    const azure = await scene()
    onTestFinished(() => azure.close())
    azure.vault.seed('OPENAI-API-KEY', 'sk-the-value')
    const { tenantId, clientId, secret } = fakeApplication
    clients.set('ready', azure.client(new ClientSecretCredential(tenantId, clientId, secret, azure.signIn)))
    const provider = await open(join(import.meta.dirname, '../../fixtures/custom/azure-around.ts'), { client: 'ready' })

    expect((await provider.read(name, {}, call())).value.reveal()).toBe('sk-the-value')
    expect(await failure(provider.read(hostedName('NOT_THERE'), {}, call()))).toMatchObject({ code: 'not_found' })
    expect(await provider.check('read', call())).toMatchObject([{ ok: true }])
    azure.fake.fault({ kind: 'denied' })
    expect(await failure(provider.read(name, {}, call()))).toMatchObject({ code: 'provider_denied' })
    expect(await provider.check('read', call())).toMatchObject([{ ok: false }])
  })

  it('takes no more than twenty-five lines of code', async () => {
    const { readFile } = await import('node:fs/promises')
    const text = await readFile(join(import.meta.dirname, '../../../examples/custom-azure.ts'), 'utf8')

    expect(text.split('\n').filter((line) => line.trim() !== '' && !/^\s*(?:\/\/|\/\*\*|import )/.test(line)).length).toBeLessThanOrEqual(25)
  })
})

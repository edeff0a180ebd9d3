// What is Infisical's alone: trimming, approvals, hidden values, its own answers for nothing, two who race, people who change secrets in its pages.
import { describe, expect, it, onTestFinished } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider, WriteRequest } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { infisicalSettings, openInfisical } from '../../conformance/harnesses/infisical.ts'
import { startInfisicalFake, type Knobs, type RunningInfisical } from '../../fakes/infisical/service.ts'
import { canariesIn, canary } from '../../support/canary.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'
import { inspect } from 'node:util'

type Whole = Required<SecretProvider>

const started = async (knobs: Knobs = {}, settings: Record<string, unknown> = {}): Promise<{ fake: RunningInfisical; provider: Whole; runtime: TestRuntime; again(): Promise<Whole> }> => {
  const runtime = testRuntime({ hurries: true })
  const fake = await startInfisicalFake({ now: () => runtime.clock.now(), knobs })
  const opened: SecretProvider[] = []
  const again = async (): Promise<Whole> => {
    const provider = await openInfisical(runtime, { ...infisicalSettings(fake.url), ...settings })
    opened.push(provider)
    return provider as Whole
  }
  onTestFinished(async () => {
    for (const provider of opened) await provider.close?.()
    await fake.close()
  })
  return { fake, provider: await again(), runtime, again }
}

let made = 0
const operationOf = (epoch = 1, verb = 'create'): string => `${epoch}-${verb}-${String((made += 1)).padStart(32, '0')}`
const written = (name: WriteRequest['name'], value: string, more: Partial<WriteRequest> = {}): WriteRequest => ({ name, value: SecretValue.of(value), expect: 'absent', operation: operationOf(), stage: 'current', ...more })
const failure = async (promise: Promise<unknown>): Promise<LatchkeyError> => {
  const error = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(LatchkeyError)
  expect(canariesIn(inspect(error, { depth: 9, showHidden: true }))).toEqual([])
  return error as LatchkeyError
}
const textOf = async (provider: Whole, name: WriteRequest['name'], runtime: TestRuntime): Promise<string> => (await provider.read(name, {}, callOf(runtime.clock))).value.reveal()

const key = createdName('litellm/alias')

describe('a value', () => {
  it.each([' space', 'space ', 'tab\t', 'two\n\n', '\nline', 'carriage\r\n', '\uFEFFmark'])('that Infisical would trim is refused before anything is sent: %j', async (value) => {
    const { fake, provider, runtime } = await started()

    const error = await failure(provider.write(written(key, value), callOf(runtime.clock)))

    expect([error.code, fake.requests.length]).toEqual(['invalid_request', 0])
  })

  it.each(['plain', 'inner  space', 'line one\nline two', 'one newline\n', '\n', '${NOT_A_REFERENCE}', ''])('that it keeps is read as it was written: %j', async (value) => {
    const { provider, runtime } = await started()

    await provider.write(written(key, value), callOf(runtime.clock))

    expect(await textOf(provider, key, runtime)).toBe(value)
  })

  it('with a reference that leads nowhere is refused where the server checks it, and nothing is stored', async () => {
    const { fake, provider, runtime } = await started({ checksReferences: true })

    const error = await failure(provider.write(written(key, `\${MISSING}${canary('referring')}`), callOf(runtime.clock)))

    expect([error.code, fake.service.project.rows.length]).toEqual(['invalid_request', 0])
  })

  it('and a description keep every reference unexpanded in the record as well', async () => {
    const { provider, runtime } = await started({ checksReferences: true })
    const { version } = await provider.write(written(key, 'first'), callOf(runtime.clock))

    await provider.annotate(key, { description: 'costs ${MONEY}', labels: { note: '${A}' } }, callOf(runtime.clock))

    expect((await provider.describe(key, callOf(runtime.clock))).labels).toEqual({ note: '${A}' })
    expect(version?.stages).toEqual(['current'])
  })
})

describe('an approval policy', () => {
  it('makes a creation approval_required, never a success', async () => {
    const { fake, provider, runtime } = await started({ approvals: () => true })

    const error = await failure(provider.write(written(key, canary('waiting')), callOf(runtime.clock)))

    expect(error.code).toBe('approval_required')
    expect(fake.service.project.rows).toEqual([])
  })

  it('on the secret alone leaves what was there current, and a repetition asks again', async () => {
    const { fake, provider, runtime } = await started()
    const { version } = await provider.write(written(key, 'first', { labels: { team: 'a' } }), callOf(runtime.clock))
    fake.service.knobs.approvals = (path) => path === '/litellm'
    const replacement = written(key, 'second', { expect: { version: version?.id ?? '' }, operation: operationOf(2, 'rotate'), labels: { team: 'b' } })

    const codes = [(await failure(provider.write(replacement, callOf(runtime.clock)))).code, (await failure(provider.write(replacement, callOf(runtime.clock)))).code]
    const facts = await provider.describe(key, callOf(runtime.clock))

    expect(codes).toEqual(['approval_required', 'approval_required'])
    expect([await textOf(provider, key, runtime), facts.current?.id, facts.labels]).toEqual(['first', version?.id, { team: 'a' }])
  })

  it('on a deletion is approval_required, and the secret stays', async () => {
    const { fake, provider, runtime } = await started()
    await provider.write(written(key, 'first'), callOf(runtime.clock))
    fake.service.knobs.approvals = () => true

    expect((await failure(provider.remove(key, { expect: 'any', final: false }, callOf(runtime.clock)))).code).toBe('approval_required')
    expect(await textOf(provider, key, runtime)).toBe('first')
  })
})

describe('a right that is missing on the secret, and not on its record', () => {
  it("leaves a key's epoch with who won it: a repetition shows what was decided", async () => {
    const { fake, provider, runtime } = await started()
    const { version } = await provider.write(written(key, 'first'), callOf(runtime.clock))
    const replacement = written(key, 'second', { expect: { version: version?.id ?? '' }, operation: operationOf(2, 'rotate') })
    fake.fault({ kind: 'denied', only: ({ method, path, body }) => method === 'PATCH' && path.endsWith('/alias') && !body.toString().includes('__latchkey') })

    const error = await failure(provider.write(replacement, callOf(runtime.clock)))
    const decided = (await provider.describe(key, callOf(runtime.clock))).current?.id
    fake.heal()
    const { outcome } = await provider.write(replacement, callOf(runtime.clock))

    expect([error.code, decided, outcome]).toEqual(['provider_denied', replacement.operation, 'same_operation'])
    expect(await textOf(provider, key, runtime)).toBe('second')
  })

  it('takes any other value back, so that nothing is changed', async () => {
    const { fake, provider, runtime } = await started()
    const { version } = await provider.write(written(key, 'first', { operation: 'put-'.padEnd(32, '0') }), callOf(runtime.clock))
    fake.fault({ kind: 'denied', only: ({ method, path, body }) => method === 'PATCH' && path.endsWith('/alias') && !body.toString().includes('__latchkey') })

    const error = await failure(provider.write(written(key, 'second', { expect: { version: version?.id ?? '' }, operation: 'put-'.padEnd(32, '1') }), callOf(runtime.clock)))
    fake.heal()

    expect([error.code, (await provider.describe(key, callOf(runtime.clock))).current?.id]).toEqual(['provider_denied', version?.id])
  })
})

describe('a value that may not be seen', () => {
  it('is provider_denied, alone and in a batch, while its facts are known', async () => {
    const { fake, provider, runtime } = await started()
    const [shown, hidden] = [hostedName('SHOWN'), hostedName('HIDDEN')]
    for (const name of [shown, hidden]) fake.service.project.create('dev', '/', name.text, { secretValue: `value of ${name.text}` })
    fake.service.knobs.hidden = (_, name) => name === 'HIDDEN'

    expect((await failure(provider.read(hidden, {}, callOf(runtime.clock)))).code).toBe('provider_denied')
    expect((await provider.describe(hidden, callOf(runtime.clock))).current?.id).toBe('1')
    expect((await provider.readMany([shown, hidden], callOf(runtime.clock))).map((item) => (item instanceof LatchkeyError ? item.code : item.value.reveal()))).toEqual(['value of SHOWN', 'provider_denied'])
  })

  it('does not take the others of a batch with it where the service refuses the whole list', async () => {
    const { fake, provider, runtime } = await started()
    const [shown, missing] = [hostedName('SHOWN'), hostedName('MISSING')]
    fake.service.project.create('dev', '/', shown.text, { secretValue: 'shown' })
    fake.fault({ kind: 'denied', only: ({ path }) => path === '/api/v4/secrets' })

    expect((await provider.readMany([shown, missing], callOf(runtime.clock))).map((item) => (item instanceof LatchkeyError ? item.code : item.value.reveal()))).toEqual(['shown', 'not_found'])
  })

  it('is not asked for where no value is needed', async () => {
    const { fake, provider, runtime } = await started()
    await provider.write(written(key, 'first'), callOf(runtime.clock))
    fake.requests.splice(0)

    await provider.describe(key, callOf(runtime.clock))
    await provider.list({ prefix: 'litellm/', limit: 10 }, callOf(runtime.clock))

    const asked = fake.requests.filter(({ path }) => path.startsWith('/api/v4/secrets'))
    expect(asked.filter(({ query }) => query.get('viewSecretValue') === 'true' && query.get('secretPath')?.includes('__latchkey') !== true)).toEqual([])
    expect(asked.every(({ query }) => query.get('expandSecretReferences') === 'false' && query.get('include_imports') === 'false')).toBe(true)
  })
})

describe('an absence', () => {
  it.each([{ infisical_environment_slug: 'staging' }, { infisical_project_id: '00000000-0000-4000-8000-000000000000' }])('is not believed where project or environment are not to be seen: %o', async (wrong) => {
    const { provider, runtime } = await started({ missingFolderLists: 'empty' }, wrong)
    const call = callOf(runtime.clock)

    const errors = [await failure(provider.read(hostedName('KEY'), {}, call)), await failure(provider.list({ prefix: '', limit: 5 }, call)), (await provider.readMany([hostedName('KEY')], call))[0]]
    const [, seen] = await provider.check('read', call)

    expect(errors.map((error) => (error as LatchkeyError).code)).toEqual(['provider_denied', 'provider_denied', 'provider_denied'])
    expect((errors[0] as LatchkeyError).message).toContain('infisical_environment_slug')
    expect([seen?.ok, seen?.setting]).toEqual([false, 'infisical_project_id'])
  })

  it.each(['empty', 'not_found'] as const)('of a folder is an absence of what is in it, however its list answers: %s', async (missingFolderLists) => {
    const { provider, runtime } = await started({ missingFolderLists })
    const call = callOf(runtime.clock)

    const [item] = await provider.readMany([createdName('none/KEY')], call)
    const page = await provider.list({ prefix: 'none/', limit: 5 }, call)

    expect([(item as LatchkeyError).code, page.items]).toEqual(['not_found', []])
  })
})

describe('a batch', () => {
  it('of a hundred hosted names is one list', async () => {
    const { fake, provider, runtime } = await started()
    const names = Array.from({ length: 100 }, (_, index) => hostedName(`HOSTED_${index}`))
    for (const { text } of names) fake.service.project.create('dev', '/', text, { secretValue: text })

    const answers = await provider.readMany(names, callOf(runtime.clock))

    expect(answers.map((item) => (item instanceof LatchkeyError ? item.code : item.value.reveal()))).toEqual(names.map(({ text }) => text))
    expect(fake.requests.filter(({ path }) => !path.startsWith('/api/v1/auth/')).map(({ path, query }) => [path, query.get('secretPath'), query.get('recursive')])).toEqual([['/api/v4/secrets', '/', 'false']])
  })
})

describe('two who race', () => {
  it('to create, where the service lets both in: one is told that it lost', async () => {
    const { fake, provider, again, runtime } = await started()
    await provider.write(written(key, 'first'), callOf(runtime.clock))
    fake.service.knobs.racingCreates = 1
    // The second looked before the first was there.
    fake.fault({ kind: 'says', times: 1, only: ({ method, path }) => method === 'GET' && path.endsWith('/alias'), answer: { status: 404, headers: { 'content-type': 'application/json' }, body: { reqId: 'r', statusCode: 404, error: 'NotFound', message: 'Secret not found' } } })

    const error = await failure((await again()).write(written(key, 'second'), callOf(runtime.clock)))

    expect([error.code, fake.service.project.rows.filter((row) => row.key === 'alias' && row.path === '/litellm').length]).toEqual(['already_exists', 2])
    expect(await textOf(provider, key, runtime)).toBe('first')
  })

  it.each([0, 1, 2])('to replace, after %d other links: the first in the chain wins for everybody, and the later ones are told so', async (links) => {
    const { provider, again, runtime } = await started()
    const { version } = await provider.write(written(key, 'first'), callOf(runtime.clock))
    for (let link = 0; link < links; link += 1) await provider.annotate(key, { labels: { link: String(link) } }, callOf(runtime.clock))
    const others = await Promise.all(Array.from({ length: 4 }, again))

    const outcomes = await Promise.allSettled(others.map((other, index) => other.write(written(key, `racer ${index}`, { expect: { version: version?.id ?? '' }, operation: operationOf(2, 'rotate') }), callOf(runtime.clock))))
    const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [`racer ${index}`] : []))

    expect(winners).toEqual([await textOf(provider, key, runtime)])
  })

  it('where a late writer of long ago lands in the chain: it does not count, and the next one needs no fold', async () => {
    const { fake, provider, runtime } = await started()
    const first = await provider.write(written(key, 'first'), callOf(runtime.clock))
    for (const step of ['0', '1']) await provider.annotate(key, { labels: { step } }, callOf(runtime.clock))
    const { project } = fake.service
    const late = project.row('dev', '/litellm/__latchkey', 'alias')?.value ?? ''
    const second = await provider.write(written(key, 'second', { expect: { version: first.version?.id ?? '' }, operation: operationOf(2, 'rotate') }), callOf(runtime.clock))
    project.update('dev', '/litellm/__latchkey', 'alias', { secretValue: late })

    const facts = await provider.describe(key, callOf(runtime.clock))
    await provider.annotate(key, { labels: { step: '2' } }, callOf(runtime.clock))
    fake.requests.splice(0)
    const after = await provider.describe(key, callOf(runtime.clock))

    expect([facts.current?.id, after.current?.id, after.labels]).toEqual([second.version?.id, second.version?.id, { step: '2' }])
    expect(fake.requests.filter(({ path }) => path.includes('secret-versions'))).toEqual([])
  })

  it.each(['not JSON', '{"root":"x"}', '{}'])('against somebody who overwrites the record with %j: what was decided stays', async (nonsense) => {
    const { fake, provider, runtime } = await started()
    await provider.write(written(key, 'first'), callOf(runtime.clock))
    await provider.write(written(key, 'second', { expect: 'any', operation: operationOf(2, 'rotate') }), callOf(runtime.clock))
    fake.service.project.update('dev', '/litellm/__latchkey', 'alias', { secretValue: nonsense })

    expect(await textOf(provider, key, runtime)).toBe('second')
    await provider.write(written(key, 'third', { expect: 'any', operation: operationOf(3, 'rotate') }), callOf(runtime.clock))
    expect(await textOf(provider, key, runtime)).toBe('third')
  })
})

describe('somebody who changes a secret in the service', () => {
  it('is heard: value, labels and comment are theirs, and the version before is the one that Latchkey wrote', async () => {
    const { fake, provider, runtime } = await started()
    const call = callOf(runtime.clock)
    await provider.write(written(key, 'first'), call)
    const { version } = await provider.write(written(key, 'second', { expect: 'any', operation: operationOf(2, 'rotate'), labels: { team: 'a' } }), call)
    const row = fake.service.project.row('dev', '/litellm', 'alias')
    fake.service.project.update('dev', '/litellm', 'alias', { secretValue: 'by hand', secretMetadata: [...(row?.metadata ?? []), { key: 'seen', value: 'yes', isEncrypted: false }] })

    const facts = await provider.describe(key, call)
    const before = await provider.read(key, { stage: 'previous' }, call)

    expect([await textOf(provider, key, runtime), facts.current?.operation, facts.labels]).toEqual(['by hand', undefined, { team: 'a', seen: 'yes' }])
    expect([before.value.reveal(), before.version?.id]).toEqual(['second', version?.id])
    await provider.write(written(key, 'third', { expect: { version: facts.current?.id ?? '' }, operation: operationOf(3, 'rotate') }), call)
    expect([await textOf(provider, key, runtime), (await provider.read(key, { stage: 'previous' }, call)).value.reveal()]).toEqual(['third', 'by hand'])
  })

  it('and deletes it has deleted it, whatever its record says; what is made anew is another secret', async () => {
    const { fake, provider, runtime } = await started()
    const call = callOf(runtime.clock)
    await provider.write(written(key, 'first'), call)
    await provider.write(written(key, 'second', { expect: 'any', operation: operationOf(2, 'rotate') }), call)
    fake.service.project.remove('dev', '/litellm', 'alias')

    expect((await failure(provider.read(key, {}, call))).code).toBe('not_found')
    await provider.write(written(key, 'anew'), call)
    expect((await failure(provider.read(key, { stage: 'previous' }, call))).code).toBe('not_found')
    await provider.write(written(key, 'again', { expect: 'any', operation: operationOf(2, 'rotate') }), call)
    expect([await textOf(provider, key, runtime), (await provider.read(key, { stage: 'previous' }, call)).value.reveal()]).toEqual(['again', 'anew'])
  })

  it("keeps what is not Latchkey's: a secret made by hand is read by the service's own numbers and replaced on condition of them", async () => {
    const { fake, provider, runtime } = await started()
    const call = callOf(runtime.clock)
    const name = hostedName('BY_HAND')
    fake.service.project.create('dev', '/', name.text, { secretValue: 'one', secretMetadata: [{ key: 'owner', value: 'ops', isEncrypted: false }] })
    fake.service.project.update('dev', '/', name.text, { secretValue: 'two' })

    expect([(await provider.describe(name, call)).current?.id, (await provider.read(name, { version: '1' }, call)).value.reveal()]).toEqual(['2', 'one'])
    await provider.write(written(name, 'three', { expect: { version: '2' }, operation: operationOf(2, 'rotate') }), call)
    expect([await textOf(provider, name, runtime), (await provider.read(name, { stage: 'previous' }, call)).value.reveal(), (await provider.describe(name, call)).labels]).toEqual(['three', 'two', { owner: 'ops' }])
    expect(fake.service.project.row('dev', '/', name.text)?.value).toBe('three')
  })
})

describe('tags and description', () => {
  it('stand in Infisical as they were given, and outlive rotation and recreation', async () => {
    const { fake, provider, runtime } = await started()
    const call = callOf(runtime.clock)
    const labels = { Environment: 'Prod', Owner: 'AI Platform team' }
    await provider.write(written(key, 'first', { labels, description: 'A key' }), call)
    await provider.write(written(key, 'second', { expect: 'any', operation: operationOf(2, 'rotate') }), call)
    const row = fake.service.project.row('dev', '/litellm', 'alias')

    expect([row?.value, row?.comment]).toEqual(['second', 'A key'])
    expect(row?.metadata.filter(({ key: name }) => name in labels)).toEqual(Object.entries(labels).map(([name, value]) => ({ key: name, value, isEncrypted: false })))
    await provider.remove(key, { expect: 'any', final: false }, call)
    expect(fake.service.project.rows).toEqual([])
  })

  it.each([{ ' edge': 'x' }, { edge: 'x ' }, { 'latchkey-version': 'x' }, { long: 'v'.repeat(1_001) }])('that Infisical could not hold exactly are refused before anything is sent', async (labels) => {
    const { fake, provider, runtime } = await started()

    expect((await failure(provider.write(written(key, 'x', { labels: labels as unknown as Record<string, string> }), callOf(runtime.clock)))).code).toBe('invalid_request')
    expect(fake.requests).toEqual([])
  })
})

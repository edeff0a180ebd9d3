// The gateway port on a LiteLLM that refuses, fails, answers nonsense or loses its answers: every call under every fault, what may have happened then, and that nothing
// secret is ever said.
import { describe, expect, it } from 'vitest'
import { isCode, LatchkeyError } from '../../shared/core/errors.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { openLitellmGateway } from '../../shared/gateway/litellm.ts'
import { fakeMasterKey, litellmService } from '../fakes/litellm-gateway.ts'
import { wireless, type WireAnswer, type WireFault } from '../fakes/wire.ts'
import { calmHook } from '../shapes/service.ts'
import { canariesIn, canary } from '../support/canary.ts'
import { callOf, testRuntime } from '../support/runtime.ts'
import { hashOf, newToken, openedGateway, refusal, rowFor, type OpenedGateway } from './opened-gateway.ts'

type Act = (opened: OpenedGateway, token: SecretValue, other: SecretValue) => Promise<unknown>

const calls: readonly (readonly [string, Act])[] = [
  ['add', ({ gateway, call }, _token, other) => gateway.add(other, rowFor({ alias: 'other' }), call())],
  ['accepts', ({ gateway, call }, token) => gateway.accepts(token, call())],
  ['find', ({ gateway, call }, token) => gateway.find({ token }, call())],
  ['change', ({ gateway, call }, token) => gateway.change({ token }, { alias: 'new', fields: { metadata: { a: 1 } } }, call())],
  ['block', ({ gateway, call }, token) => gateway.setBlocked({ token }, true, call())],
  ['unblock', ({ gateway, call }, token) => gateway.setBlocked({ token }, false, call())],
  ['remove', ({ gateway, call }, token) => gateway.remove({ token }, call())],
  ['replace', ({ gateway, call }, token, other) => gateway.replace?.({ token }, other, { graceMs: 1000, epoch: 2 }, call()) ?? Promise.resolve()],
  ['list', ({ gateway, call }) => gateway.list({ limit: 10 }, call())],
]
const broken = ['throttled', 'unavailable_before', 'unavailable_after', 'reset', 'truncated', 'malformed', 'html', 'mistyped', 'empty', 'error_body', 'redirect'] as const satisfies readonly WireFault['kind'][]

const prepared = async (): Promise<{ readonly opened: OpenedGateway; readonly token: SecretValue; readonly other: SecretValue }> => {
  const opened = await openedGateway({ licensed: true })
  const [token, other] = [newToken(), newToken()]
  await opened.gateway.add(token, rowFor(), opened.call())
  opened.fake.requests.length = 0
  return { opened, token, other }
}

const failureOf = (act: Promise<unknown>): Promise<LatchkeyError> => act.then(() => Promise.reject(new Error('it did not fail')), (error: unknown) => (error instanceof LatchkeyError ? error : Promise.reject(error as Error)))
/** Everything that an error can show. */
const shown = (error: LatchkeyError): string => [error.message, error.stack, JSON.stringify(error.details), String(error.cause)].join('\n')

describe.each(calls)('%s', (name, act) => {
  it.each(broken)('is gateway_unavailable when LiteLLM is struck by %s, and says nothing secret', async (kind) => {
    const { opened, token, other } = await prepared()
    const echo = canary('echo')
    opened.fake.fault({ kind, echo: `${echo} ${other.reveal()}` })

    const error = await failureOf(act(opened, token, other))

    expect(error.code).toBe('gateway_unavailable')
    expect(canariesIn(shown(error))).toEqual([])
    expect(shown(error)).not.toContain(fakeMasterKey)
  })

  it('is refused or not accepted when LiteLLM does not take the credential', async () => {
    const { opened, token, other } = await prepared()
    opened.fake.fault({ kind: 'denied', echo: other.reveal() })

    const [code] = name === 'accepts' ? [await act(opened, token, other)] : await refusal(act(opened, token, other))

    expect(code).toBe(name === 'accepts' ? false : 'gateway_denied')
  })

  it('is deadline_exceeded when its own time runs out first', async () => {
    const { opened, token, other } = await prepared()
    opened.fake.fault({ kind: 'slow' })
    const short = { ...opened, call: () => opened.call(1000) }
    const first = refusal(act(short, token, other))
    await opened.fake.held()
    opened.clock.advance(1001)

    expect((await first)[0]).toBe('deadline_exceeded')
  })

  it('sends a token in bodies and its own header only: in addresses there is at most its hash', async () => {
    const { opened, token, other } = await prepared()

    await act(opened, token, other)

    const addresses = opened.fake.requests.map(({ path, query }) => `${path}?${query.toString()}`).join('\n')
    expect(canariesIn(addresses).filter(({ as }) => as !== 'sha256')).toEqual([])
    expect(opened.fake.requests.map(({ headers }) => headers['authorization'])).toEqual(opened.fake.requests.map(() => `Bearer ${name === 'accepts' ? token.reveal() : fakeMasterKey}`))
  })
})

describe('what may have happened', () => {
  it.each(calls.filter(([name]) => !['accepts', 'find', 'list'].includes(name)))('%s is sent once when its answer is lost, and can be repeated', async (_name, act) => {
    const { opened, token, other } = await prepared()
    opened.fake.fault({ kind: 'unavailable_after', on: 'change', times: 1 })
    const first = await refusal(act(opened, token, other))
    const changes = opened.fake.requests.filter(({ method }) => method === 'POST').length

    const again = await act(opened, token, other).then((outcome) => outcome, (error: unknown) => error)

    expect([first[0], changes]).toEqual(['gateway_unavailable', 1])
    expect([true, false, 'stood']).toContain(again)
  })

  it('an add whose answer was lost stands', async () => {
    const { opened, other } = await prepared()
    opened.fake.fault({ kind: 'reset', on: 'read' })

    const first = await refusal(opened.gateway.add(other, rowFor({ alias: 'other' }), opened.call()))
    opened.fake.heal()

    expect([first[0], opened.fake.service.accepts(other.reveal()), await opened.gateway.add(other, rowFor({ alias: 'other' }), opened.call())]).toEqual(['gateway_unavailable', true, 'stood'])
  })

  it('a read is sent again once, and a throttled change too', async () => {
    const { opened, token } = await prepared()
    opened.fake.fault({ kind: 'unavailable_before', on: 'read', times: 1 })
    opened.fake.fault({ kind: 'throttled', on: 'change', times: 1 })

    const outcomes = [await opened.gateway.find({ token }, opened.call()), await opened.gateway.setBlocked({ token }, true, opened.call())]

    expect([outcomes[0], outcomes[1], opened.fake.requests.length]).toEqual([rowFor(), true, 4])
  })

  it('a slow answer is given up after the seconds that are set', async () => {
    const { opened, token } = await prepared()
    opened.fake.fault({ kind: 'slow' })
    const asked = refusal(opened.gateway.setBlocked({ token }, true, opened.call()))
    await opened.fake.held()
    opened.clock.advance(5001)

    expect(await asked).toEqual(['gateway_unavailable', undefined])
  })

  it('nothing is sent once the caller has left', async () => {
    const { opened, token } = await prepared()
    const gone = new AbortController()
    gone.abort(new Error('gone'))

    await expect(opened.gateway.setBlocked({ token }, true, { ...opened.call(), signal: gone.signal })).rejects.toThrow('gone')
    expect(opened.fake.requests).toEqual([])
  })
})

describe('an answer that is not LiteLLM\'s', () => {
  const answers: readonly (readonly [string, WireAnswer, string])[] = [
    ['a route that is not there', { status: 404, body: { detail: 'Not Found' } }, 'gateway_unavailable'],
    ['a page that is not there', { status: 404, headers: { 'content-type': 'text/html' }, body: '<h1>Not found</h1>' }, 'gateway_unavailable'],
    ['a method that is not there', { status: 405, body: { detail: 'Method Not Allowed' } }, 'gateway_unavailable'],
    ['a success without a body', { status: 204 }, 'gateway_unavailable'],
    ['a list', { status: 200, body: [] }, 'gateway_unavailable'],
    ['a row of another token', { status: 200, body: { token: 'f'.repeat(64), key: 'f'.repeat(64), blocked: true, info: 7, keys: 7, deleted_keys: 7 } }, 'gateway_unavailable'],
    ['a row without sense', { status: 200, body: { info: { expires: 'never' } } }, 'gateway_unavailable'],
    ['a proxy that wants a login', { status: 407, body: 'no' }, 'gateway_denied'],
    ['a firewall', { status: 403, headers: { 'content-type': 'text/html' }, body: '<h1>Blocked</h1>' }, 'gateway_denied'],
  ]

  it.each(answers.flatMap(([what, answer, code]) => calls.map(([name, act]) => ({ what, answer, code, name, act }))).filter(({ what, name }) => what !== 'a row without sense' || name !== 'accepts'))('$what is $code to $name, and no absence', async ({ answer, code, name, act }) => {
    const { opened, token, other } = await prepared()
    opened.fake.fault({ kind: 'says', answer })

    const [given] = await refusal(act(opened, token, other))

    expect(given).toBe(name === 'accepts' ? 'gateway_unavailable' : code)
  })

  it('a gateway without a database is unavailable, not one that refuses the token', async () => {
    const { opened, token } = await prepared()
    opened.fake.fault({ kind: 'says', answer: { status: 400, body: { error: { message: 'No connected db.', type: 'no_db_connection', param: null, code: '400' } } } })

    expect((await refusal(opened.gateway.accepts(token, opened.call())))[0]).toBe('gateway_unavailable')
  })

  it('passes a time to wait on', async () => {
    const { opened, token } = await prepared()
    opened.fake.fault({ kind: 'says', answer: { status: 503, headers: { 'retry-after': '17' }, body: {} } })

    await expect(opened.gateway.find({ token }, opened.call())).rejects.toMatchObject({ code: 'gateway_unavailable', details: { retryAfter: 17, vendor: { status: 503 } } })
  })
})

describe('the master key', () => {
  it('is asked for at every call, and a manager that fails is that manager\'s failure', async () => {
    let asked = 0
    const { gateway, call } = await openedGateway({}, {
      masterKey: async () => {
        asked += 1
        if (asked > 1) throw new LatchkeyError('provider_throttled', 'The manager throttles the reading.')
        return SecretValue.of(fakeMasterKey)
      },
    })

    const outcomes = [await gateway.find({ token: newToken() }, call()), await refusal(gateway.find({ token: newToken() }, call()))]

    expect(outcomes).toEqual([undefined, ['provider_throttled', undefined]])
  })

  it('that is wrong is told by its setting, not by its text', async () => {
    const wrong = SecretValue.of('sk-wrong-wrong-wrong-wrong')
    const { gateway, call } = await openedGateway({}, { masterKey: async () => wrong })
    const error = await failureOf(gateway.list({ limit: 1 }, call()))

    expect([error.code, error.message.includes('latchkey.gateway.master_key'), shown(error).includes(wrong.reveal())]).toEqual(['gateway_denied', true, false])
  })

  it('that cannot stand in a header is refused before anything is sent', async () => {
    const { gateway, call, fake } = await openedGateway({}, { masterKey: async () => SecretValue.of('sk-with-a-line\nbreak') })

    expect([(await refusal(gateway.list({ limit: 1 }, call())))[0], fake.requests]).toEqual(['gateway_denied', []])
  })
})

describe('without a socket, as in the simulator', () => {
  it.each([['provider_throttled', 'gateway_unavailable'], ['provider_unavailable', 'gateway_unavailable'], ['provider_denied', 'gateway_denied'], ['deadline_exceeded', 'deadline_exceeded']] as const)('a step that fails with %s is %s of the gateway', async (thrown, code) => {
    const runtime = testRuntime()
    const service = litellmService({ now: () => runtime.clock.now() })
    const http = wireless(service, (step, apply) => (step.call === 'gateway.block' ? Promise.reject(new LatchkeyError(thrown, 'It failed on the way.')) : calmHook(step, apply)))
    const gateway = await openLitellmGateway({ url: 'http://gateway.invalid', masterKey: async () => SecretValue.of(fakeMasterKey), licensed: false, timeoutSeconds: 5 }, { ...runtime, http })
    const token = newToken()
    const added = await gateway.add(token, rowFor(), callOf(runtime.clock))

    const [given] = await refusal(gateway.setBlocked({ token }, true, callOf(runtime.clock)))

    expect([added, given, service.accepts(token.reveal())]).toEqual(['added', code, true])
  })
})

describe('without a gateway there', () => {
  it('it is unavailable, and the address is named by its setting', async () => {
    const opened = await openedGateway()
    await opened.fake.close()

    const error = await failureOf(opened.gateway.find({ sha256: hashOf(newToken()) }, opened.call()))

    expect([isCode(error, 'gateway_unavailable'), error.message]).toEqual([true, expect.stringContaining('latchkey.gateway.url')])
  })
})

// AWS Secrets Manager's four steps for virtual keys, on the fake that keeps the vendor's rules: in order, repeated, out of order, interrupted after every call.
import { afterEach, describe, expect, it } from 'vitest'
import { isCode } from '../../shared/core/errors.ts'
import { leaseMs } from '../../shared/core/keys/operation.ts'
import { watch } from '../support/canary.ts'
import { lambda, openAccount, steps, type StepName } from './aws-account.ts'
import { day } from './rotation-house.ts'

const name = 'litellm/a'
let close: (() => Promise<void>) | undefined
const opened = async (...given: Parameters<typeof openAccount>) => {
  const account = await openAccount(...given)
  close = account.close
  return account
}
afterEach(async () => {
  await close?.()
  close = undefined
})

describe.each([{ gateway: false }, { gateway: true }])('the four steps of a key, gateway: $gateway', ({ gateway }) => {
  it('in order give it AWS’s own version as its token, and keep the one before for a day', async () => {
    const { oldKey, begin, invoke, tokenOf, accepts, epochOf, labelsOf, keys, call, clock, lines } = await opened({ gateway })
    const made = await oldKey('a')
    const rotation = begin(name)

    const decisions = []
    for (const step of steps) decisions.push([(await invoke(step, rotation)).reason, (await tokenOf('a')).equals(made.key as never)])

    expect(decisions).toEqual([['step_done', true], ['step_done', true], ['step_done', true], ['step_done', false]])
    expect(labelsOf(name)[rotation.token]).toContain('AWSCURRENT')
    expect(await epochOf('a')).toBe(2)
    expect([await accepts(made.key), await accepts(await tokenOf('a'))]).toEqual([true, true])
    expect((await keys.info({ alias: 'a' }, call())).operations).toMatchObject([{ verb: 'rotate', step: 'done' }, { verb: 'create' }])
    expect(lines()).toMatchObject(steps.map((step) => ({ decision: 'allowed', code: 'step_done', caller: 'secrets_manager_step', requestId: `${rotation.token}:${step}`, keyId: made.keyId })))
    clock.advance(day)
    expect(await accepts(made.key)).toBe(false)
  })

  it('of an adopted key leave its value adopted until another one is current', async () => {
    const { oldSecret, begin, invoke, tokenOf, accepts, keys, call, context } = await opened({ gateway })
    const theirs = watch('adopted token', 'sk-litellm-made-this-one')
    await oldSecret(name, theirs, {})
    await keys.adopt({ alias: 'a' }, context())
    const rotation = begin(name)

    await invoke('createSecret', rotation)
    const { drift } = await keys.info({ alias: 'a' }, call())
    for (const step of steps) await invoke(step, rotation)

    expect(drift).toBeUndefined()
    expect([(await tokenOf('a')).reveal() === theirs, await accepts(await tokenOf('a'))]).toEqual([false, true])
  })

  it('repeated at every point change nothing more', async () => {
    const { oldKey, begin, invoke, tokenOf, epochOf, fake, changes } = await opened({ gateway })
    await oldKey('a')
    const rotation = begin(name)
    await invoke('createSecret', rotation)
    const pending = fake.secrets.get(name)?.versions.get(rotation.token)?.value

    const before = [changes()]
    expect((await invoke('createSecret', rotation)).reason).toBe('step_done')
    before.push(changes())
    for (const step of ['setSecret', 'setSecret', 'testSecret', 'testSecret', 'finishSecret'] as const) expect((await invoke(step, rotation)).reason).toBe('step_done')
    const after = changes()
    for (const step of steps) expect((await invoke(step, rotation)).reason).toBe('already_done')

    expect(before[1]).toBe(before[0])
    expect(changes()).toBe(after)
    expect(fake.secrets.get(name)?.versions.get(rotation.token)?.value).toEqual(pending)
    expect([await epochOf('a'), fake.secrets.get(name)?.versions.size]).toEqual([2, 2])
    expect(JSON.stringify(pending)).toContain(watch('rotated token', (await tokenOf('a')).reveal()))
  })

  it.each([['setSecret'], ['testSecret'], ['finishSecret']] as const)('refuse %s before createSecret, with no write', async (step) => {
    const { oldKey, begin, invoke, changes, epochOf } = await opened({ gateway })
    await oldKey('a')
    const rotation = begin(name)
    const before = changes()

    const outcome = await invoke(step, rotation)

    expect([outcome.decision, outcome.reason, changes() - before, await epochOf('a')]).toEqual(['refused', 'out_of_order', 0, 1])
  })

  it('come to one rotation whatever call is not answered, or does not arrive', { timeout: 120_000 }, async () => {
    for (const kind of gateway ? (['unavailable_after'] as const) : (['unavailable_after', 'reset'] as const)) {
      for (let nth = 1; ; nth += 1) {
        const account = await openAccount({ gateway })
        close = account.close
        const made = await account.oldKey('a')
        const rotation = account.begin(name)
        account.fake.fault({ kind, nth, times: 1 })
        const asked = account.fake.requests.length

        await account.drive(rotation)

        const struck = account.fake.requests.length - asked >= nth
        account.fake.heal()
        const { keyId, epoch, operations } = await account.keys.info({ alias: 'a' }, account.call())
        expect([kind, nth, keyId, epoch, operations.find(({ verb }) => verb === 'rotate')?.step]).toEqual([kind, nth, made.keyId, 2, 'done'])
        expect([await account.accepts(made.key), await account.accepts(await account.tokenOf('a'))]).toEqual([true, true])
        expect(account.fake.secrets.get(name)?.versions.size).toBe(2)
        await account.close()
        if (!struck) break
      }
    }
  })

  it('that AWS gave up are driven to their end, or ended, by the sweep; the key lives throughout', async () => {
    for (const last of [0, 1, 2] as const) {
      const { oldKey, begin, invoke, keys, context, call, accepts, tokenOf, clock, close: end } = await openAccount({ gateway })
      const made = await oldKey('a')
      const rotation = begin(name)
      for (const step of steps.slice(0, last + 1)) await invoke(step, rotation)
      clock.advance(leaseMs)

      await keys.reconcile({ limit: 50, repair: true }, context())
      const outcome = await invoke('finishSecret', rotation)

      expect(['done', 'ignored', 'refused']).toContain(outcome.decision)
      expect((await keys.info({ alias: 'a' }, call())).operations.every(({ step }) => step === 'done')).toBe(true)
      expect([await accepts(made.key), await accepts(await tokenOf('a'))]).toEqual([true, true])
      await end()
    }
  })

  it('from two instances at once give one token', async () => {
    const account = await opened({ gateway })
    const { oldKey, begin, invoke, instance, epochOf, fake } = account
    await oldKey('a')
    const rotation = begin(name)
    const other = await instance()

    for (const step of steps) {
      await Promise.all([invoke(step, rotation), invoke(step, rotation, { by: { handle: (event) => other.handle(event) } })])
      await invoke(step, rotation)
    }

    expect([await epochOf('a'), fake.secrets.get(name)?.versions.size]).toEqual([2, 2])
    await other.provider.close?.()
  })

  it('lose to another rotation of the key that came first, and say so', async () => {
    const { oldKey, begin, invoke, keys, context, epochOf, labelsOf, clock, accepts, tokenOf } = await opened({ gateway })
    await oldKey('a')
    const rotation = begin(name)
    await invoke('createSecret', rotation)
    const busy = await keys.rotate({ alias: 'a' }, {}, context()).then(() => 'done', (error: unknown) => isCode(error, 'conflict'))
    await keys.setBlocked({ alias: 'a' }, true, context()).catch(() => undefined)
    clock.advance(leaseMs)
    await keys.setBlocked({ alias: 'a' }, true, context())
    await keys.setBlocked({ alias: 'a' }, false, context())

    const outcomes = []
    for (const step of ['setSecret', 'finishSecret'] as const) outcomes.push((await invoke(step, rotation)).decision)

    expect(busy).toBe(true)
    expect(outcomes).toEqual(['refused', 'refused'])
    expect(labelsOf(name)[rotation.token] ?? []).not.toContain('AWSCURRENT')
    expect([await epochOf('a') >= 1, await accepts(await tokenOf('a'))]).toEqual([true, true])
  })

  it('twenty times over leave no label behind that would fill the quota', async () => {
    const { oldKey, begin, drive, labelsOf, epochOf, clock } = await opened({ gateway })
    await oldKey('a')

    for (let round = 0; round < 25; round += 1) {
      await drive(begin(name))
      clock.advance(30 * day)
    }

    expect(await epochOf('a')).toBe(26)
    expect(Object.values(labelsOf(name)).flat().length).toBeLessThanOrEqual(6)
  })
})

describe('the four steps with a gateway', () => {
  it.each([['testSecret'], ['finishSecret']] as const)('refuse %s while the gateway does not know the new token, or no longer takes the old one', async (step) => {
    const { oldKey, begin, invoke, changes, gateway, fake, labelsOf } = await opened({ gateway: true })
    const made = await oldKey('a')
    const rotation = begin(name)
    await invoke('createSecret', rotation)
    const before = changes()
    const skipped = await invoke(step, rotation)
    await invoke('setSecret', rotation)
    await gateway.port.setBlocked({ token: made.key as never }, true, { signal: new AbortController().signal, deadline: Number.MAX_SAFE_INTEGER })

    const locked = await invoke(step, rotation)

    expect([skipped, locked].map(({ decision, reason }) => [decision, reason])).toEqual([['refused', 'out_of_order'], ['refused', 'out_of_order']])
    expect([changes() - before, fake.secrets.get(name)?.versions.size]).toEqual([0, 2])
    expect(labelsOf(name)[rotation.token]).not.toContain('AWSCURRENT')
  })
})

describe('the checks of a step', () => {
  it.each<[title: string, reason: string, (account: Awaited<ReturnType<typeof openAccount>>, rotation: { arn: string; token: string }) => Promise<Parameters<Awaited<ReturnType<typeof openAccount>>['invoke']>>]>([
    ['an ARN of another account', 'not_ours', async (_, { arn, token }) => ['createSecret', { arn: arn.replace('123456789012', '999999999999'), token }]],
    ['an ARN of another region', 'not_ours', async (_, { arn, token }) => ['createSecret', { arn: arn.replace('us-east-1', 'eu-west-1'), token }]],
    ['an ARN with another random end', 'not_ours', async (_, { arn, token }) => ['createSecret', { arn: `${arn.slice(0, -6)}abcdef`, token }]],
    ['no ARN at all', 'malformed', async (_, { token }) => ['createSecret', { arn: name, token }]],
    ['a secret that is not there', 'not_ours', async (_, { token }) => ['createSecret', { arn: 'arn:aws:secretsmanager:us-east-1:123456789012:secret:litellm/b-abcdef', token }]],
    ['a secret whose rotation was cancelled', 'not_enabled', async ({ fake }, rotation) => {
      const secret = fake.secrets.get(name)
      if (secret !== undefined) secret.nextRotation = undefined
      return ['createSecret', rotation]
    }],
    ['a rotation by another function', 'not_enabled', async (_, rotation) => ['createSecret', rotation, { handler: `${lambda}-other` }]],
    ['a version that is not staged', 'not_staged', async (_, { arn }) => ['createSecret', { arn, token: '00000000-0000-4000-8000-00000000dead' }]],
    ['a version that is not pending', 'not_staged', async (account, { arn }) => {
      await account.keys.rotate({ alias: 'a' }, { graceMs: day }, account.context()).catch(() => undefined)
      account.fake.put(name, '00000000-0000-4000-8000-0000000000aa', ['mine'])
      return ['createSecret', { arn, token: '00000000-0000-4000-8000-0000000000aa' }]
    }],
    ['a step that there is not', 'malformed', async (_, rotation) => ['deleteSecret' as StepName, rotation]],
    ['a field that a step does not have', 'malformed', async (_, rotation) => ['createSecret', rotation, { event: { Value: 'x' } }]],
    ['an event of more than 2 KiB', 'malformed', async (_, { arn, token }) => ['createSecret', { arn: arn + 'x'.repeat(2048), token }]],
  ])('refuses %s, with one line and no write', async (_title, reason, arrange) => {
    const account = await opened()
    await account.oldKey('a')
    const rotation = account.begin(name)
    const given = await arrange(account, rotation)
    const before = account.changes()

    const outcome = await account.invoke(...given)

    expect([outcome.decision, outcome.reason]).toEqual(['refused', reason])
    expect([account.changes() - before, account.lines().length]).toEqual([0, 1])
    expect(account.lines()[0]).toMatchObject({ decision: 'denied', code: reason, note: expect.stringMatching(/\w/) })
  })

  it('refuses a secret that is not marked as ours, and one for which there is no generator', async () => {
    const { oldSecret, begin, invoke, changes } = await opened()
    await oldSecret('db/theirs', 'theirs', {})
    await oldSecret('db/ours', 'ours')
    const rotations = [begin('db/theirs'), begin('db/ours')]
    const before = changes()

    const outcomes = []
    for (const rotation of rotations) outcomes.push(await invoke('createSecret', rotation))

    expect(outcomes.map(({ reason }) => reason)).toEqual(['not_ours', 'no_generator'])
    expect(changes() - before).toBe(0)
  })

  it('accepts the configuration test, which is testSecret alone on a copy of the value', async () => {
    const { oldKey, begin, invoke, fake, changes } = await opened()
    await oldKey('a')
    const rotation = begin(name)
    const current = [...(fake.secrets.get(name)?.versions.values() ?? [])].find(({ labels }) => labels.has('AWSCURRENT'))?.value
    const reserved = fake.secrets.get(name)?.versions.get(rotation.token)
    if (reserved !== undefined) reserved.value = current
    const before = changes()

    expect((await invoke('testSecret', rotation)).reason).toBe('step_done')
    expect(changes() - before).toBe(0)
  })

  it('passes the rotation token on with the value', async () => {
    const { oldKey, begin, invoke, fake } = await opened()
    await oldKey('a')
    const rotationToken = 'rotation-token-0123456789-0123456789-0123456789'

    await invoke('createSecret', begin(name), { event: { RotationToken: rotationToken } })

    expect(fake.requests.find(({ operation, input }) => operation === 'PutSecretValue' && input['VersionStages']?.toString().includes('AWSPENDING'))?.input['RotationToken']).toBe(rotationToken)
  })

  it('takes a function version or alias in the ARN that was invoked for the function', async () => {
    const { oldKey, begin, invoke } = await opened()
    await oldKey('a')

    expect((await invoke('createSecret', begin(name), { handler: `${lambda}:live` })).reason).toBe('step_done')
  })

  it('stops the start under write_only with a gateway, and only there', async () => {
    const refused = await opened({ gateway: true, policy: { accessMode: 'write_only' } })
    expect(() => refused.rotator.requireSteps()).toThrow(/write_only/)
    await refused.close()
    const plain = await opened({ policy: { accessMode: 'write_only' } })
    expect(() => plain.rotator.requireSteps()).not.toThrow()
  })

  it('rotates under write_only, where no value may be read', async () => {
    const { oldKey, begin, drive, epochOf, fake, labelsOf } = await opened({ policy: { accessMode: 'write_only' } })
    await oldKey('a')
    const rotation = begin(name)
    const reads = fake.count('GetSecretValue')

    await drive(rotation)

    expect([await epochOf('a'), fake.count('GetSecretValue') - reads]).toEqual([2, 0])
    expect(labelsOf(name)[rotation.token]).toContain('AWSCURRENT')
  })
})

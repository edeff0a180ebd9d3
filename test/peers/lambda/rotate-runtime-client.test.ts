// The built rotate archive, unpacked, under AWS's own runtime client for Node: whatever AWS sends it, and what is in the store afterwards, also when its process is killed in
// the middle of a step. It prints what a log line of the platform would report.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { counted, deliverMixedBatch, followKeys, mixedBatchAnswers, rotatedOnce, scheduled, stepNames, told, untouched } from '../../hosts/processes/rotated-keys.ts'
import { openRotatingAws, type RotatingAws } from '../../hosts/processes/rotating-clouds.ts'
import { invokedFunction } from '../../hosts/processes/runtime-api.ts'
import { canariesIn, watch } from '../../support/canary.ts'
import { buildArchives, type Archives } from './built-archive.ts'
import { nameIn } from '../../../shared/core/stores/naming.ts'

const peer = inject('peers').lambda_ric

/** In the middle of which step the process is killed: the service has done what was asked, and its answer arrives nowhere. */
const middles = [
  ['createSecret', 'PutSecretValue'],
  ['createSecret', 'TagResource'],
  ['setSecret', 'DescribeSecret'],
  ['testSecret', 'GetSecretValue'],
  ['finishSecret', 'TagResource'],
  ['finishSecret', 'UpdateSecretVersionStage'],
] as const
const aliasOf = (step: string, operation: string): string => `killed-${step}-${operation}`

describe('the built rotate archive under the runtime client of AWS', () => {
  if ('missing' in peer) {
    it(`is left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
    return
  }
  const { make, stateOf, keyIdOf } = followKeys('lambda')
  let archives: Archives
  let aws: RotatingAws

  beforeAll(async () => {
    archives = await buildArchives()
    const deployment = { folder: archives.unpack('rotate'), program: peer.url, rotation: { secrets: [{ names: ['team/DB-*'], length: 24, characters: 'abcdefghij' }] } }
    aws = await openRotatingAws(async (house) => {
      await make(house, 'due', { data: { auto_rotate: true, rotation_interval: '30d' } })
      for (const alias of ['steps', 'queued', 'slow', 'others', 'stray', ...middles.map(([step, operation]) => aliasOf(step, operation))]) await make(house, alias)
      await house.oldSecret('team/DB-PASSWORD', watch('lambda DB-PASSWORD', 'the-first-password'))
    }, deployment)
  }, 120_000)
  afterAll(async () => {
    await aws?.close()
    archives?.close()
  })

  const begin = (name: string): { readonly token: string; readonly arn: string } => {
    const token = randomUUID()
    return { token, arn: aws.begin(name, token, invokedFunction) }
  }
  const stepOf = (name: string, { arn, token }: ReturnType<typeof begin>): object => ({ Step: name, SecretId: arn, ClientRequestToken: token })

  it('does the four steps of a key, each delivered twice, and says what that took', async () => {
    const rotation = begin('litellm/steps')

    const [answers, times]: [unknown[], number[]] = [[], []]
    for (const name of stepNames) {
      const outcomes = [await aws.invoke(stepOf(name, rotation)), await aws.invoke(stepOf(name, rotation))]
      answers.push(...outcomes.map(told))
      times.push(...outcomes.map(({ milliseconds }) => milliseconds))
    }

    expect(answers).toEqual([...Array.from({ length: 7 }, () => ['done step_done']), ['ignored already_done']])
    expect(aws.stagesOf('litellm/steps', rotation.token)).toContain('AWSCURRENT')
    expect(await stateOf(aws, 'steps')).toEqual(rotatedOnce)
    const [first = 0, ...later] = times
    console.log(`runtime client, rotate: init ${aws.initMs.toFixed(0)} ms, first step ${first.toFixed(1)} ms, later ones ${Math.min(...later).toFixed(1)}-${Math.max(...later).toFixed(1)} ms, max memory used ${(aws.memory() / 1_048_576).toFixed(0)} MB`)
  })

  it('does the four steps of an ordinary secret, whose new value is a password as configured', async () => {
    const rotation = begin('team/DB-PASSWORD')

    const answers: unknown[] = []
    for (const name of stepNames) answers.push(told(await aws.invoke(stepOf(name, rotation))), told(await aws.invoke(stepOf(name, rotation))))

    const [current, previous] = await aws.look(async (house) => [await house.valueOf('team/DB-PASSWORD'), await house.provider.read(nameIn(house.store, 'team/DB-PASSWORD'), { stage: 'previous' }, house.call())])
    expect(answers).toEqual([...Array.from({ length: 7 }, () => ['done step_done']), ['ignored already_done']])
    expect(watch('lambda DB-PASSWORD now', current.reveal())).toMatch(/^[a-j]{24}$/)
    expect(previous.value.reveal()).toBe('the-first-password')
  })

  it('rotates for a schedule of EventBridge what is due, and nothing at its next delivery', async () => {
    const event = scheduled()

    const first = told(await aws.invoke(event))
    const [again, changes] = await counted(aws, async () => told(await aws.invoke(event)))

    expect([first, again, changes]).toEqual([['done swept'], ['done swept'], 0])
    expect([await stateOf(aws, 'due'), await stateOf(aws, 'others')]).toEqual([rotatedOnce, untouched])
  })

  it('names of a queue’s batch the record that shall come again, and no other', async () => {
    const answers = await deliverMixedBatch(aws, keyIdOf('queued'))

    expect(answers).toEqual(mixedBatchAnswers)
    expect(await stateOf(aws, 'queued')).toEqual(rotatedOnce)
  })

  it('takes a change of a label as news of that secret, and one of another account as none of ours', async () => {
    const { arn } = begin('litellm/others')
    const changed = (resource: string): object => ({ id: randomUUID(), source: 'aws.secretsmanager', 'detail-type': 'Secret Label Updated', time: new Date().toISOString(), resources: [resource], detail: { name: 'litellm/others', labelUpdated: 'AWSCURRENT', versionId: randomUUID() } })

    const [answers, changes] = await counted(aws, async () => [told(await aws.invoke(changed(arn))), told(await aws.invoke(changed(arn.replace('123456789012', '999999999999'))))])

    expect([answers, changes]).toEqual([[['done invalidated'], ['refused not_ours']], 0])
  })

  it('fails a step that nothing is staged for, acknowledges an event that is none, and lives on', async () => {
    const canary = watch('lambda stranger', `sk-${randomUUID()}`)
    const { arn } = begin('litellm/stray')

    const outcomes = [await aws.invoke({ Step: 'createSecret', SecretId: arn, ClientRequestToken: randomUUID() }), await aws.invoke({ Step: canary, SecretId: arn, ClientRequestToken: randomUUID() }), await aws.invoke({ [canary]: canary }), await aws.invoke(canary)]

    expect(outcomes.map(told)).toEqual(['LatchkeyError: not_staged', 'LatchkeyError: malformed', ['refused malformed'], ['refused malformed']])
    expect(canariesIn(JSON.stringify(outcomes))).toEqual([])
  })

  it('gives a step up before its time is over, so that AWS repeats it', async () => {
    const rotation = begin('litellm/slow')
    aws.hold('PutSecretValue')

    const late = await aws.invoke(stepOf('createSecret', rotation), 3_000)
    aws.heal()
    const answers: unknown[] = []
    for (const name of stepNames) answers.push(told(await aws.invoke(stepOf(name, rotation))))

    expect([late.error?.errorType, late.milliseconds < 2_900]).toEqual(['LatchkeyError', true])
    expect(answers).toEqual(Array.from({ length: 4 }, () => ['done step_done']))
    expect(await stateOf(aws, 'slow')).toEqual(rotatedOnce)
  })

  it.each(middles)('killed in the middle of %s (%s) and called again comes to one live key', async (killed, operation) => {
    const alias = aliasOf(killed, operation)
    const rotation = begin(`litellm/${alias}`)
    for (const name of stepNames.slice(0, stepNames.indexOf(killed))) await aws.invoke(stepOf(name, rotation))
    aws.hold(operation)
    const first = aws.invoke(stepOf(killed, rotation))
    await aws.held()

    await aws.restart('Sandbox.Timedout')
    aws.heal()
    const answers: unknown[] = []
    for (const name of stepNames.slice(stepNames.indexOf(killed))) answers.push(told(await aws.invoke(stepOf(name, rotation))))

    expect((await first).error?.errorType).toBe('Sandbox.Timedout')
    expect(answers).toEqual(answers.map(() => ['done step_done']))
    expect(await stateOf(aws, alias)).toEqual(rotatedOnce)
  })

  it('prints a line for every event and no token', () => {
    expect(aws.output()).toContain('"action":"events:rotate"')
    expect(canariesIn(aws.output())).toEqual([])
  })
})

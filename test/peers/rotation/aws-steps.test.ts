// AWS's four steps on servers that nobody here wrote. Neither calls a rotation function, so what the service does by itself is done here by AWS's own client: rotation
// is configured, and a version is reserved under AWSPENDING. What each gets wrong stands beside it; the steps must come to one token all the same.
import { randomBytes, randomUUID } from 'node:crypto'
import { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { lambdaEvents } from '../../../functions/lambda/events.ts'
import { openAws } from '../../conformance/harnesses/aws-secrets-manager.ts'
import { day, rotationHouse } from '../../rotation/rotation-house.ts'
import { testRuntime } from '../../support/runtime.ts'
import { peerSettings } from '../aws-peer-harness.ts'
import { awsPeers } from '../start-peers.ts'

const peers = inject('peers')
const lambda = 'arn:aws:lambda:us-east-1:123456789012:function:latchkey-rotate'
const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const

const open = async (url: string) => {
  const runtime = testRuntime({ now: Date.now(), seed: randomBytes(4).toString('hex') })
  const house = await rotationHouse(runtime, () => openAws(runtime, peerSettings(url)))
  const api = new SecretsManager({ region: 'us-east-1', endpoint: url, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
  onTestFinished(async () => {
    await house.provider.close?.()
    api.destroy()
  })
  const alias = `steps-${randomBytes(4).toString('hex')}`
  const made = await house.keys.create({ alias }, house.context())
  const SecretId = `litellm/${alias}`
  // RotateSecret itself changes what is current on both peers, so the reservation is a put under AWSPENDING; unlike the service's own, it has a value, which moto keeps and ministack overwrites.
  const reserve = async (): Promise<{ readonly arn: string; readonly token: string }> => {
    const token = randomUUID()
    const { ARN: arn = '' } = await api.describeSecret({ SecretId })
    await api.putSecretValue({ SecretId, ClientRequestToken: token, SecretString: 'reserved', VersionStages: ['AWSPENDING'] })
    return { arn, token }
  }
  /** What DescribeSecret says of the rotation, which neither peer can be brought to say without changing the secret. */
  const enabled = { ...house.provider.stepRotation, describe: async (...all: Parameters<NonNullable<typeof house.provider.stepRotation>['describe']>) => {
    const state = await house.provider.stepRotation?.describe(...all)
    return state && { ...state, enabled: true, handler: lambda }
  } }
  const staged = await house.instance(() => ({ stepRotation: enabled as never }))
  const invoke = async (step: string, { arn, token }: { readonly arn: string; readonly token: string }, by = staged) => {
    const [read] = lambdaEvents({ Step: step, SecretId: arn, ClientRequestToken: token }, `${lambda}:live`, 'request')
    return (await by.handle(read?.events[0] as never)).reason
  }
  return { ...house, api, alias, made, SecretId, reserve, invoke, plain: house }
}

describe.each(awsPeers)('the four steps on %s', (name) => {
  const peer = peers[name]

  it('missing' in peer ? `are left out: ${peer.missing}` : 'in order, repeated and out of order come to one token, and the one before is kept', async () => {
    if ('missing' in peer) return
    const { reserve, invoke, api, SecretId, alias, keys, call, accepts, made, tokenOf } = await open(peer.url)
    const rotation = await reserve()

    const early = [await invoke('finishSecret', rotation), await invoke('setSecret', rotation)]
    const reasons = []
    for (const step of steps) reasons.push(await invoke(step, rotation), await invoke(step, rotation))

    expect(early).toEqual(['out_of_order', 'out_of_order'])
    expect(reasons).toEqual(['step_done', 'step_done', 'step_done', 'step_done', 'step_done', 'step_done', 'step_done', 'already_done'])
    const { VersionIdsToStages } = await api.describeSecret({ SecretId })
    expect(VersionIdsToStages?.[rotation.token]).toContain('AWSCURRENT')
    expect((await keys.info({ alias }, call())).operations.find(({ verb }) => verb === 'rotate')).toMatchObject({ step: 'done' })
    expect([await accepts(made.key), await accepts(await tokenOf(alias))]).toEqual([true, true])
  })

  it('missing' in peer ? `are left out a second time: ${peer.missing}` : 'are refused for a version that is not staged, another account, and a secret without rotation', async () => {
    if ('missing' in peer) return
    const { reserve, invoke, plain } = await open(peer.url)
    const rotation = await reserve()

    expect([await invoke('createSecret', { ...rotation, token: randomUUID() }), await invoke('createSecret', { ...rotation, arn: rotation.arn.replace('123456789012', '999999999999') }), await invoke('createSecret', rotation, plain as never)]).toEqual(['not_staged', 'not_ours', 'not_enabled'])
  })

  it('missing' in peer ? `are left out a third time: ${peer.missing}` : 'stopped after each of them are finished by another instance', async () => {
    if ('missing' in peer) return
    for (let last = 0; last < steps.length; last += 1) {
      const { reserve, invoke, alias, keys, call, accepts, made, tokenOf, clock } = await open(peer.url)
      const rotation = await reserve()
      for (const step of steps.slice(0, last + 1)) await invoke(step, rotation)

      for (const step of steps) await invoke(step, rotation)

      expect((await keys.info({ alias }, call())).epoch).toBeGreaterThan(0)
      expect([await accepts(made.key), (await tokenOf(alias)).equals(made.key as never)]).toEqual([true, false])
      clock.advance(day)
      expect(await accepts(made.key)).toBe(false)
    }
  })
})

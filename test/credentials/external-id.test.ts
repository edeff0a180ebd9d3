// The probe of an external id: a random one must be refused before the right one counts.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newExternalId, probeExternalId } from '../../shared/credentials/aws/chain.ts'
import { callOf, SeededRandom } from '../support/runtime.ts'
import { externalId, functionEnv, loginWorld, pod, target, user, userKeys, type LoginWorld } from './aws-login.ts'

let world: LoginWorld
beforeEach(async () => {
  world = await loginWorld()
  world.files['/var/token'] = world.sts.token()
})
afterEach(() => world.sts.close())

const probing = (given: Record<string, unknown>, env: Record<string, string> = {}) => probeExternalId(world.settings({ ...userKeys, aws_role_name: target, aws_external_id: externalId, ...given }, env), world.io(env), callOf(world.runtime.clock))

describe('the probe of an external id', () => {
  it('tries a random one, which is refused, and then the right one, for the shortest session there is', async () => {
    const finding = await probing({ aws_session_duration_seconds: 7200 })
    const roles = world.sts.forms.filter(({ action }) => action === 'AssumeRole').map(({ fields }) => fields)

    expect(finding).toEqual({ ok: true, subject: 'sts:ExternalId', message: 'The role refuses a random external id and accepts that of aws_external_id.' })
    expect(roles.map(({ ExternalId, DurationSeconds }) => [ExternalId, DurationSeconds])).toEqual([[expect.stringMatching(/^[A-Za-z0-9]{32}$/), '900'], [externalId, '900']])
  })

  it('walks the hops before the role once', async () => {
    const finding = await probing({ aws_access_key_id: undefined, aws_secret_access_key: undefined, aws_web_identity_token: '/var/token' }, { AWS_ROLE_ARN: pod })

    expect([finding.ok, world.sts.forms.map(({ action }) => action)]).toEqual([true, ['AssumeRoleWithWebIdentity', 'AssumeRole', 'AssumeRole']])
  })

  it('finds a role that takes any external id, and does not try the right one', async () => {
    world.sts.roles.set(target, { arn: target, principals: [user.arn] })

    expect(await probing({})).toMatchObject({ ok: false, setting: 'aws_external_id', message: expect.stringContaining('can be assumed with any external id') as string })
    expect(world.sts.forms.filter(({ action }) => action === 'AssumeRole')).toHaveLength(1)
  })

  it('finds an external id that is not the role’s', async () => {
    expect(await probing({ aws_external_id: 'wrong-id' })).toMatchObject({ ok: false, setting: 'aws_role_name', message: expect.stringContaining('no other external id than that of aws_external_id') as string })
  })

  it.each([
    ['throttled', 'throttled'],
    ['failing', 'unavailable_before'],
    ['broken', 'reset'],
    ['nonsense', 'malformed'],
    ['expired', 'expired_credential'],
  ] as const)('never takes another failure for a refusal (%s)', async (_title, kind) => {
    world.sts.fault({ kind, on: 'change', times: 1 })

    expect((await probing({})).ok).toBe(false)
  })

  it('never takes keys that are unknown for a refusal', async () => {
    expect(await probing({ aws_access_key_id: 'AKIANOBODY' })).toMatchObject({ ok: false, setting: 'aws_access_key_id' })
  })

  it('asks also where we are the role already', async () => {
    expect(await probing({ aws_access_key_id: undefined, aws_secret_access_key: undefined, aws_role_name: 'arn:aws:iam::100000000001:role/Execution' }, functionEnv)).toMatchObject({ ok: false, setting: 'aws_role_name' })
  })

  it('needs an external id, and settings that fit', async () => {
    expect([await probing({ aws_external_id: undefined }), await probing({ aws_role_name: 'x' })]).toMatchObject([
      { ok: false, setting: 'aws_external_id', message: expect.stringContaining('no external id to probe') as string },
      { ok: false, setting: 'aws_role_name' },
    ])
  })
})

describe('a new external id', () => {
  it('has 32 letters and digits, each as likely as the other', () => {
    const random = new SeededRandom()
    const counts = new Map<string, number>()
    for (let round = 0; round < 2000; round += 1) for (const letter of newExternalId(random)) counts.set(letter, (counts.get(letter) ?? 0) + 1)

    expect(newExternalId(random)).toMatch(/^[A-Za-z0-9]{32}$/)
    expect([counts.size, Math.min(...counts.values()) > 850, Math.max(...counts.values()) < 1220]).toEqual([62, true, true])
  })
})

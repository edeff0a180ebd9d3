// An identity that begins with a profile of the shared AWS files, as the SDK reads them from this machine's disk.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { externalId, failureOf, keysOf, loginWorld, target, user, userKeys, type LoginWorld } from './aws-login.ts'

let world: LoginWorld
let folder: string
beforeEach(async () => {
  world = await loginWorld()
  folder = await mkdtemp(join(tmpdir(), 'latchkey-profile-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
  await world.sts.close()
})

/** The same text for the start, which asks through the port, and for the SDK, which asks the disk. */
const sharing = async (credentials: string, config = ''): Promise<Record<string, string>> => {
  for (const [name, text] of Object.entries({ credentials, config })) {
    await writeFile(join(folder, name), text)
    world.files[join(folder, name)] = text
  }
  return { AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'), AWS_CONFIG_FILE: join(folder, 'config') }
}
const own = `[work]\naws_access_key_id = ${user.accessKeyId}\naws_secret_access_key = ${user.secretAccessKey}\n`
const assuming = (id: string): string => `[profile assumed]\nrole_arn = ${target}\nsource_profile = work\nexternal_id = ${id}\nrole_session_name = of-the-profile\n`

describe('a login from a profile', () => {
  it('gives the keys that stand in it, and asks nobody', async () => {
    const identity = await world.open({ aws_profile_name: 'work' }, await sharing(own))

    expect([(await keysOf(identity)).accessKeyId, world.sts.requests]).toEqual([user.accessKeyId, []])
  })

  it('goes on into the role of the settings', async () => {
    const identity = await world.open({ aws_profile_name: 'work', aws_role_name: target, aws_external_id: externalId }, await sharing(own))

    expect((await keysOf(identity)).accessKeyId).toBe('ASIAFAKESESSION00001')
    expect(world.sts.forms.map(({ action, signedBy }) => [action, signedBy])).toEqual([['AssumeRole', user.accessKeyId]])
  })

  it('follows the role of the profile itself, at the configured endpoint', async () => {
    const identity = await world.open({ aws_profile_name: 'assumed' }, await sharing(own, assuming(externalId)))

    expect((await keysOf(identity)).accessKeyId).toBe('ASIAFAKESESSION00001')
    expect(world.sts.forms).toEqual([{ action: 'AssumeRole', signedBy: user.accessKeyId, fields: { RoleArn: target, RoleSessionName: 'of-the-profile', ExternalId: externalId, DurationSeconds: '3600' } }])
  })

  it('sees keys that were changed in the file, once the old ones are refused', async () => {
    const env = await sharing('[work]\naws_access_key_id = AKIAOLD\naws_secret_access_key = old\n')
    const identity = await world.open({ aws_profile_name: 'work' }, env)
    const renew = identity.attempt()
    const before = (await keysOf(identity)).accessKeyId
    await sharing(own)

    expect([before, (await keysOf(identity)).accessKeyId, renew(), (await keysOf(identity)).accessKeyId]).toEqual(['AKIAOLD', 'AKIAOLD', true, user.accessKeyId])
  })

  it.each([
    ['refuses', assuming('wrong-id'), 'provider_denied', /^The profile of aws_profile_name gives no credentials: AWS refused what it asks for/],
    ['is half a one', '[profile assumed]\nregion = us-east-1\n', 'misconfigured', /^The profile of aws_profile_name gives no credentials: check its entries/],
  ] as const)('says so where the profile %s', async (_title, config, code, message) => {
    const identity = await world.open({ aws_profile_name: 'assumed' }, await sharing(own, config))

    expect(await failureOf(keysOf(identity))).toMatchObject({ code, message: expect.stringMatching(message) as string, details: { issues: [{ path: 'aws_profile_name' }] } })
  })

  it('says so where STS is out of reach', async () => {
    const identity = await world.open({ aws_profile_name: 'assumed' }, await sharing(own, assuming(externalId)))
    world.sts.fault({ kind: 'reset' })

    expect(await failureOf(keysOf(identity))).toMatchObject({ code: 'provider_unavailable', message: expect.stringMatching(/could not be reached/) as string })
  })

  it('is not mixed with keys of the settings', async () => {
    expect(await failureOf(world.open({ ...userKeys, aws_profile_name: 'work' }, await sharing(own)))).toMatchObject({ code: 'misconfigured' })
  })
})

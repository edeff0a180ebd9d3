// A pod's token as the kubelet keeps it: a file behind two symbolic links, of which the second is swapped for a new folder when the token is renewed.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { awsIdentity } from '../../shared/credentials/aws.ts'
import { nodeFiles } from '../../shared/telemetry/node-runtime.ts'
import { failureOf, keysOf, loginWorld, pod, type LoginWorld } from './aws-login.ts'

let world: LoginWorld
let volume: string
let generation = 0
beforeEach(async () => {
  world = await loginWorld()
  volume = mkdtempSync(join(tmpdir(), 'latchkey-projected-'))
})
afterEach(async () => {
  await world.sts.close()
  rmSync(volume, { recursive: true, force: true })
})

/** What the kubelet does: a new folder of a date, a new link to it under another name, and one rename; then the old folder goes. */
const project = (text: string): void => {
  generation += 1
  const folder = `..2026_11_22_12_00_00.${generation}`
  mkdirSync(join(volume, folder))
  writeFileSync(join(volume, folder, 'token'), text)
  symlinkSync(folder, join(volume, '..data_tmp'))
  renameSync(join(volume, '..data_tmp'), join(volume, '..data'))
  if (generation > 0) rmSync(join(volume, `..2026_11_22_12_00_00.${generation - 1}`), { recursive: true, force: true })
}

const open = (): ReturnType<typeof awsIdentity> => awsIdentity(world.settings({ aws_role_name: pod, aws_web_identity_token: join(volume, 'token') }), { ...world.io(), files: nodeFiles })
const sent = (): readonly (string | undefined)[] => world.sts.forms.map(({ fields }) => fields['WebIdentityToken'])

describe('a token in a projected volume', () => {
  it('is read through its links, and anew for every exchange after the kubelet swapped them', async () => {
    const later = Math.floor(world.runtime.clock.now() / 1_000) + 3 * 3_600
    const [first, second] = [world.sts.token({ jti: 'first' }), world.sts.token({ jti: 'second', exp: later })]
    project(first)
    symlinkSync('..data/token', join(volume, 'token'))
    const identity = await open()

    const before = await keysOf(identity)
    project(second)
    const within = await keysOf(identity)
    world.runtime.clock.advance(60 * 60_000)
    await keysOf(identity)

    expect(within).toEqual(before)
    expect(sent()).toEqual([first, second])
  })

  it('that points nowhere is a failure that names the setting, before anything is sent', async () => {
    project(world.sts.token())
    symlinkSync('..data/token', join(volume, 'token'))
    const identity = await open()
    rmSync(join(volume, '..data'))

    const failure = await failureOf(keysOf(identity))

    expect(failure).toMatchObject({ code: 'misconfigured', message: 'aws_web_identity_token: the token file that it names does not exist.' })
    expect(sent()).toEqual([])
  })
})

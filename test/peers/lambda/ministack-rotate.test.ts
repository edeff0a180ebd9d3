// The built keys and rotate archives as functions of ministack, over its own Secrets Manager: one makes the keys, and what the other gets comes from a queue, a schedule and a rule of EventBridge.
// Versions are as old there as the server says, so no key of a test is old enough for an event: what is rotated is a rotation that an instance of ours began and left.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { eventGraceMs, rotationContext } from '../../../shared/core/rotation/schedule.ts'
import { openAws } from '../../conformance/harnesses/aws-secrets-manager.ts'
import { askUrl } from '../../hosts/processes/opened-hosts.ts'
import { scheduled } from '../../hosts/processes/rotated-keys.ts'
import { rotationHouse } from '../../rotation/rotation-house.ts'
import { canariesIn, watch } from '../../support/canary.ts'
import { testRuntime } from '../../support/runtime.ts'
import { peerSettings } from '../aws-peer-harness.ts'
import { clientEnv, run } from '../python-peers.ts'
import { buildArchives } from './built-archive.ts'
import { deploymentDeviations } from './ministack-deviations.ts'
import { deployRotation, driveSteps, logOf, scheduleSweep, sendAndWait, startRelay, type Relay } from './rotation-deployment.ts'

const peer = inject('peers').ministack
const python = inject('python')
const masterKey = `sk-${randomBytes(32).toString('hex')}`
const mark = randomBytes(3).toString('hex')
/** Other tests have keys on this server: the sweep and the rule see these alone. */
const prefix = `rotation-${mark}`
const functionName = `rotate-${mark}`

const untouched = { epoch: 1, ended: true, same: true, accepted: [true, true] }
const rotated = { epoch: 2, ended: true, same: false, accepted: [true, true] }

describe('the built rotate archive on ministack', () => {
  if ('missing' in peer) {
    it(`is left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
    return
  }
  const scratch = mkdtempSync(join(tmpdir(), 'latchkey-ministack-rotate-'))
  const made = new Map<string, { readonly key: string; readonly key_id: string }>()
  let relay: Relay
  let deployed: { readonly source: string; readonly dead: string; readonly keysUrl: string; readonly rotate: string; readonly role: string }

  const boto3 = (program: string, ...args: readonly string[]): Promise<string> => run(python, ['-c', program, ...args], clientEnv(peer.url))
  const ask = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const headers = { host: new URL(deployed.keysUrl).host, authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' }
    const { body: text } = await askUrl(peer.url, { method: 'POST', path, headers, body: JSON.stringify(body) })
    return JSON.parse(text) as Record<string, unknown>
  }
  const nameOf = (alias: string): string => `${prefix}/${alias}`
  const keyIdOf = (alias: string): string => made.get(alias)?.key_id ?? ''

  /** An instance of ours, here. */
  const instance = async () => {
    const runtime = testRuntime({ now: Date.now(), seed: randomBytes(4).toString('hex') })
    const house = await rotationHouse(runtime, () => openAws(runtime, peerSettings(peer.url)), { policy: { prefix } })
    return { ...house, close: async () => house.provider.close?.() }
  }
  /** An instance of ours that begins to rotate a key, and is gone before the new token is current. `asEvent`: for an event, which every repetition of it goes on with; else for a person. */
  const beginAndLeave = async (alias: string, asEvent: boolean): Promise<void> => {
    const house = await instance()
    const leaving = await house.instance(() => ({ promote: () => Promise.reject(new LatchkeyError('provider_unavailable', 'The process is gone.')) }))
    const context = asEvent ? rotationContext(keyIdOf(alias), 1, house.call()) : house.context()
    await expect(leaving.keys.rotate({ keyId: keyIdOf(alias) }, { graceMs: eventGraceMs }, context)).rejects.toMatchObject({ code: 'provider_unavailable' })
    await leaving.provider.close?.()
    await house.close()
  }
  /** How often a key has a new token, whether every operation on it came to its end, whether its first token is the current one, and whether both are accepted by the deployed `keys`. */
  const stateOf = async (alias: string): Promise<object> => {
    const { key = '' } = made.get(alias) ?? {}
    const current = (await boto3("import boto3, sys\nprint(boto3.client('secretsmanager').get_secret_value(SecretId=sys.argv[1], VersionStage='AWSCURRENT')['SecretString'], end='')", nameOf(alias))).trim()
    const [first, now] = [await ask('/key/verify', { key }), await ask('/key/verify', { key: watch(`ministack ${alias} now`, current) })]
    const { keys, call, close } = await instance()
    const { epoch, operations } = await keys.info({ alias }, call())
    await close()
    return { epoch, ended: operations.every(({ step }) => step === 'done'), same: current === key, accepted: [first['valid'], now['valid']] }
  }

  beforeAll(async () => {
    relay = await startRelay(peer.url)
    const archives = await buildArchives()
    const configuration = { general_settings: { master_key: 'os.environ/LITELLM_MASTER_KEY', key_management_system: 'aws_secret_manager', key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true, prefix_for_stored_virtual_keys: `${prefix}/` } } }
    const env = { LATCHKEY_CONFIG: JSON.stringify(configuration), LITELLM_MASTER_KEY: masterKey, AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
    const functions: Record<string, object> = {}
    for (const [name, endpoint, timeout] of [['keys', peer.url, 30], ['rotate', relay.url, 10]] as const) {
      const zip = join(scratch, `${name}.zip`)
      writeFileSync(zip, archives.bytes(name))
      functions[name] = { zip, timeout, env: { ...env, AWS_ENDPOINT_URL: endpoint } }
    }
    archives.close()
    deployed = JSON.parse(await boto3(deployRotation, JSON.stringify({ mark, prefix, functions }))) as typeof deployed
    for (const alias of ['done', 'failing', 'fresh', 'left', 'stepped']) {
      const answer = (await ask('/key/generate', { key_alias: alias })) as { key: string; key_id: string }
      watch(`ministack ${alias}`, answer.key)
      made.set(alias, answer)
    }
    // The sweep leaves alone for a minute what somebody may still be about: the schedule's first minute begins after that.
    await beginAndLeave('left', false)
    await boto3(scheduleSweep, `sweep-${mark}`, deployed.rotate, deployed.role)
  }, 120_000)
  afterAll(async () => {
    rmSync(scratch, { recursive: true, force: true })
    await boto3("import boto3, sys\nboto3.client('scheduler').delete_schedule(Name=sys.argv[1])", `sweep-${mark}`)
    await relay?.close()
  })

  const rotate = (alias: string): string => JSON.stringify(scheduled({ action: 'rotate', keys: [keyIdOf(alias)] }))
  const send = async (bodies: readonly string[], dead: number): Promise<unknown> => JSON.parse(await boto3(sendAndWait, JSON.stringify({ source: deployed.source, deadUrl: deployed.dead, bodies, dead }))) as unknown

  const codeOf = (code: string, alias?: string): string => `${alias === undefined ? '' : `"name":"${nameOf(alias)}".*`}"code":"${code}"`
  /** What the function printed, once every pattern is in it, and its lines about events. */
  const logged = async (patterns: readonly string[]): Promise<{ readonly text: string; readonly lines: readonly { readonly action: string; readonly decision: string; readonly code: string; readonly name?: string }[] }> => {
    const text = await boto3(logOf, functionName, JSON.stringify(patterns))
    return { text, lines: text.split('\n').filter((line) => line.includes('"msg":"audit"')).map((line) => JSON.parse(line) as never) }
  }

  it('does the four steps of a key, each delivered twice, and refuses one out of order and one about another account', async () => {
    const printed = JSON.parse(await boto3(driveSteps, nameOf('stepped'), functionName)) as { readonly labels: readonly string[] }

    expect(printed).toMatchObject({ refused: ['out_of_order', 'not_ours'], reasons: [...Array.from({ length: 7 }, () => 'step_done'), 'already_done'] })
    expect(printed.labels).toContain('AWSCURRENT')
    expect(await stateOf('stepped')).toEqual(rotated)
  })

  it('of a batch lets only the message come again that may succeed, and then lie with the dead letters; sent anew when the cause is gone, it is done', { timeout: 120_000 }, async () => {
    await beginAndLeave('done', true)
    await beginAndLeave('failing', true)
    relay.failing.add(nameOf('failing'))
    const failing = rotate('failing')

    const first = await send(['not an event', rotate('done'), failing, rotate('fresh')], 1)
    const between = [await stateOf('done'), await stateOf('failing'), await stateOf('fresh')]
    relay.failing.clear()
    const second = await send([failing, rotate('done')], 0)

    expect([first, second]).toEqual([{ dead: [failing], left: 0 }, { dead: [], left: 0 }])
    expect(between).toEqual([rotated, { ...untouched, ended: false }, untouched])
    expect([await stateOf('done'), await stateOf('failing')]).toEqual([rotated, rotated])
  })

  it('hears by a rule of EventBridge of every label that moves', async () => {
    const { lines } = await logged([codeOf('invalidated', 'stepped'), codeOf('invalidated', 'done')])

    expect(lines.filter(({ code }) => code === 'invalidated').map(({ name }) => name)).toEqual(expect.arrayContaining([nameOf('stepped'), nameOf('done')]))
  })

  it.each(deploymentDeviations)('differs from AWS, as boto3 alone sees: $reason ($reproduction.aws)', async ({ reproduction }) => {
    const program = `import boto3, sys\nclient, name = boto3.client, sys.argv[1]\n${reproduction.program}`

    expect((await boto3(program, `deviation-${randomBytes(4).toString('hex')}`)).trim()).toBe(reproduction.prints)
  })

  it('is called by the Scheduler, and ends what an instance began and left', { timeout: 120_000 }, async () => {
    const { lines } = await logged([codeOf('unfinished', 'left'), codeOf('swept')])

    expect(lines.filter(({ code }) => code === 'unfinished')).toContainEqual(expect.objectContaining({ action: 'keys:reconcile', decision: 'allowed', name: nameOf('left') }))
    expect([await stateOf('left'), await stateOf('fresh')]).toEqual([rotated, untouched])
  })

  it('prints a line for every event and no token', async () => {
    const { text, lines } = await logged([])

    expect(new Set(lines.map(({ code }) => code))).toEqual(new Set(['step_done', 'already_done', 'out_of_order', 'not_ours', 'malformed', 'rotated', 'failed', 'too_soon', 'invalidated', 'unfinished', 'swept']))
    expect(canariesIn(text)).toEqual([])
  })
})

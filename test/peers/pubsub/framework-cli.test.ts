// The built rotate function of Google's under the framework's own command line, in a network of its own: what Secret Manager publishes goes through Google's Pub/Sub server and comes as a push
// brings it. The key is rotated in the examined fake of Secret Manager.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { Child } from '../../hosts/processes/child.ts'
import { rotatedOnce, untouched } from '../../hosts/processes/rotated-keys.ts'
import { buildFor } from '../lambda/built-archive.ts'
import { inNamespace } from '../network-namespace.ts'
import type { Printed, PushCommand, Pushed, PushPlan } from './push.ts'

const { pubsub, network_namespace: namespace } = inject('peers')

describe('the built rotate function under the command line of Google’s framework', () => {
  if ('missing' in pubsub || 'missing' in namespace) {
    const missing = [pubsub, namespace].map((peer) => ('missing' in peer ? peer.missing : '')).join(' ').trim()
    it(`is left out: ${missing}`, () => {
      expect(missing).not.toBe('')
    })
    return
  }
  let dist: string
  let inside: Child

  const tell = <T>(command: PushCommand): Promise<T> => {
    inside.say(command)
    return inside.next<T>()
  }
  const publish = (command: Omit<Extract<PushCommand, { do: 'publish' }>, 'do'>): Promise<string> => tell({ do: 'publish', ...command })
  const push = (more: Omit<Extract<PushCommand, { do: 'push' }>, 'do'> = {}): Promise<Pushed> => tell({ do: 'push', ...more })
  const look = (alias: string): Promise<object> => tell({ do: 'look', alias })

  beforeAll(async () => {
    dist = await buildFor('gcp', 'google_secret_manager')
    const plan: PushPlan = { folder: join(dist, 'gcp/rotate'), program: pubsub.facts['program'] ?? '', client: pubsub.facts['client'] ?? '', aliases: ['event', 'path', 'others', 'later'] }
    inside = new Child(inNamespace([process.execPath, join(import.meta.dirname, 'push.ts'), JSON.stringify(plan)]), {}, 'unshare')
  }, 120_000)
  afterAll(async () => {
    inside?.end()
    await inside?.ended()
    rmSync(dist, { recursive: true, force: true })
  })

  it('rotates the key of a SECRET_ROTATE; its second delivery, because the answer was lost, and another about the same do nothing', async () => {
    await publish({ alias: 'event' })
    const first = await push({ lost: true })

    const again = [await push()]
    await publish({ alias: 'event' })
    again.push(await push())

    expect([first.status, first.changes > 0]).toEqual([204, true])
    expect(again.map(({ status, changes }) => [status, changes])).toEqual([[204, 0], [204, 0]])
    expect(await look('event')).toEqual(rotatedOnce)
  })

  it('takes a push to a path that names the topic, as the framework would have it', async () => {
    await publish({ alias: 'path' })

    expect((await push({ path: '/projects/fake-project/topics/rotation' })).status).toBe(204)
    expect(await look('path')).toEqual(rotatedOnce)
  })

  it('acknowledges what is not ours or asks for nothing, and changes nothing', async () => {
    const statuses: unknown[] = []
    for (const about of [{ foreign: 'project' }, { foreign: 'body' }, { foreign: 'type' }, { eventType: 'SECRET_VERSION_ADD' }, { eventType: 'TOPIC_CONFIGURED' }] as const) {
      await publish({ alias: 'others', ...about })
      const { status, changes } = await push()
      statuses.push([status, changes])
    }

    expect(statuses).toEqual(Array.from({ length: 5 }, () => [204, 0]))
    expect(await look('others')).toEqual(untouched)
  })

  it('fails while Secret Manager refuses it, so that Pub/Sub sends the message again, and rotates when it comes', async () => {
    await tell({ do: 'refuse' })
    await publish({ alias: 'later' })
    const failed = [await push(), await push()]
    await tell({ do: 'heal' })

    const healed = await push()

    expect([...failed, healed].map(({ status }) => status)).toEqual([500, 500, 204])
    expect(failed.map(({ body }) => body).join('')).not.toMatch(/Secret|denied|litellm/)
    expect(await look('later')).toEqual(rotatedOnce)
  })

  it('prints a line for every event and no token, where nobody else could ask it', async () => {
    const { codes, canaries, addresses } = await tell<Printed>({ do: 'read' })

    expect(codes).toEqual(['rotated', 'already_done', 'already_done', 'rotated', 'not_ours', 'malformed', 'malformed', 'invalidated', 'nothing_to_do', 'failed', 'failed', 'rotated'])
    expect([canaries, addresses.filter((address) => !['127.0.0.1', '::1'].includes(address))]).toEqual([[], []])
  })
})

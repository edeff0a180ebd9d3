// Two real servers on one manager, and fifty creations of one alias at the same moment: one key comes of it, everybody else is told so. What a store can promise about that
// is its guarantee, which stands in the answer; what it came to here is measured, and printed as one line for each store.
import { describe, expect, it, onTestFinished } from 'vitest'
import { Scene, type Said, type Server } from './scene.ts'

const alias = 'team.one/ci'
const many = 50

const stores = [
  ['aws_secret_manager', 'atomic'],
  ['hashicorp_vault', 'atomic'],
  ['google_secret_manager', 'cooperating'],
  ['azure_key_vault', 'detected'],
  ['cyberark', 'detected'],
  ['infisical', 'detected'],
] as const

const opened = async (system: string): Promise<{ scene: Scene; servers: readonly [Server, Server] }> => {
  const scene = await Scene.open(system)
  onTestFinished(() => scene.close())
  return { scene, servers: [await scene.start(), await scene.start()] }
}

/** Every listed alias, from as many pages as there are. */
const listed = async (server: Server): Promise<readonly unknown[]> => {
  const found: unknown[] = []
  for (let cursor = ''; ; ) {
    const { json } = await server.send(`GET /key/list?limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`)
    found.push(...(json['keys'] as readonly Record<string, unknown>[]).map((key) => key['key_alias']))
    if (typeof json['next_cursor'] !== 'string') return found
    cursor = json['next_cursor']
  }
}

const createAll = ([one, two]: readonly [Server, Server], headers: Readonly<Record<string, string>>): Promise<readonly Said[]> =>
  Promise.all(Array.from({ length: many }, (_, index) => (index % 2 === 0 ? one : two).send('POST /key/generate', { key_alias: alias }, headers)))

const codeOf = ({ json }: Said): unknown => (json['error'] as Record<string, unknown> | undefined)?.['type']

/** What was answered, by status and code, with how often. */
const counted = (answers: readonly Said[]): string =>
  [...Map.groupBy(answers, (said) => `${said.status} ${String(codeOf(said) ?? 'made')}`)].map(([what, those]) => `${those.length} x ${what}`).toSorted().join(', ')

describe('fifty creations of one alias by two servers', () => {
  it.each(stores)('%s: one wins, the others are told that the alias is taken', { timeout: 60_000 }, async (system, guarantee) => {
    const { scene, servers } = await opened(system)

    const answers = await createAll(servers, {})

    const won = answers.filter(({ status }) => status === 200)
    const lost = answers.filter(({ status }) => status !== 200)
    const told = scene.told({ alias }, 'all')
    onTestFinished(({ task }) => void (task.meta.report = `parallel creations  ${system.padEnd(22)} ${guarantee.padEnd(12)} ${counted(answers)}; tokens that the gateway was told of ${told.length}`))
    expect(won.map(({ json }) => json['guarantee'])).toEqual([guarantee])
    // Somebody who comes while the winner is still at it may be told to come again.
    expect(lost.filter((said) => !['already_exists', 'conflict'].includes(String(codeOf(said))))).toEqual([])
    expect(lost.filter(({ json }) => (json['error'] as Record<string, unknown>)['applied'] !== 'no')).toEqual([])
    expect(told.filter((token) => scene.accepts(token))).toEqual([won[0]?.json['key']])
    expect(await listed(servers[1])).toEqual([alias])
  })

  it.each(stores)('%s: with one Idempotency-Key all are answered the same key and token', { timeout: 60_000 }, async (system) => {
    const { scene, servers } = await opened(system)

    const answers = await createAll(servers, { 'idempotency-key': 'one key for all of them' })

    const made = answers.filter(({ status }) => status === 200)
    expect(made.length).toBeGreaterThan(0)
    expect(answers.filter((said) => said.status !== 200 && codeOf(said) !== 'conflict')).toEqual([])
    expect(new Set(made.map(({ json }) => json['key_id'])).size).toBe(1)
    expect([...new Set(made.map(({ json }) => json['key']))]).toEqual(scene.told({ alias }, 'all'))
    expect(await listed(servers[0])).toEqual([alias])
  })
})

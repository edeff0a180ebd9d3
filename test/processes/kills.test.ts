// `kill -9` of the real server at its requests to store and gateway, again and again: what was acknowledged holds, what was not is repeated or undone, and a token is good or it is not.
// `npm test` takes a few kills of every verb and store, `npm run kills` (KILLS) more; every boundary that is chosen must have been hit.
import { describe, expect, it } from 'vitest'
import { choose, killAll, label, learn, type Boundary, type Kill, type Killed } from './kills.ts'

/** One store of each way to change a key: a stage that moves, a compare-and-set, an etag, a chain of versions. */
const systems = ['aws_secret_manager', 'hashicorp_vault', 'google_secret_manager', 'cyberark']
const wanted = Number(process.env['KILLS'] ?? 46)

/** What was hit, as one line for each store: of the requests that change something, and of all. */
const table = (boundaries: readonly Boundary[], hit: readonly Kill[]): readonly string[] => {
  const places = (list: readonly Boundary[], verb: string, changing: boolean): number => new Set(list.filter((boundary) => boundary.verb === verb && (!changing || boundary.changes)).map(({ nth }) => nth)).size
  return systems.map((system) => {
    const [all, done] = [boundaries, hit].map((list) => list.filter((boundary) => boundary.system === system))
    const each = [...new Set(all?.map(({ verb }) => verb))].map((verb) => `${verb} ${[true, false].map((changing) => `${places(done ?? [], verb, changing)}/${places(all ?? [], verb, changing)}`).join(' ')}`)
    return `  ${system.padEnd(22)} ${String(done?.length).padStart(4)} kills; changes and all requests hit: ${each.join(', ')}`
  })
}

describe('a server that is killed at its requests', () => {
  it(`keeps what it acknowledged and leaves nothing half done, ${wanted} times`, { timeout: 60_000 + wanted * 3_000 }, async ({ task }) => {
    const boundaries: Boundary[] = []
    for (const system of systems) boundaries.push(...(await learn(system)))
    const kills = choose(boundaries, wanted)

    const outcomes: readonly Killed[] = await Promise.all(systems.map((system) => killAll(system, kills.filter((kill) => kill.system === system))))

    const hit = outcomes.flatMap((outcome) => outcome.hit)
    const faults = outcomes.flatMap((outcome) => outcome.faults)
    const acknowledged = outcomes.reduce((sum, outcome) => sum + outcome.acknowledged, 0)
    const places = (list: readonly Boundary[]): number => new Set(list.map(({ system, verb, nth }) => `${system} ${verb} ${nth}`)).size
    const changing = [hit, boundaries].map((list) => places(list.filter(({ changes }) => changes)))
    task.meta.report = [
      `kills ${hit.length}, boundaries hit ${places(hit)} of ${places(kills)} chosen; of all ${boundaries.length} requests those that change something ${changing.join(' of ')}; acknowledged answers kept ${faults.length === 0 ? acknowledged : 'not all'} of ${acknowledged}`,
      ...table(boundaries, hit),
    ].join('\n')

    expect(faults).toEqual([])
    expect(hit.map(label).toSorted()).toEqual(kills.map(label).toSorted())
  })
})

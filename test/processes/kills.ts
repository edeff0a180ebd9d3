// Kills real servers at their requests to the fakes, and looks at what is left. Which requests a verb makes is learned first, from a server that is left alive; every one of
// them is a boundary at which a server can be killed, before the fake saw the request or after the fake carried it out.
import { changes, nameOf, type Crossing } from './border.ts'
import { faultsOf, prepare, untruths, verbs, type KeyCase } from './key-verbs.ts'
import { Scene, type Said, type Server } from './scene.ts'

/** One request of one verb on one store. */
export interface Boundary {
  readonly system: string
  readonly verb: string
  /** From 1. */
  readonly nth: number
  /** How many there are of this verb and store. */
  readonly of: number
  readonly call: string
  readonly changes: boolean
}

/** Where a server is killed, and how the key comes right again: somebody repeats the request, or nobody does and the sweep passes a minute later. */
export interface Kill extends Boundary {
  readonly when: 'before' | 'after'
  readonly healed: 'repetition' | 'sweep'
}

/** What came of the kills on one store. */
export interface Killed {
  readonly hit: readonly Kill[]
  /** How many requests were answered with success beside those that died. */
  readonly acknowledged: number
  /** One sentence each. */
  readonly faults: readonly string[]
}

const sweep = 'reconcile'
const leaseOverMs = 61_000

/** One whole sweep that mends what it may. Answers the last page, with the items of all. */
const sweptBy = async (server: Server): Promise<Said> => {
  const items: unknown[] = []
  for (let cursor: unknown = undefined; ; ) {
    const said = await server.send('POST /keys:reconcile', { repair: true, ...(cursor === undefined ? {} : { cursor }) })
    if (Array.isArray(said.json['items'])) items.push(...(said.json['items'] as unknown[]))
    cursor = said.json['next_cursor'] ?? undefined
    if (said.status !== 200 || cursor === undefined) return { status: said.status, json: { ...said.json, items } }
  }
}

const caseOf = (verb: string, mark: string): KeyCase => {
  const found = verbs.find(({ name }) => name === verb)
  if (found === undefined) throw new Error(`there is no verb ${verb}`)
  return { verb: found, alias: `team.one/${mark}`, renamed: `team.two/${mark}`, idempotencyKey: `the kill of ${mark}` }
}

const request = (subject: KeyCase, server: Server): Promise<Said> => server.send(subject.verb.line, subject.verb.body(subject), { 'idempotency-key': subject.idempotencyKey })

/** Learns the requests of every verb, and of a sweep that finds one key unknown to the gateway. */
export const learn = async (system: string): Promise<readonly Boundary[]> => {
  const scene = await Scene.open(system)
  const server = await scene.start()
  const learned: Boundary[] = []
  const learnOne = async (verb: string, act: () => Promise<Said>): Promise<void> => {
    server.border.arm()
    const said = await act()
    if (said.status !== 200) throw new Error(`${system}: ${verb} was answered ${said.status} ${JSON.stringify(said.json)}`)
    const crossings: readonly Crossing[] = server.border.crossings
    learned.push(...crossings.map((crossing, index) => ({ system, verb, nth: index + 1, of: crossings.length, call: nameOf(crossing), changes: changes(crossing) })))
  }
  const swept = caseOf('rotate', 'swept')
  await prepare(swept, server)
  scene.loseAtGateway(swept.first ?? '')
  await learnOne(sweep, () => sweptBy(server))
  for (const { name } of verbs) {
    const subject = caseOf(name, name.replaceAll(' ', '-'))
    await prepare(subject, server)
    await learnOne(name, () => request(subject, server))
  }
  await server.stop()
  await scene.close()
  return learned
}

/** Kills that once left something wrong, by the request that they come after: they run first, always. */
const known: readonly (readonly [system: string, verb: string, call: RegExp, occurrence: number, healed: Kill['healed']])[] = [
  // The claim of a renaming had no value yet, and no repetition gave it one.
  ['google_secret_manager', 'rename', /^PATCH .*one-2frename$/, 1, 'repetition'],
  // The new name had the token and not yet the labels: the key was found by its id nowhere, and its token no longer verified; undoing it blocked the living token.
  ['hashicorp_vault', 'rename', /^POST \/v1\/secret\/data\/litellm\/team\.two/, 1, 'repetition'],
  ['hashicorp_vault', 'rename', /^POST \/v1\/secret\/data\/litellm\/team\.two/, 1, 'sweep'],
  // The key was found under its new name, and the repetition was taken for another operation, which had to wait for itself.
  ['hashicorp_vault', 'rename', /^PATCH .*\/index\//, 2, 'repetition'],
  ['cyberark', 'rename', /^POST .*chain%2Fteam\.one/, 4, 'repetition'],
  ['aws_secret_manager', 'rename', /^UpdateSecretVersionStage$/, 3, 'repetition'],
  // Taken back and repeated, the new name still had the labels of the first attempt: the old one was never brought to its end, and the list showed both.
  ['cyberark', 'rename', /^POST .*variable\/litellm%2Fteam\.two/, 1, 'sweep'],
  // What came was tagged, what went was not yet untagged: said to be unblocked, and still blocked.
  ['aws_secret_manager', 'unblock', /^TagResource$/, 1, 'sweep'],
  // The token before stayed in the cache of the process that rotated the key by its id.
  ['aws_secret_manager', 'rotate', /^PutSecretValue$/, 1, 'sweep'],
]

/**
 * The kills that tell most, first: those that once found something, then after every request that changes something, then before it, then at those that only read; in turns over
 * stores and verbs. What a kill after one request leaves is what a kill before the next one leaves, so each state is healed in both ways. @throws when a known one is nowhere any more
 */
export const choose = (boundaries: readonly Boundary[], count: number): readonly Kill[] => {
  const first = known.map(([system, verb, call, occurrence, healed]): Kill => {
    const found = boundaries.filter((boundary) => boundary.system === system && boundary.verb === verb && call.test(boundary.call))[occurrence - 1]
    if (found === undefined) throw new Error(`${verb} on ${system} has no request ${String(call)}, ${occurrence}: say where that kill belongs now`)
    return { ...found, when: 'after', healed }
  })
  const kinds = [[true, 'after'], [true, 'before'], [false, 'after'], [false, 'before']] as const
  const rest = kinds.flatMap(([changing, when]) => {
    const groups = Map.groupBy(boundaries.filter((boundary) => boundary.changes === changing), ({ system, verb }) => `${system} ${verb}`)
    const spread = (group: readonly Boundary[]): readonly Boundary[] => group.map((boundary, index) => ({ boundary, rank: ((index * 7 + 3) % 31) + index / 100 })).toSorted((a, b) => a.rank - b.rank).map(({ boundary }) => boundary)
    const turns = [...groups.values()].flatMap((group) => spread(group).map((boundary, turn) => ({ boundary, turn })))
    return turns.toSorted((a, b) => a.turn - b.turn).map(({ boundary }): Kill => ({ ...boundary, when, healed: boundary.verb === sweep || boundary.nth % 2 === 0 ? 'repetition' : 'sweep' }))
  })
  const chosen = new Set(first.map(label))
  return [...first, ...rest.filter((kill) => !chosen.has(label(kill)))].slice(0, count)
}

/** Carries out the kills of one store, one after the other, each on the server that came after the one before. */
export const killAll = async (system: string, kills: readonly Kill[]): Promise<Killed> => {
  const scene = await Scene.open(system)
  const hit: Kill[] = []
  const faults: string[] = []
  const live = new Map<string, string>()
  let acknowledged = 0
  let server = await scene.start()
  let spare = scene.start()
  const succeed = async (): Promise<void> => {
    server = await spare
    spare = scene.start()
  }
  const at = () => ({ scene, server })
  /** Whether the server was killed there; what went on instead is a fault. */
  const struck = async (kill: Kill, act: () => Promise<Said>): Promise<boolean> => {
    const outcome = await server.struck(kill, act)
    if (outcome.struck) {
      hit.push(kill)
      await succeed()
    } else faults.push(`${label(kill)}: not reached; it was answered ${outcome.said?.status ?? 'nothing'} ${JSON.stringify(outcome.said?.json ?? {})}`)
    return outcome.struck
  }
  const say = (kill: Kill, found: readonly string[]): void => void faults.push(...found.map((fault) => `${label(kill)}: ${fault}`))
  const remember = async (subject: KeyCase, when: 'before' | 'after'): Promise<void> => {
    const standing = subject.verb[when](subject)
    if (standing !== undefined) live.set(standing.alias, standing.blocked ? '' : ((await server.reveal(standing.alias)) ?? 'nothing'))
  }

  const swept = caseOf('rotate', 'swept')
  acknowledged += await prepare(swept, server)
  await remember(swept, 'before')
  for (const kill of kills.filter(({ verb }) => verb === sweep)) {
    scene.loseAtGateway(swept.first ?? '')
    if (!(await struck(kill, () => sweptBy(server)))) continue
    const again = await sweptBy(server)
    if (again.status === 200) acknowledged += 1
    else say(kill, [`the next sweep was answered ${again.status}`])
    say(kill, await faultsOf(swept, 'before', at()))
  }

  const left: { readonly kill: Kill; readonly subject: KeyCase }[] = []
  for (const kill of kills.filter(({ verb }) => verb !== sweep)) {
    const subject = caseOf(kill.verb, `${kill.verb.replaceAll(' ', '-')}.${kill.nth}.${kill.when}.${kill.healed}`)
    acknowledged += await prepare(subject, server)
    if (!(await struck(kill, () => request(subject, server)))) continue
    if (kill.verb === 'rename') {
      const names = (await listed(server)).filter((key) => key.key_id === subject.keyId).map(({ key_alias: alias }) => alias)
      if (names.length !== 1) say(kill, [`before anything is healed the list shows the key as ${names.join(' and ') || 'nothing'}`])
    }
    if (kill.healed === 'sweep') {
      left.push({ kill, subject })
      continue
    }
    const again = await request(subject, server)
    if (again.status === 200) acknowledged += 1
    if (subject.keyId === undefined && typeof again.json['key_id'] === 'string') subject.keyId = again.json['key_id']
    say(kill, [...(await untruths(subject, again, server)), ...(await faultsOf(subject, 'after', at()))])
    await remember(subject, 'after')
  }

  if (left.length > 0) {
    scene.pass(leaseOverMs)
    await spare
    spare = scene.start()
    await succeed()
    // What one sweep mends may show the next one something; after three there is nothing more to mend.
    const sweeps = [await sweptBy(server)]
    for (const { kill, subject } of left) {
      const refused = ['update', 'rename'].includes(kill.verb) && !scene.accepts(subject.first ?? '')
      if (refused) say(kill, ['the gateway refuses the token of a key that was only changed'])
    }
    sweeps.push(await sweptBy(server), await sweptBy(server))
    for (const { status, json } of sweeps) if (status !== 200) faults.push(`${system}: a sweep was answered ${status} ${JSON.stringify(json)}`)
    const open = sweeps.at(-1)?.json['items']
    if (!Array.isArray(open) || open.length > 0) faults.push(`${system}: a third sweep still found ${JSON.stringify(open)}`)
    for (const { kill, subject } of left) {
      const [before, after] = [await faultsOf(subject, 'before', at()), await faultsOf(subject, 'after', at())]
      const holds = after.length === 0 ? 'after' : 'before'
      if (before.length > 0 && after.length > 0) say(kill, [`neither undone (${before.join('; ')}) nor done (${after.join('; ')})`])
      const again = await request(subject, server)
      // A creation that was taken back stays so, and says it.
      if (again.status === 200 && again.json['superseded'] === 'deleted' && again.json['key'] === null) {
        acknowledged += 1
        say(kill, before)
      } else if (again.status === 200) {
        acknowledged += 1
        say(kill, [...(await untruths(subject, again, server)), ...(await faultsOf(subject, 'after', at()))])
        await remember(subject, 'after')
      } else {
        const error = (again.json['error'] ?? {}) as Readonly<Record<string, unknown>>
        if (holds === 'after' || error['type'] !== 'conflict' || error['applied'] !== 'no') say(kill, [`swept, it is ${holds === 'after' ? 'done' : 'undone'}; the repetition was answered ${again.status} ${JSON.stringify(error)}`])
        say(kill, await faultsOf(subject, 'before', at()))
        await remember(subject, 'before')
      }
    }
  }

  faults.push(...(await lastLook(system, server, live)))
  await spare
  await scene.close()
  return { hit, acknowledged, faults }
}

interface Listed {
  readonly key_alias: string
  readonly key_id: string
}

/** Everything that is listed, from as many pages as there are. */
const listed = async (server: Server): Promise<readonly Listed[]> => {
  const found: Listed[] = []
  for (let cursor: unknown = ''; ; ) {
    const { json } = await server.send(`GET /key/list?limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(String(cursor))}`}`)
    found.push(...((json['keys'] ?? []) as readonly Listed[]))
    cursor = json['next_cursor']
    if (typeof cursor !== 'string') return found
  }
}

/** Of everything that was acknowledged: each key stands in the list once, nothing else does, and its token is still good. */
const lastLook = async (system: string, server: Server, live: ReadonlyMap<string, string>): Promise<readonly string[]> => {
  const aliases = (await listed(server)).map(({ key_alias: alias }) => alias)
  const [found, meant] = [aliases.toSorted(), [...live.keys()].toSorted()]
  const faults = JSON.stringify(found) === JSON.stringify(meant) ? [] : [`${system}: the list shows ${found.filter((alias) => !live.has(alias)).join(', ') || 'nothing'} beside, and lacks ${meant.filter((alias) => !found.includes(alias)).join(', ') || 'nothing'}; ${found.length - new Set(found).size} stand twice`]
  for (const [alias, token] of live) {
    if (token === '') continue
    const { json } = await server.send('POST /key/verify', { key: token })
    if (json['valid'] !== true) faults.push(`${system}: the token of ${alias} is no longer good`)
  }
  return faults
}

/** A kill in words. */
export const label = ({ system, verb, when, nth, of, call, healed }: Kill): string => `${system}, ${verb}, ${when} request ${nth} of ${of} (${call}), healed by ${healed}`

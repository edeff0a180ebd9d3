// Which worlds count as the same, so that what follows is run once for all of them. Everything that a judge goes by must tell worlds apart: each of its fields does, or stands
// here among those that need not, with the reason; a new one that does neither fails.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { judgeAnswers } from '../judges/answers-judge.ts'
import { finish, prepare } from '../schedule.ts'
import { shapes, type Shape } from '../shapes.ts'
import { Simulation, type Attempt } from '../simulation.ts'
import { Proven, QuietRequests, settled } from './settled.ts'
import { wishVerbs, type Wish, type WishVerb } from './verbs.ts'

const [shape] = shapes as readonly [Shape]
const wish = (verb: WishVerb, more: Partial<Wish> = {}): Wish => ({ verb, alias: 'a', keyed: verb !== 'reconcile', graceMs: 600_000, attempts: 1, ...(verb === 'rename' ? { to: 'b' } : {}), ...more })

/** A world with a key in its grace, after these. */
const after = async (verbs: readonly WishVerb[] = [], seed = 'settled') => {
  const simulation = await Simulation.open({ shape, seed, gateway: true })
  await prepare(simulation, { start: 'grace', wishes: [] })
  const attempts: Attempt[] = []
  for (const [index, verb] of verbs.entries()) attempts.push(await simulation.alone(wish(verb), index))
  return { simulation, attempts }
}

describe('two worlds', () => {
  /** Two creations side by side, their calls in this order. */
  const created = async (order: string) => {
    const simulation = await Simulation.open({ shape, seed: 'settled', gateway: true })
    await prepare(simulation, { start: 'absent', wishes: [wish('create'), wish('create', { alias: 'b' })] })
    for (const index of [0, 1]) await simulation.decide(['start', index, 0])
    for (const alias of order) await simulation.decide(['meet', `create ${alias} #${alias === 'a' ? 0 : 1}.0`])
    return { world: settled(simulation), called: simulation.world.met.map(({ label, step }) => `${label} ${step.call}`) }
  }

  it('that hold the same are the same, although what changes nothing was asked in another order', async () => {
    const [one, other] = [await created('abababab'), await created('abaabbab')]

    expect(one.called).not.toEqual(other.called)
    expect(one.world).toHaveLength(20)
    expect(other.world).toBe(one.world)
  })

  it('are two where what was changed first is another', async () => {
    const [one, other] = [await created('abababab'), await created('babababa')]

    expect(other.world).not.toBe(one.world)
  })

  it.each(wishVerbs.filter((verb) => verb !== 'reconcile'))('are two once one of them has seen: %s', async (verb) => {
    const { simulation } = await after()
    const before = settled(simulation)

    await simulation.alone(wish(verb), 1)

    expect(settled(simulation)).not.toBe(before)
  })

  it('are two once time has passed, or somebody else has a row at the gateway', async () => {
    const [{ simulation: later }, { simulation: held }] = [await after(), await after()]
    const before = settled(later)
    const same = settled(held)

    later.world.clock.advance(1)
    held.gateway.hold(SecretValue.of('sk-of-somebody-else'))

    expect(same).toBe(before)
    expect([settled(later), settled(held)]).not.toContain(before)
  })

  it('cannot be told apart while somebody is about to make a call, nor with a bug planted in them', async () => {
    const simulation = await Simulation.open({ shape, seed: 'settled', gateway: true, bug: { id: 'none', says: '', shapes: [], expected: [] } })
    const { simulation: waiting } = await after()
    const attempt = waiting.add(wish('rotate'), 1, 0)

    await waiting.start(attempt)

    expect([settled(simulation), settled(waiting)]).toEqual([undefined, undefined])
  })
})

/** The same in all runs that are held against each other: they have the same wishes. */
const given: ReadonlySet<string> = new Set(['wish', 'wishNumber', 'number', 'operationId', 'setting'])
/** Read by no judge, or told anew before each look. A sweep's report is judged where it is made. */
const unread: ReadonlySet<string> = new Set(['startedAt', 'calls', 'seen', 'made', 'report', 'trace', 'hits', 'met', 'changes', 'counts', 'inMemory', 'counted', 'quiet', 'writes', 'ignored', 'step', 'skewMs'])

/** Makes something of a field that it was not, and gives the way back. */
const changed = (of: object, key: string): (() => void) => {
  const value: unknown = Reflect.get(of, key)
  const set = (other: unknown): (() => void) => {
    Reflect.set(of, key, other)
    return () => void Reflect.set(of, key, value)
  }
  if (value instanceof Set) return set(new Set([...value, 'other']))
  if (value instanceof Map) return set(new Map([...value, ['other', {}]]))
  if (Array.isArray(value)) return set([...value, typeof value[0] === 'object' ? { ...value[0] } : 'other'])
  if (value instanceof Error) return set(new LatchkeyError('internal', 'Another.'))
  if (value instanceof SecretValue) return set(SecretValue.of('sk-other'))
  if (typeof value === 'object') return set({ ...value, other: true })
  if (typeof value === 'boolean') return set(!value)
  return set(typeof value === 'number' ? Infinity : 'other')
}

/** The fields of these that do not tell worlds apart, by their names. Those whose classes are examined by themselves are passed over. */
const blind = (simulation: Simulation, of: object, parts: readonly string[] = []): readonly string[] => {
  const world = settled(simulation)
  return Object.keys(of).filter((key) => {
    if (parts.includes(key) || given.has(key) || unread.has(key) || typeof Reflect.get(of, key) === 'function') return false
    const back = changed(of, key)
    const other = settled(simulation)
    back()
    return world === undefined || other === world
  })
}

describe('what tells worlds apart', () => {
  it('is everything that is known of a name', async () => {
    const { simulation } = await after(['update', 'block'])
    const [name] = [...simulation.oracle.names()]
    const held = name?.history.at(-1)

    const fields = [blind(simulation, name ?? {}), blind(simulation, held ?? {}), blind(simulation, held?.operation ?? {}), blind(simulation, name?.blocks[0] ?? {})]

    expect(Object.keys(name ?? {})).toEqual(expect.arrayContaining(['history', 'stored', 'blocks', 'tainted']))
    expect(Object.keys(held ?? {})).toEqual(expect.arrayContaining(['keyId', 'operation', 'value']))
    expect(fields).toEqual([[], [], [], []])
  })

  it('is everything that is known of a sending, whether it was answered or refused', async () => {
    const { simulation, attempts } = await after(['rotate', 'create'])

    expect(attempts.map(({ answer, error }) => [answer !== undefined, error !== undefined])).toEqual([[true, false], [false, true]])
    expect(attempts.map((attempt) => blind(simulation, attempt))).toEqual([[], []])
  })

  it('is everything that the judges, the gateway and the world hold', async () => {
    const { simulation } = await after(['rotate', 'delete'])
    const { oracle, judge, claims, gateway, world } = simulation
    const promised = [...oracle.promised.values()]

    expect([blind(simulation, oracle), blind(simulation, judge), blind(simulation, claims), blind(simulation, gateway)]).toEqual([[], [], [], []])
    expect([blind(simulation, world, ['clock']), blind(simulation, simulation, ['world', 'oracle', 'judge', 'claims', 'gateway'])]).toEqual([[], []])
    expect(promised.flatMap((each) => blind(simulation, each))).toEqual([])
  })

  it.each([
    ['oracle', ['provider', 'clock', 'lifecycle', 'call', 'oneGrace', 'remembered', 'verified']],
    ['gateway-judge', ['gateway', 'oracle', 'clock']],
    ['claims-judge', ['oracle', 'gateway']],
  ])('is everything that the %s keeps to itself, apart from what it works with', (file, tools) => {
    const source = readFileSync(new URL(`../judges/${file}.ts`, import.meta.url), 'utf8')

    const kept = [...source.matchAll(/^ {2}(?:readonly )?#(\w+)(?!\w*\()/gm)].map(([, field]) => field ?? '')
    const facts = /^ {2}facts\(.*?^ {2}\}/ms.exec(source.slice(source.indexOf(`export class ${file === 'oracle' ? 'Oracle' : ''}`)))?.[0] ?? ''

    expect(kept.filter((field) => !tools.includes(field) && !facts.includes(`this.#${field}`))).toEqual([])
    expect(tools.filter((field) => !kept.includes(field))).toEqual([])
  })

  it('lacks nothing of a sending that the judge of the answers looks at', async () => {
    const { simulation } = await after([...wishVerbs, 'adopt'])
    const looked = new Set<string>()
    const seen = <T extends object>(of: T): T =>
      new Proxy(of, {
        get: (target, key) => {
          looked.add(String(key))
          return Reflect.get(target, key) as unknown
        },
      })
    const { oracle, claims, setting } = simulation
    const attempts = seen(simulation.attempts.map(seen))

    judgeAnswers(seen({ oracle, claims, setting, attempts, refuse: simulation.refuse.bind(simulation) } as unknown as Simulation))

    expect(looked).toContain('operationIds')
    expect([...looked].filter((field) => unread.has(field))).toEqual([])
  })
})

describe('a world that is proven', () => {
  it('is one that another run passed through and held to its end, at the same point', async () => {
    const proven = new Proven()
    const [{ simulation: first }, { simulation: second }] = [await after(['rotate']), await after(['rotate'])]

    const known = [proven.knows(first, 'sweep'), proven.knows(second, 'sweep')]
    proven.end(true)

    expect(known).toEqual([false, false])
    expect([proven.knows(second, 'sweep'), proven.knows(second, 'wish 0'), proven.met]).toEqual([true, false, 1])
  })

  it('is none where that run broke, or has not ended', async () => {
    const proven = new Proven()
    const [{ simulation: broken }, { simulation: second }] = [await after(['rotate']), await after(['rotate'])]
    proven.knows(broken, 'sweep')
    proven.end(false)

    proven.end(true)

    expect([proven.knows(second, 'sweep'), proven.met]).toEqual([false, 0])
  })

  it('ends a run that comes to it, and saves its sweeps', async () => {
    const proven = new Proven()
    const script = { shape: shape.name, seed: 'settled', gateway: true, start: 'grace', wishes: [wish('rotate')], decisions: [] } as const
    const run = async () => {
      const simulation = await Simulation.open({ shape, seed: 'settled', gateway: true })
      const outcome = await finish(simulation, script, async () => void (await simulation.decide(['start', 0, 0])), false, proven)
      proven.end(outcome.violation === undefined)
      return simulation.attempts.filter(({ wish: { verb } }) => verb === 'reconcile').length
    }

    const sweeps = [await run(), await run()]

    expect([sweeps, proven.met]).toEqual([[3, 0], 1])
  })
})

describe('a request that changes nothing', () => {
  /** A sweep of a world, which may be told what another one was. */
  const swept = async (quiet: QuietRequests, verbs: readonly WishVerb[] = [], wishNumber = 97) => {
    const { simulation } = await after(verbs)
    const { world } = simulation
    simulation.quiet = quiet
    const [met, steps] = [world.met.length, world.steps]
    const { report, firstStep = 0, firstLook = 0 } = await simulation.alone(wish('reconcile'), wishNumber, 91)
    return { report, calls: world.met.length - met, steps: world.steps - steps, first: [firstStep - steps, firstLook - steps] }
  }

  it('is told what the same sending was told over the same world, and makes no call for it', async () => {
    const quiet = new QuietRequests()
    const first = await swept(quiet)

    const second = await swept(quiet)

    expect(quiet.known).toBe(1)
    expect(second).toEqual({ ...first, calls: 0 })
    expect(first.calls).toBe(first.steps)
  })

  it('is sent where the world or the sending is another', async () => {
    const quiet = new QuietRequests()
    const first = await swept(quiet)

    const others = [await swept(quiet, ['update']), await swept(quiet, [], 96)]

    expect([first, ...others].every(({ calls }) => calls > 0)).toBe(true)
    expect(quiet.known).toBe(0)
  })

  it('is another one than a request that changes something, or that writes what is refused', async () => {
    const quiet = new QuietRequests()
    const told = async (verb: WishVerb) => {
      const { simulation } = await after()
      simulation.quiet = quiet
      return simulation.alone(wish(verb, { keyed: false }), 5)
    }

    for (const verb of ['rotate', 'rotate', 'block', 'block'] as const) await told(verb)

    expect(quiet.known).toBe(0)
  })

  it('is another one of another sending, and under another setting', async () => {
    const { simulation } = await after()
    const sweep = simulation.add(wish('reconcile'), 97, 91)
    const others = [{ label: 'another' }, { operationId: 'another' }, { wish: wish('reconcile', { alias: 'b' }) }, { skewMs: 1 }]
    const settings = [{}, { seed: 'another' }, { gateway: false }, { shortPages: true }, { writeOnly: true }]

    const sendings = [sweep, ...others.map((other) => ({ ...sweep, ...other }))].map((each) => QuietRequests.question(simulation, each))
    const worlds = await Promise.all(settings.map(async (other) => QuietRequests.question(await Simulation.open({ shape, seed: 'settled', gateway: true, ...other }), sweep)))

    expect(new Set([...sendings, ...worlds])).toHaveProperty('size', others.length + 1 + settings.length)
    expect([...sendings, ...worlds]).not.toContain(undefined)
  })

  it('is asked for by nobody while a call is under way, and not of a world with a bug', async () => {
    const { simulation } = await after()
    const calm = simulation.add(wish('reconcile'), 97, 91)
    const before = QuietRequests.question(simulation, calm)
    const bugged = await Simulation.open({ shape, seed: 'settled', gateway: true, bug: { id: 'none', says: '', shapes: [], expected: [] } })

    await simulation.start(simulation.add(wish('rotate'), 1, 0))

    expect(before).toHaveLength(20)
    expect([QuietRequests.question(simulation, calm), QuietRequests.question(bugged, bugged.add(wish('reconcile'), 97, 91))]).toEqual([undefined, undefined])
  })
})

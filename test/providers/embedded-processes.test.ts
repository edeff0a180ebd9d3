// Real processes on one store: several at once, and 200 that are killed in the middle of their work. Their files lie in memory where that is possible:
// a kill is no power cut, so what a process has handed to the system stays, on a disk or not.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { SecretValue } from '../../shared/core/secret.ts'
import { systemClock } from '../../shared/telemetry/node-runtime.ts'
import { callOf } from '../support/runtime.ts'
import { inMemory, nameOf, storeIn, temporaryFolder, textOf, type Store } from './embedded-store.ts'

const program = fileURLToPath(new URL('embedded-child.ts', import.meta.url))

interface Child {
  /** What it said so far. */
  readonly said: string[]
  /** Its next line, or nothing when it has ended. */
  next(): Promise<string | undefined>
  order(line: string): void
  /** Lets it end by itself. */
  end(): Promise<void>
  kill(): Promise<void>
}

/** Node's cache of compiled code makes a start four times as fast; a process that is killed adds nothing to it. */
const cache = await mkdtemp(join(tmpdir(), 'latchkey-compiled-'))
afterAll(() => rm(cache, { recursive: true, force: true }))

const start = (order: string, folder: string, id: string): Child => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, order, folder, id], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, NODE_COMPILE_CACHE: cache } })
  const ended = once(child, 'close')
  const said: string[] = []
  const lines = createInterface({ input: child.stdout })
  const waiting: (() => void)[] = []
  let taken = 0
  let over = false
  const wake = (): void => waiting.splice(0).forEach((go) => go())
  lines.on('line', (line) => {
    said.push(line)
    wake()
  })
  lines.on('close', () => {
    over = true
    wake()
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return {
    said,
    next: async () => {
      while (said.length <= taken && !over) await new Promise<void>((resolve) => waiting.push(resolve))
      taken += 1
      return said[taken - 1]
    },
    order: (line) => void child.stdin.write(`${line}\n`),
    end: async () => {
      child.stdin.end()
      await ended
    },
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

describe('two processes on one embedded store', () => {
  it('agree on one key when they make the store at the same moment', { timeout: 60_000 }, async () => {
    for (let round = 0; round < 4; round += 1) {
      const folder = await temporaryFolder(inMemory)
      const children = ['one', 'two', 'three'].map((id) => start('race', folder, id))

      for (const child of children) expect(await child.next()).toBe('open')
      for (const [index, child] of children.entries()) child.order(`own-${index} absent`)
      for (const child of children) expect(await child.next()).toMatch(/^written /)
      const store = await storeIn(folder, { clock: systemClock })

      expect(await Promise.all([0, 1, 2].map((index) => textOf(store, systemClock, `own-${index}`)))).toEqual(['one of own-0', 'two of own-1', 'three of own-2'])
      await Promise.all(children.map((child) => child.end()))
    }
  })

  it.each([
    ['create', 'already_exists'],
    ['replace', 'conflict'],
  ])('have one winner for each of 200 secrets that both %s', { timeout: 60_000 }, async (verb, refusal) => {
    const folder = await temporaryFolder(inMemory)
    const store = await storeIn(folder, { clock: systemClock })
    const children = ['one', 'two'].map((id) => start('race', folder, id))
    for (const child of children) await child.next()
    const ids = await basisOf(store, verb)
    const winners: string[] = []
    const wrong: unknown[] = []

    for (let round = 0; round < 200; round += 1) {
      for (const child of children) child.order(`r-${round} ${ids[round] ?? 'absent'}`)
      const said = await Promise.all(children.map((child) => child.next()))
      const winner = ['one', 'two'][said.findIndex((line) => line?.startsWith('written'))] ?? 'nobody'
      const stored = await textOf(store, systemClock, `r-${round}`)
      winners.push(winner)
      if (said.filter((line) => line === refusal).length !== 1 || stored !== `${winner} of r-${round}`) wrong.push({ round, said, stored })
    }

    expect(wrong).toEqual([])
    expect(new Set(winners)).toEqual(new Set(['one', 'two']))
  })
})

/** The versions that both processes will replace; none when both are to create. */
const basisOf = async (store: Store, verb: string): Promise<readonly string[]> => {
  const ids: string[] = []
  for (let round = 0; verb === 'replace' && round < 200; round += 1) {
    const { version } = await store.write({ name: nameOf(`r-${round}`), value: SecretValue.of('basis'), expect: 'absent', operation: `put-basis-${round}`, stage: 'current' }, callOf(systemClock))
    ids.push(version?.id ?? '')
  }
  return ids
}

/** What a killed process left behind: every acknowledged write is there, whole, and nothing is half there. */
const faultsAfterKill = async (folder: string, acknowledged: ReadonlyMap<string, ReadonlyMap<string, string>>): Promise<readonly string[]> => {
  const faults: string[] = []
  const store = await storeIn(folder, { clock: systemClock })
  const { items } = await store.list({ prefix: '', limit: 100 }, callOf(systemClock))
  for (const { name, labels, versions = [] } of items) {
    const said = acknowledged.get(name.text)
    const there = new Set(versions.map(({ id }) => id))
    for (const version of versions) {
      const text = await textOf(store, systemClock, name.text.slice('litellm/'.length), { version: version.id })
      const [, life = '', step = ''] = /^([^.]+)\.(\d+)\.x*$/.exec(text) ?? []
      if (text.length !== `${life}.${step}.`.length + ((Number(step) * 997) % 9000)) faults.push(`${name.text} ${version.id} is cut`)
      if (said?.has(version.id) === true && said.get(version.id) !== `${life}.${step}`) faults.push(`${name.text} ${version.id} holds ${life}.${step}`)
      if (version.stages.includes('current') && labels['step'] !== `${life}.${step}`) faults.push(`${name.text} has the labels of ${labels['step'] ?? 'nothing'}, the value of ${life}.${step}`)
    }
    for (const id of said?.keys() ?? []) if (!there.has(id)) faults.push(`${name.text} ${id} was acknowledged and is gone`)
  }
  for (const name of acknowledged.keys()) if (!items.some((item) => item.name.text === name)) faults.push(`${name} is gone`)
  const [finding] = await store.check('write', callOf(systemClock))
  if (finding?.ok !== true) faults.push(finding?.message ?? 'no finding')
  await store.close()
  return faults
}

/** One store that outlives many processes: each is killed after as many lines as `draw` says, and some time later. */
const killAgainAndAgain = async (lane: number, kills: number): Promise<{ readonly faults: readonly string[]; readonly acknowledged: number; readonly early: number }> => {
  const faults: string[] = []
  let [count, early] = [0, 0]
  let folder = ''
  let acknowledged = new Map<string, Map<string, string>>()
  for (let kill = 0; kill < kills; kill += 1) {
    if (kill % 5 === 0) [folder, acknowledged] = [await temporaryFolder(inMemory), new Map()]
    const child = start('kill', folder, `${lane}-${kill}`)
    const lines = [0, 1, 1, 2, 3, 5, 8, 13][(kill * 5 + lane) % 8] ?? 1
    for (let line = 0; line < lines; line += 1) await child.next()
    const delay = ((kill * 7919 + lane * 104_729) % 997) / 997
    await systemClock.sleep(lines === 0 ? 20 + delay * 60 : delay * 4)
    await child.kill()
    if (!child.said.includes('open')) early += 1
    for (const line of child.said) {
      const [, id, label, value] = /^written (\d+) (\S+) (\S+)$/.exec(line) ?? []
      if (id === undefined || label === undefined || value === undefined) continue
      acknowledged.set(`litellm/${label}`, (acknowledged.get(`litellm/${label}`) ?? new Map<string, string>()).set(id, value))
      count += 1
    }
    faults.push(...(await faultsAfterKill(folder, acknowledged)))
  }
  return { faults, acknowledged: count, early }
}

describe('a process that is killed', () => {
  it('loses no write that it acknowledged and leaves none half-written, 200 times', { timeout: 180_000 }, async ({ task }) => {
    const first = start('race', await temporaryFolder(inMemory), 'first')
    await first.next()
    await first.end()

    const lanes = await Promise.all([0, 1, 2, 3].map((lane) => killAgainAndAgain(lane, 50)))

    const acknowledged = lanes.reduce((sum, lane) => sum + lane.acknowledged, 0)
    const early = lanes.reduce((sum, lane) => sum + lane.early, 0)
    task.meta.report = `kills  200, acknowledged writes ${acknowledged}, killed before the store was open ${early}`

    expect(lanes.flatMap((lane) => lane.faults)).toEqual([])
    expect(acknowledged).toBeGreaterThan(200)
  })
})

// The long run: the small scope on the five shapes of memory (every case of one fault, and a spread of those with a crash beside it), then scenarios of
// events, then random schedules on every shape until the number asked for is reached, in two workers. `npm run sim:ci [-- --schedules N --states N --seed S --every N --crashes N --events N --random N]`: at least so many random ones. Prints a line a
// shape and a class, every failure with the script that replays it, and last by which rule it passed or failed: a violation fails it, and so do fewer schedules or states than were asked for.
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { hosts } from './events/event-world.ts'
import { classTotals, together, totals, type Tally } from './report.ts'
import { starts, type Script } from './schedule.ts'
import { exploredTotals, verbsFrom } from './small-scope.ts'
import { shapes, type Shape } from './shapes.ts'
import type { Done, Task } from './worker.ts'

const { values } = parseArgs({ options: { schedules: { type: 'string', default: '250000' }, states: { type: 'string', default: '500000' }, seed: { type: 'string', default: '20261121' }, every: { type: 'string', default: '1' }, crashes: { type: 'string', default: '100' }, events: { type: 'string', default: '3000' }, random: { type: 'string', default: '6000' }, workers: { type: 'string', default: '2' } } })
const workers = Array.from({ length: Number(values.workers) }, () => new Worker(new URL('./worker.ts', import.meta.url), { resourceLimits: { maxYoungGenerationSizeMb: 96 } }))

/** A task that could not be carried out: a failure of the simulator itself. */
interface Broken {
  readonly task: Task
  readonly error: string
  readonly script?: Script
}

/** Every task to the next free worker. */
const carryOut = async (tasks: readonly Task[]): Promise<readonly Done[]> => {
  const waiting = [...tasks]
  const done: Done[] = []
  await Promise.all(
    workers.map(async (worker) => {
      for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
        const answer = await new Promise<Done | Broken>((resolve) => {
          worker.once('message', resolve)
          worker.postMessage(task)
        })
        if ('error' in answer) throw new Error(`${JSON.stringify(answer.task)}: ${answer.error}\n${JSON.stringify(answer.script)}`)
        done.push(answer)
      }
    }),
  )
  return done
}

const of = (done: readonly Done[], shape: Shape): readonly Done[] => done.filter(({ task }) => task.shape === shape.name)
const began = performance.now()
const memory = shapes.filter(({ inMemory }) => inMemory)
/** Each so many-th case of one fault, and beside those each so many-th crash of the other operation; 0: none of those. */
const scope = { every: Number(values.every), crashes: Number(values.crashes) }
const explored = scope.every === 0 ? [] : await carryOut(memory.flatMap(({ name }) => starts.flatMap((start) => verbsFrom(start).map((first): Task => ({ kind: 'explore', shape: name, start, first, ...scope })))))
let states = 0
for (const shape of memory) {
  const own = of(explored, shape)
  const seen = together(own.map(({ tally }) => tally))
  const distinct = new Set(own.flatMap((each) => [...each.states]))
  const sum = (what: (done: Done) => number): number => own.reduce((all, each) => all + what(each), 0)
  states += distinct.size
  const violations = Object.values(seen.violations).reduce((all, times) => all + times, 0)
  console.log(exploredTotals(shape, { pairs: sum(({ pairs }) => pairs), schedules: seen.schedules, pruned: sum(({ pruned }) => pruned), met: sum(({ met }) => met), known: sum(({ known }) => known), states: distinct, violations }, seen.seconds))
}
const small = explored.reduce((all, { tally }) => all + tally.schedules, 0)
console.log(`exhaustive  together        schedules ${small}, states ${states}`)

const chunk = 500
const chunks = (kind: 'random' | 'events', shape: string, mine: number): readonly Task[] => Array.from({ length: Math.ceil(mine / chunk) }, (_, at): Task => ({ kind, shape, seed: values.seed, from: at * chunk, count: Math.min(chunk, mine - at * chunk) }))
const brought = await carryOut(hosts.flatMap(({ name }) => chunks('events', name, Math.ceil(Number(values.events) / hosts.length))))
for (const { name } of hosts) {
  const seen = together(brought.filter(({ task }) => task.shape === name).map(({ tally }) => tally))
  console.log(`events  ${name.padEnd(15)} scenarios ${seen.schedules}, deliveries ${seen.operations}, violations ${Object.values(seen.violations).reduce((all, times) => all + times, 0)}, ${seen.seconds.toFixed(1)} s`)
}
const events = brought.reduce((sum, { tally }) => sum + tally.schedules, 0)

const left = Math.max(Number(values.random), Number(values.schedules) - small - events)
/** Of the random schedules, so many are on the real providers over their fakes, where one takes up to twenty times as long as in memory. */
const realShare = 0.04
const rows = [memory, shapes.filter(({ inMemory }) => !inMemory)].flatMap((group, index) => {
  const mine = Math.ceil((left * (index === 0 ? 1 - realShare : realShare)) / group.length)
  return group.flatMap(({ name }) => chunks('random', name, mine))
})
const drawn = await carryOut(rows)
const all: { readonly shape: Shape; readonly seen: Tally }[] = shapes.map((shape) => ({ shape, seen: together(of(drawn, shape).map(({ tally }) => tally)) }))
for (const { shape, seen } of all) console.log(totals(shape, [values.seed], seen))
const ofClass = (guarantee: Shape['guarantee']): Tally => together(shapes.filter((shape) => shape.guarantee === guarantee).flatMap((shape) => of([...explored, ...drawn], shape).map(({ tally }) => tally)))
for (const guarantee of ['atomic', 'cooperating', 'detected'] as const) console.log(classTotals(guarantee, ofClass(guarantee)))

const failed = [...explored, ...brought, ...drawn].flatMap((done) => done.failed)
for (const { message, trace, script } of failed.slice(0, 20)) console.log(['', `${script.shape}: ${message}`, ...trace, JSON.stringify({ says: message, script })].join('\n'))
const schedules = small + events + drawn.reduce((sum, { tally }) => sum + tally.schedules, 0)
const violated = [...explored, ...brought, ...drawn].reduce((sum, { tally }) => sum + Object.values(tally.violations).reduce((more, times) => more + times, 0), 0)
console.log(`sim  all  schedules ${schedules}, states ${states} in the small scope, violations ${violated}, ${((performance.now() - began) / 60_000).toFixed(1)} minutes, ${[...explored, ...brought, ...drawn].reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0).toFixed(0)} s of CPU`)
await Promise.all(workers.map((worker) => worker.terminate()))
const tooFew = schedules < Number(values.schedules) || states < Number(values.states)
const failures = [...(violated === 0 ? [] : [`${violated} violations, and none is allowed`]), ...(tooFew ? [`${schedules} schedules and ${states} states, and ${values.schedules} and ${values.states} were asked for`] : [])]
console.log(failures.length === 0 ? 'sim:ci passed: no violation' : `sim:ci FAILED: ${failures.join('; ')}`)
process.exitCode = failures.length === 0 ? 0 : 1

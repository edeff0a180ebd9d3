// The simulator from the command line: `npm run sim -- --seed S --schedules N [--shape NAME] [--bug B-01] [--script FILE] [--adopts]`. The seed of a failing schedule is
// printed; given back with `--schedules 1` it runs again, and the smallest trace that still fails is shown, with the script to keep.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { bugs } from './planted/bugs.ts'
import { count, tally, totals } from './report.ts'
import { play, randomSchedule, shrink, type Outcome, type Script } from './schedule.ts'
import { shapes } from './shapes.ts'

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, schedules: { type: 'string', default: '1000' }, shape: { type: 'string' }, bug: { type: 'string' }, script: { type: 'string' }, keep: { type: 'string', default: '1' }, memory: { type: 'boolean', default: false }, 'write-only': { type: 'boolean', default: false }, adopts: { type: 'boolean', default: false } } })
const chosen = shapes.filter(({ name, inMemory }) => (values.shape === undefined || name === values.shape) && (!values.memory || inMemory))
const bug = bugs.find(({ id }) => id === values.bug)
const schedules = Number(values.schedules)
Error.stackTraceLimit = 4
let failed = false

const show = async (outcome: Outcome): Promise<void> => {
  failed = true
  const smallest = await shrink(outcome, bug)
  const { shape, seed } = outcome.script
  console.log([`${shape}: ${smallest.violation?.message ?? ''}`, ...smallest.trace, JSON.stringify(smallest.script), `again: npm run sim -- --seed ${seed} --schedules 1 --shape ${shape}${bug === undefined ? '' : ` --bug ${bug.id}`}`].join('\n'))
}

if (values.script !== undefined) {
  const outcome = await play(JSON.parse(readFileSync(values.script, 'utf8')) as Script, bug)
  if (outcome.violation !== undefined) await show(outcome)
} else {
  for (const shape of chosen) {
    const began = performance.now()
    const seen = tally()
    const shown = new Map<string, number>()
    for (let index = 0; index < schedules; index += 1) {
      const seed = schedules === 1 ? values.seed : `${values.seed}.${index}`
      const outcome = await randomSchedule({ shape, seed, writeOnly: values['write-only'], adopts: values.adopts, ...(bug === undefined ? {} : { bug }) })
      count(seen, outcome)
      const { violation } = outcome
      if (violation === undefined) continue
      failed = true
      const times = (shown.get(violation.invariant) ?? 0) + 1
      shown.set(violation.invariant, times)
      if (times <= Number(values.keep)) await show(outcome)
    }
    seen.seconds = (performance.now() - began) / 1000
    console.log(totals(shape, [values.seed], seen))
  }
}
process.exitCode = failed ? 1 : 0

// The simulator from the command line: `npm run sim -- --seed S --schedules N [--shape NAME] [--bug B-01] [--small]`. The seed of a failing schedule is
// printed; given back with `--schedules 1` it runs again, and the smallest trace that still fails is shown.
import { parseArgs } from 'node:util'
import { bugs } from './bugs.ts'
import { randomSchedule, shrink } from './schedule.ts'
import { shapes } from './shapes.ts'
import { smallScope, tally, totals } from './report.ts'

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, schedules: { type: 'string', default: '1000' }, shape: { type: 'string' }, bug: { type: 'string' }, small: { type: 'boolean', default: false } } })
const chosen = shapes.filter(({ name }) => values.shape === undefined || name === values.shape)
const bug = bugs.find(({ id }) => id === values.bug)
const count = Number(values.schedules)
let failed = false

for (const shape of chosen) {
  const began = performance.now()
  const seen = tally()
  for (let index = 0; index < count; index += 1) {
    const seed = count === 1 ? values.seed : `${values.seed}.${index}`
    const schedule = { shape, seed, ...(bug === undefined ? {} : { bug }) }
    const outcome = await randomSchedule(schedule)
    seen.add(outcome)
    if (outcome.violation === undefined) continue
    failed = true
    const smallest = await shrink(schedule, outcome)
    console.log([`${shape.name}: ${smallest.violation?.message ?? ''}`, ...smallest.trace, `again: npm run sim -- --seed ${seed} --schedules 1 --shape ${shape.name}${bug === undefined ? '' : ` --bug ${bug.id}`}`].join('\n'))
    break
  }
  if (values.small) for (const outcome of await smallScope(shape)) seen.add(outcome)
  console.log(totals(shape, [values.seed], seen, (performance.now() - began) / 1000))
}
process.exitCode = failed ? 1 : 0

// The key engine in the small scope: every pair of operations, every call of the first, every one fault. By default every seventh case; SIM_SCHEDULES of
// 2000 or more runs them all.
import { describe, expect, it } from 'vitest'
import { smallScope } from './report.ts'
import { overtaken } from './schedule.ts'
import { shapes } from './shapes.ts'

const every = Number(process.env['SIM_SCHEDULES'] ?? 0) >= 2000 ? 1 : 7
Error.stackTraceLimit = 4

describe.each(shapes)('keys on $name', (shape) => {
  it('survive any one fault or pause of one operation beside another', { timeout: 300_000 }, async () => {
    const outcomes = await smallScope(shape, every === 1 ? 1 : every * shape.effort)

    expect(outcomes.map(({ violation, trace }) => violation === undefined ? '' : [violation.message, ...trace].join('\n')).filter((text) => text !== '')).toEqual([])
    expect(outcomes.length).toBeGreaterThan(80)
  })

  it('are left alone by a rotation that stood still while their alias got a new key', async () => {
    const outcomes = await Promise.all(Array.from({ length: 16 }, (_, pause) => overtaken(shape, pause + 1)))

    expect(outcomes.map(({ violation }) => violation?.message).filter((message) => message !== undefined)).toEqual([])
  })
})

// Events on every class of store and on AWS's own code: duplicates, other orders, lost answers, processes that die, two instances at once, and everything again after days.
import { describe, expect, it } from 'vitest'
import { eventScenario, eventKinds, type EventOutcome } from './scenarios.ts'
import { hosts } from './event-world.ts'

const scenarios = Math.ceil(Number(process.env['SIM_SCHEDULES'] ?? 300) / 5)
Error.stackTraceLimit = 4

const failures = (outcomes: readonly EventOutcome[]): string => outcomes.flatMap(({ violation, host, seed, trace }) => (violation === undefined ? [] : [[`${host} ${seed}: ${violation.message}`, ...trace].join('\n')]))[0] ?? ''

describe.each(hosts)('a key that is rotated by events on $name', (host) => {
  it('has one live token, and one rotation for each need, however its events come', { timeout: 300_000 }, async () => {
    const outcomes: EventOutcome[] = []

    for (let index = 0; index < scenarios; index += 1) outcomes.push(await eventScenario(host, `events.${index}`))

    const kinds = new Set(outcomes.flatMap((outcome) => outcome.kinds))
    console.log(`events  ${host.name.padEnd(15)} scenarios ${outcomes.length}, deliveries ${outcomes.reduce((sum, { deliveries }) => sum + deliveries, 0)}, rotations ${outcomes.reduce((sum, { rotations }) => sum + rotations, 0)}`)
    expect(failures(outcomes)).toBe('')
    expect([...kinds].toSorted()).toEqual(eventKinds.filter((kind) => host.name === 'aws' || kind === 'event' || kind === 'due').toSorted())
    expect(outcomes.reduce((sum, { deliveries }) => sum + deliveries, 0)).toBeGreaterThan(4 * outcomes.length)
  })

  it('runs the same way for the same seed', async () => {
    const runs = [await eventScenario(host, 'same'), await eventScenario(host, 'same')]

    expect(runs[0]?.trace).toEqual(runs[1]?.trace)
    expect(runs[0]?.trace.length).toBeGreaterThan(10)
  })
})

import { describe, expect, it } from 'vitest'
import { createLog } from '../../shared/telemetry/log.ts'
import { ManualClock } from '../support/runtime.ts'

const open = (options: { level?: 'debug' | 'info' | 'warn' | 'error'; base?: Record<string, string> } = {}) => {
  const lines: string[] = []
  return { lines, log: createLog({ clock: new ManualClock(1_000), write: (line) => void lines.push(line), ...options }) }
}

describe('the log', () => {
  it('writes one JSON line under pino\'s names', () => {
    const { log, lines } = open({ base: { service: 'latchkey' } })

    log.log('warn', 'it is late', { request_id: 'r-1', count: 2, left_out: undefined })

    expect(lines).toEqual(['{"level":40,"time":1000,"msg":"it is late","request_id":"r-1","count":2,"service":"latchkey"}'])
  })

  it('keeps a line a line, whatever stands in it', () => {
    const { log, lines } = open()

    log.log('error', 'one\ntwo', { name: 'a\r\nb\u0000' })

    expect(lines[0]).not.toMatch(/[\n\r\u0000]/)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ msg: 'one\ntwo', name: 'a\r\nb\u0000' })
  })

  it('lets no field take the place of level, time or message', () => {
    const { log, lines } = open({ base: { msg: 'base' } })

    log.log('info', 'true', { level: 60, time: 0, msg: 'false' })

    expect(JSON.parse(lines[0] ?? '')).toEqual({ level: 30, time: 1000, msg: 'true' })
  })

  it.each([['info', ['info', 'warn', 'error']], ['error', ['error']], ['debug', ['debug', 'info', 'warn', 'error']]] as const)('at %s writes %j', (level, expected) => {
    const { log, lines } = open({ level })

    for (const each of ['debug', 'info', 'warn', 'error'] as const) log.log(each, each)

    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(expected)
  })

  it('fails no request when a line cannot be written', () => {
    const log = createLog({ clock: new ManualClock(), write: () => { throw new Error('full') } })

    const write = (): void => log.log('error', 'lost')

    expect(write).not.toThrow()
  })
})

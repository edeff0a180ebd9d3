import { describe, expect, it } from 'vitest'
import type { AuditEvent } from '../../shared/core/runtime.ts'
import { createAudit, verifyAudit } from '../../shared/telemetry/audit.ts'
import { ManualClock, SeededRandom } from '../support/runtime.ts'

const key = Buffer.alloc(32, 7)
const event = (name: string): AuditEvent => ({ action: 'secrets:read', decision: 'allowed', caller: 'app', requestId: 'r-1', store: 'default', name })

const trail = async (count: number, given: { key?: Uint8Array; seed?: string } = {}): Promise<string[]> => {
  const lines: string[] = []
  const audit = createAudit({ clock: new ManualClock(), random: new SeededRandom(given.seed), write: (line) => void lines.push(line), ...(given.key === undefined ? {} : { key: given.key }) })
  for (let index = 1; index <= count; index += 1) await audit.record(event(`name-${index}`))
  return lines
}

describe('the trail', () => {
  it('announces itself once, then writes one line a decision with its number', async () => {
    const lines = await trail(2, { key })

    const read = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(read.map((line) => [line['msg'], line['seq'], line['name']])).toEqual([['audit chain begins', 0, undefined], ['audit', 1, 'name-1'], ['audit', 2, 'name-2']])
    expect(read[1]).toMatchObject({ level: 30, action: 'secrets:read', decision: 'allowed', caller: 'app', request_id: 'r-1', store: 'default' })
    expect(lines.join('')).not.toContain(key.toString('hex'))
  })

  it('has written its line before the receipt is there', async () => {
    const lines: string[] = []
    const audit = createAudit({ clock: new ManualClock(), random: new SeededRandom(), write: (line) => void lines.push(line) })

    const pending = audit.record(event('a'))
    const written = lines.length
    const receipt = await pending

    expect([written, receipt.sequence]).toEqual([2, 1])
  })

  it('writes nothing that is not on its list', async () => {
    const lines: string[] = []
    const audit = createAudit({ clock: new ManualClock(), random: new SeededRandom(), write: (line) => void lines.push(line) })

    await audit.record({ ...event('a'), value: 'must not stand here' } as AuditEvent)

    expect(lines.join('')).not.toContain('must not stand here')
  })

  it('refuses when a line cannot be written, and goes on with the same number afterwards', async () => {
    const lines: string[] = []
    let full = false
    const audit = createAudit({ clock: new ManualClock(), random: new SeededRandom(), key, write: (line) => { if (full) throw new Error('disk full at /var/secret') ; lines.push(line) } })
    await audit.record(event('a'))
    full = true
    const refused = audit.record(event('b'))
    await expect(refused).rejects.toMatchObject({ code: 'audit_unavailable', message: expect.not.stringContaining('/var') as string })
    full = false

    const receipt = await audit.record(event('c'))

    expect(receipt.sequence).toBe(2)
    expect(verifyAudit(lines, key)).toMatchObject({ ok: true, lines: 3, problems: [] })
  })

  it('takes no short key', () => {
    const start = (): unknown => createAudit({ clock: new ManualClock(), random: new SeededRandom(), write: () => undefined, key: Buffer.alloc(31) })

    expect(start).toThrow(/32 bytes/)
  })
})

describe('the verifier', () => {
  it('finds a whole chain sound and says what it cannot know', async () => {
    const lines = await trail(3, { key })

    const verdict = verifyAudit(['{"level":30,"msg":"started"}', ...lines, 'plain text'], key)

    expect(verdict).toMatchObject({ ok: true, lines: 4, problems: [] })
    expect(verdict.unknown).toEqual([expect.stringMatching(/after number 3 were cut off/)])
  })

  it('verifies an announced key too, and says what that is worth', async () => {
    const verdict = verifyAudit(await trail(2))

    expect(verdict).toMatchObject({ ok: true, lines: 3 })
    expect(verdict.unknown).toEqual([expect.stringMatching(/cut off/), expect.stringMatching(/rewrote it as a whole/)])
  })

  it('keeps the chains of several processes apart', async () => {
    const [one, two] = [await trail(2, { key, seed: 'one' }), await trail(2, { key, seed: 'two' })]

    const verdict = verifyAudit([one[0], two[0], two[1], one[1], one[2], two[2]].map((line) => line ?? ''), key)

    expect(verdict).toMatchObject({ ok: true, lines: 6 })
  })

  it.each([
    ['a changed name', (lines: string[]) => lines.with(2, (lines[2] ?? '').replace('name-2', 'name-9')), /line 3: number 2 .* was changed/],
    ['a changed decision', (lines: string[]) => lines.with(1, (lines[1] ?? '').replace('allowed', 'denied')), /line 2: number 1 .* was changed/],
    ['a missing line', (lines: string[]) => lines.toSpliced(2, 1), /line 3: .* goes from 1 to 3; 1 missing/],
    ['two lines in the other order', (lines: string[]) => [lines[0], lines[2], lines[1], lines[3]], /again|missing/],
    ['a line twice', (lines: string[]) => lines.toSpliced(2, 0, lines[1] ?? ''), /line 3: .* number 1 again/],
    ['a cut line', (lines: string[]) => lines.with(2, (lines[2] ?? '').slice(0, 80)), /line 3: is an audit line that cannot be read/],
    ['a missing beginning', (lines: string[]) => lines.slice(1), /no first line here/],
    ['a changed first line', (lines: string[]) => lines.with(0, (lines[0] ?? '').replace('"level":30', '"level":31')), /line 1: number 0 .* was changed/],
    ['a forged line', (lines: string[]) => lines.with(3, (lines[3] ?? '').replace(/"mac":"[0-9a-f]{64}"/, `"mac":"${'0'.repeat(64)}"`)), /line 4: number 3 .* was changed/],
  ])('shows %s', async (_what, change, problem) => {
    const lines = await trail(3, { key })

    const verdict = verifyAudit(change(lines).map((line) => line ?? ''), key)

    expect(verdict.ok).toBe(false)
    expect(verdict.problems.join('\n')).toMatch(problem)
  })

  it('does not take another key', async () => {
    const verdict = verifyAudit(await trail(1, { key }), Buffer.alloc(32, 8))

    expect(verdict).toMatchObject({ ok: false, lines: 0 })
  })

  it('cannot see a cut end, and says so instead of calling it whole', async () => {
    const lines = await trail(5, { key })

    const verdict = verifyAudit(lines.slice(0, 3), key)

    expect(verdict.ok).toBe(true)
    expect(verdict.unknown.join()).toContain('after number 2 were cut off')
  })
})

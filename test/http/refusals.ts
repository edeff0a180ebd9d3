// One table for every kind of bad input: what is sent, how it is answered, and what the answer says. After each one the stores hold what they held before.
import { expect, it } from 'vitest'
import { open, type OpenOptions, type Sent } from './harness.ts'

/** Title, request, what goes with it, status, code, and texts that stand in the answer: the field, the limit, the fix. */
export type Refusal = readonly [title: string, line: string, sent: Sent, status: number, code: string, says: readonly string[]]

/** What every table starts from: our secret, a foreign one, bytes, JSON, and one virtual key. */
export const furnished = async (options: OpenOptions = {}) => {
  const opened = await open(options)
  await opened.seed('OPENAI_API_KEY', 'sk-live-value-of-openai')
  await opened.seed('foreign', 'somebody-elses-value', {})
  await opened.seed('bytes', Uint8Array.of(0xff, 0xfe, 0x00))
  await opened.seed('settings', '{"user":"ada","toString":1}')
  await opened.send('POST /key/generate', { body: { key_alias: 'taken', team_id: 'payments' } })
  opened.runtime.audited.length = 0
  return opened
}

/** Runs a table; each row is a test of its own. */
export const refuses = (rows: readonly Refusal[], options: OpenOptions = {}): void => {
  it.each(rows)('refuses %s', async (_title, line, sent, status, code, says) => {
    const { send, held, runtime } = await furnished(options)
    const before = await held()

    const got = await send(line, sent)

    const problem = got.json['code'] === undefined ? got.json.error : got.json
    expect({ status: got.status, code: problem['code'] === code || problem['type'] === code }, got.body).toEqual({ status, code: true })
    for (const text of says) expect(got.body).toContain(text)
    expect(problem).toMatchObject({ hint: expect.stringMatching(/\w{3}/) as string, request_id: expect.stringMatching(/\w/) as string })
    expect(await held()).toBe(before)
    expect(runtime.audited.length).toBeLessThanOrEqual(1)
  })
}

// A process of its own that works on an embedded store and says each step on stdout; the tests start several of it, and kill it.
// `kill` writes, thirty times at most, and waits to be killed; `race` writes whenever a line on stdin tells it to, and ends with it.
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { WriteRequest } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { openEmbedded } from '../../shared/providers/embedded.ts'
import { nodeFiles, processEnv, systemClock, systemRandom } from '../../shared/telemetry/node-runtime.ts'
import { noHttp } from '../support/runtime.ts'

const [, , order = '', folder = '', id = ''] = process.argv
const say = (line: string): void => void writeSync(1, `${line}\n`)

const io = { clock: systemClock, random: systemRandom, env: processEnv, files: nodeFiles, http: noHttp }
const store = await openEmbedded({ path: folder, recovery_window_days: 7, lock_wait_ms: 10_000 }, io)
say('open')

const write = async (label: string, value: string, more: Partial<WriteRequest>): Promise<string> => {
  const name = createdName(`litellm/${label}`)
  const call = { signal: new AbortController().signal, deadline: systemClock.now() + 20_000 }
  try {
    const written = await store.write?.({ name, value: SecretValue.of(value), expect: 'any', operation: `${label}-${value.slice(0, 40)}`, stage: 'current', ...more }, call)
    return written?.outcome === 'written' ? `written ${written.version?.id ?? ''}` : 'same_operation'
  } catch (error) {
    return error instanceof LatchkeyError ? error.code : 'crashed'
  }
}

if (order === 'kill') {
  for (let step = 0; step < 30; step += 1) {
    const label = `s-${step % 3}`
    const value = `${id}.${step}.${'x'.repeat((step * 997) % 9000)}`
    say(`${await write(label, value, { labels: { step: `${id}.${step}` }, ...(step % 7 === 6 && { stage: 'pending' }) })} ${label} ${id}.${step}`)
  }
  process.stdin.resume()
}

if (order === 'race') {
  for await (const line of createInterface({ input: process.stdin })) {
    const [label = '', expect = 'absent'] = line.split(' ')
    say(await write(label, `${id} of ${label}`, { expect: expect === 'absent' ? expect : { version: expect } }))
  }
  await store.close?.()
}

// Stands in every test file: everything the file prints is scanned for canaries when it ends, and a hit fails the file.
import { afterAll } from 'vitest'
import { canariesIn } from './canary.ts'

const printed: string[] = []

type Write = (this: unknown, chunk: unknown, ...rest: unknown[]) => boolean

const listen = (stream: unknown): void => {
  if (stream === null || typeof stream !== 'object') return
  const owner = stream as { write: Write }
  const write = owner.write
  owner.write = function listened(chunk, ...rest) {
    printed.push(typeof chunk === 'string' ? chunk : Buffer.from(chunk as Uint8Array).toString('latin1'))
    return write.call(this, chunk, ...rest)
  }
}

const console_ = console as unknown as { _stdout?: unknown; _stderr?: unknown }
for (const stream of new Set([process.stdout, process.stderr, console_._stdout, console_._stderr])) listen(stream)

afterAll(() => {
  const [hit] = canariesIn(printed.splice(0).join(''))
  if (hit !== undefined) throw new Error(`The output of this file holds the canary "${hit.label}", as ${hit.as}.`)
})

// The one type that carries a value: every way in which things get printed, cloned or sent shows nothing, and comparing says nothing but yes or no.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { Console } from 'node:console'
import crypto from 'node:crypto'
import { EventEmitter } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import { PassThrough } from 'node:stream'
import { format, formatWithOptions, inspect, promisify } from 'node:util'
import { serialize } from 'node:v8'
import { MessageChannel, Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { canariesIn, canary } from '../support/canary.ts'

const text = canary('a value that is printed')
const value = SecretValue.of(text)
const everything = { depth: Infinity, showHidden: true, getters: true, showProxy: true, maxArrayLength: null, maxStringLength: null } as const

const printedBy = (print: (console: Console) => void): string => {
  const stream = new PassThrough()
  print(new Console({ stdout: stream, stderr: stream }))
  return String(stream.read() ?? '')
}

const received = async (send: (channel: MessageChannel) => void): Promise<string> => {
  const channel = new MessageChannel()
  const message = new Promise((resolve) => channel.port2.once('message', resolve))
  send(channel)
  const seen = inspect(await message, everything)
  channel.port1.close()
  return seen
}

const thrown = (act: () => unknown): unknown => {
  try {
    return act()
  } catch (error) {
    return error
  }
}

/** Every way out that is no `reveal()` and no `bytes()`. */
const waysOut: readonly (readonly [string, () => unknown])[] = [
  ['String()', () => String(value)],
  ['toString()', () => value.toString()],
  ['a template', () => `${value}`],
  ['joining with +', () => '' + value],
  ['joining an array', () => [value, value].join()],
  ['toLocaleString()', () => value.toLocaleString()],
  ['a number', () => String(Number(value))],
  ['JSON', () => JSON.stringify(value)],
  ['JSON, deep', () => JSON.stringify({ a: [{ b: value }] }, null, 2)],
  ['JSON with a replacer that looks at everything', () => JSON.stringify({ value }, (_, item: unknown) => (item instanceof SecretValue ? { ...item } : item))],
  ['inspect', () => inspect(value)],
  ['inspect with hidden properties', () => inspect(value, everything)],
  ['inspect with hidden properties and without custom inspection', () => inspect(value, { ...everything, customInspect: false })],
  ['inspect, deep', () => inspect({ a: { b: { c: { d: { e: [value, new Map([[value, value]]), new Set([value])] } } } } }, everything)],
  ['inspect, deep, without custom inspection', () => inspect([[[[[[value]]]]]], { ...everything, customInspect: false })],
  ['inspect of its class', () => inspect(SecretValue, everything)],
  ['inspect of its prototype chain', () => inspect(Object.getPrototypeOf(value), { ...everything, customInspect: false })],
  ['util.format %s', () => format('%s', value)],
  ['util.format %o %O %j %d %i %f %c', () => format('%o %O %j %d %i %f %c', value, value, value, value, value, value, value)],
  ['formatWithOptions', () => formatWithOptions(everything, 'value', value, { value })],
  ['console.log', () => printedBy((console) => console.log('value', value, { value }, [value]))],
  ['console.error', () => printedBy((console) => console.error(value))],
  ['console.dir', () => printedBy((console) => console.dir({ value }, everything))],
  ['console.table', () => printedBy((console) => console.table([{ value }]))],
  ['console.trace', () => printedBy((console) => console.trace(value))],
  ['console.group', () => printedBy((console) => console.group(value))],
  ['console.assert', () => printedBy((console) => console.assert(false, value as unknown as string))],
  ['the message of an error', () => inspect(new Error(`failed with ${value}`), everything)],
  ['the cause of an error', () => inspect(new Error('failed', { cause: value }), everything)],
  ['the cause of a cause', () => inspect(new AggregateError([new Error('x', { cause: { value } })], 'failed'), everything)],
  ['a thrown value', () => inspect(thrown(() => { throw value }), everything)],
  ['a failure of ours', () => inspect(Object.assign(new LatchkeyError('internal', `${value}`), { value }), everything)],
  ['the TypeError of calling it', () => inspect(thrown(() => (value as unknown as () => void)()), everything)],
  ['the TypeError of a wrong receiver', () => inspect(thrown(() => SecretValue.prototype.reveal.call({ value })), everything)],
  ['an unhandled "error" event', () => inspect(thrown(() => new EventEmitter().emit('error', value)), everything)],
  ['an assertion that fails', () => inspect(thrown(() => assert.deepEqual({ value }, { value: 'x' })), { ...everything, customInspect: false })],
  ['an expectation that fails', () => String(thrown(() => expect({ value }).toEqual({ value: 'x' })))],
  ['Object.keys', () => Object.keys(value)],
  ['Object.entries', () => inspect(Object.entries(value))],
  ['Reflect.ownKeys', () => inspect(Reflect.ownKeys(value))],
  ['for … in', () => { const seen = []; for (const key in value) seen.push(key); return seen }],
  ['property descriptors', () => inspect(Object.getOwnPropertyDescriptors(value), everything)],
  ['spreading', () => inspect({ ...value }, everything)],
  ['Object.assign', () => inspect(Object.assign({}, value), everything)],
  ['structuredClone', () => inspect(structuredClone({ value }), everything)],
  ['v8 serialisation', () => serialize({ value }).toString('latin1')],
  ['a proxy around it', () => inspect(new Proxy(value, {}), everything)],
  ['an object that inherits from it', () => inspect(Object.create(value), { ...everything, customInspect: false })],
  ['Symbol.toPrimitive with every hint', () => ['string', 'number', 'default'].map((hint) => (value as unknown as Record<symbol, (hint: string) => unknown>)[Symbol.toPrimitive]?.(hint))],
  ['a URL', () => inspect(thrown(() => new URL(`${value}`)), everything)],
  ['URLSearchParams', () => new URLSearchParams({ value: value as unknown as string }).toString()],
  ['encodeURIComponent', () => encodeURIComponent(value as unknown as string)],
  ['Buffer.from', () => inspect(thrown(() => Buffer.from(value as unknown as string)), everything) + String(thrown(() => Buffer.from(value as unknown as string)))],
  ['an environment variable', () => inspect({ ...thrown(() => new Map([['X', `${value}`]])) as object })],
]

describe('a secret value', () => {
  it.each(waysOut)('shows nothing through %s', (_, out) => {
    const shown = out()

    expect(canariesIn(`${String(shown)} ${inspect(shown, everything)}`)).toEqual([])
  })

  it('prints as [secret] where something is printed', () => {
    const printed = [String(value), `${value}`, JSON.stringify(value), inspect(value), inspect([[[[value]]]], { depth: Infinity }), format('%s', value)]

    expect(printed.map((one) => one.replaceAll(/\W/g, ''))).toEqual(printed.map(() => 'secret'))
  })

  it('arrives empty at the other end of a message channel', async () => {
    const seen = await received(({ port1 }) => port1.postMessage({ value, list: [value] }))

    expect(canariesIn(seen)).toEqual([])
    expect(seen).toContain('value: {}')
  })

  it('arrives empty in a worker', async () => {
    const worker = new Worker('const { parentPort, workerData } = require("node:worker_threads"); parentPort.postMessage(require("node:util").inspect(workerData, { depth: Infinity, showHidden: true }))', { eval: true, workerData: { value } })

    const seen = await new Promise<string>((resolve, reject) => worker.once('message', resolve).once('error', reject))
    await worker.terminate()

    expect(canariesIn(seen)).toEqual([])
  })

  it('does not stand in what Node prints when it is thrown and nobody catches it', async () => {
    const program = `import { SecretValue } from './shared/core/secret.ts'; const value = SecretValue.of(process.env.CANARY ?? ''); delete process.env.CANARY; throw Object.assign(new Error(\`failed with \${value}\`, { cause: value }), { value })`

    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module-typescript', '-e', program], { env: { CANARY: text } }).catch((error: { stdout: string; stderr: string }) => error)

    expect(stderr).toContain('failed with [secret]')
    expect(canariesIn(stdout + stderr)).toEqual([])
  })

  it('gives its text and its bytes only to who asks for them by name', () => {
    expect(value.reveal()).toBe(text)
    expect(value.bytes().toString()).toBe(text)
  })

  it('cannot be changed: not itself, not through the bytes it was made of, not through the bytes it gave', () => {
    const bytes = Buffer.from('original')
    const made = SecretValue.ofBytes(bytes)
    bytes.fill(0)
    made.bytes().fill(0)

    expect(made.reveal()).toBe('original')
    expect(Object.isFrozen(made)).toBe(true)
    expect(() => Object.assign(made, { text })).toThrow(TypeError)
  })

  it('keeps every text exactly', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (given) => void expect(SecretValue.of(given).reveal()).toBe(given)))
  })

  it('keeps a byte order mark and says how many bytes there are', () => {
    expect(SecretValue.of('\uFEFFx').reveal()).toBe('\uFEFFx')
    expect(SecretValue.of('é😀').byteLength).toBe(6)
  })

  it('keeps every byte exactly, and says which are no text', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (given) => {
        const made = SecretValue.ofBytes(given)

        expect(made.bytes().equals(given)).toBe(true)
        expect(made.isText).toBe(Buffer.from(given).toString('utf8') !== '' || given.length === 0 ? Buffer.from(Buffer.from(given).toString('utf8'), 'utf8').equals(given) : false)
      }),
    )
  })

  it('refuses text that has no UTF-8 form, without showing it', () => {
    const error = thrown(() => SecretValue.of(`${text}\uD800`))

    expect(error).toBeInstanceOf(TypeError)
    expect(canariesIn(inspect(error, everything))).toEqual([])
  })

  it('refuses to reveal bytes that are no text, without showing them', () => {
    const error = thrown(() => SecretValue.ofBytes(Buffer.concat([Buffer.from(text), Buffer.from([0xff])])).reveal())

    expect(error).toBeInstanceOf(TypeError)
    expect(canariesIn(inspect(error, everything))).toEqual([])
  })
})

describe('comparing secret values', () => {
  it('says whether the bytes are the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), (one, two) => {
        expect(SecretValue.ofBytes(one).equals(SecretValue.ofBytes(two))).toBe(Buffer.from(one).equals(two))
        expect(SecretValue.ofBytes(one).equals(SecretValue.ofBytes(Uint8Array.from(one)))).toBe(true)
      }),
    )
  })

  it.each([
    ['', 'x'],
    ['x', ''],
    ['short', 'a much longer value than the other one'],
    ['same length A', 'same length B'],
    ['prefix', 'prefix and more'],
    ['nul', 'nul\0'],
  ])('answers no, and never throws, for %j and %j', (one, two) => {
    expect(SecretValue.of(one).equals(SecretValue.of(two))).toBe(false)
  })

  it('compares two digests of one length, in constant time, whatever the lengths of the values', () => {
    const seen: number[][] = []
    const real = crypto.timingSafeEqual
    crypto.timingSafeEqual = (one, two) => {
      seen.push([one.byteLength, two.byteLength])
      return real(one, two)
    }
    syncBuiltinESMExports()

    const answers = ['', 'x', 'y', 'x'.repeat(100_000)].map((other) => SecretValue.of('x').equals(SecretValue.of(other)))
    crypto.timingSafeEqual = real
    syncBuiltinESMExports()

    expect(answers).toEqual([false, true, false, false])
    expect(seen).toEqual([[32, 32], [32, 32], [32, 32], [32, 32]])
  })
})

describe('a boolean of a value', () => {
  it.each([['true', true], [' TRUE\n', true], ['False', false], ['1', undefined], ['yes', undefined], ['', undefined], ['"true"', undefined]])('is for %j: %s', (given, meant) => {
    expect(SecretValue.of(given).asBoolean()).toBe(meant)
  })

  it('is none for bytes that are no text', () => {
    expect(SecretValue.ofBytes(Uint8Array.of(0xff)).asBoolean()).toBeUndefined()
  })
})

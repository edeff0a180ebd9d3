// The guards themselves: each must fail what it is there for. A child run shows the whole way, the functions show the edges.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import dns from 'node:dns'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { canariesIn, canary, watch } from './canary.ts'
import { foreignTarget, guardLoopback, isLoopback } from './loopback-guard.ts'
import { tooOld } from './require-node.ts'

const runFixtures = (): Promise<{ code: number | null; output: string }> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/fixtures/guards/vitest.config.ts', '--no-color'], { env: { PATH: process.env['PATH'] } })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.on('close', (code) => resolve({ code, output: output.replace(/[A-Za-z0-9+/=]{40,}/g, '…') }))
  })

describe('the guards of the test run', () => {
  it('fail a test that reaches out and a file that prints a canary', async () => {
    const { code, output } = await runFixtures()

    expect(code).toBe(1)
    expect(output).toContain('this one tried to reach 192.0.2.1:443')
    expect(output).toContain('this one tried to reach 192.0.2.2:80')
    expect(output).toContain('holds the canary "talkative", as base64')
    expect(output).toMatch(/FAIL {2}abroad\.fixture\.ts > reaches out and says nothing/)
  })
})

describe('the loopback guard', () => {
  it.each(['127.0.0.1', '127.9.8.7', 'localhost', '::1', '[::1]', '::ffff:127.0.0.1'])('lets %s through', (host) => {
    expect(isLoopback(host)).toBe(true)
  })

  it.each(['0.0.0.0', '10.0.0.1', '169.254.169.254', '127.0.0.1.example.com', 'localhost.example.com', '1270.0.0.1', '::', 'fd00::1', 'secretsmanager.eu-west-1.amazonaws.com'])('refuses %s', (host) => {
    expect(isLoopback(host)).toBe(false)
  })

  it('reads the target from every form of connect', () => {
    expect(foreignTarget([{ host: 'example.com', port: 443 }])).toBe('example.com:443')
    expect(foreignTarget([443, 'example.com'])).toBe('example.com:443')
    expect(foreignTarget([[{ host: 'example.com', port: '80' }, undefined]])).toBe('example.com:80')
    expect(foreignTarget([{ path: '/run/socket' }])).toBeUndefined()
    expect(foreignTarget(['/run/socket'])).toBeUndefined()
    expect(foreignTarget([8080])).toBeUndefined()
    expect(foreignTarget([{ port: 8080 }])).toBeUndefined()
  })

  it('refuses name look-ups, remembers them, and can be undone', async () => {
    const tried: string[] = []
    const before = { lookup: dns.lookup, connect: net.Socket.prototype.connect }
    const undo = guardLoopback((target) => void tried.push(target))

    const answer = await dns.promises.lookup('example.com').catch((error: Error) => error.message)
    const error = await new Promise<Error | null>((resolve) => dns.resolve4('example.com', resolve))
    undo()

    expect(answer).toContain('example.com by name look-up')
    expect(error?.message).toContain('Only loopback')
    expect(tried).toEqual(['example.com by name look-up', 'example.com by name look-up'])
    expect({ lookup: dns.lookup, connect: net.Socket.prototype.connect }).toEqual(before)
  })
})

describe('the canary guard', () => {
  const value = canary('Grüße?> "x"')

  it.each([
    ['raw', (text: string) => text],
    ['base64', (text: string) => Buffer.from(text).toString('base64')],
    ['base64', (text: string) => Buffer.from(`a${text}zz`).toString('base64')],
    ['base64', (text: string) => Buffer.from(`ab${text}z`).toString('base64')],
    ['base64url', (text: string) => Buffer.from(`ab${text}z`).toString('base64url')],
    ['hex', (text: string) => Buffer.from(text).toString('hex')],
    ['hex', (text: string) => Buffer.from(text).toString('hex').toUpperCase()],
    ['url', (text: string) => encodeURIComponent(text)],
    ['json', (text: string) => JSON.stringify({ nested: text })],
    ['reversed', (text: string) => [...text].reverse().join('')],
    ['first 8 characters', (text: string) => `${text.slice(0, 8)}…`],
    ['last 8 characters', (text: string) => `…${text.slice(-8)}`],
    ['sha256', (text: string) => createHash('sha256').update(text).digest('hex')],
    ['sha256', (text: string) => createHash('sha256').update(text).digest('base64url')],
    ['url', (text: string) => Buffer.from(text).toString('hex').toUpperCase().replaceAll(/../g, '%$&')],
    ['json', (text: string) => [...text].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')],
    ['utf-16', (text: string) => Buffer.from(`x${text}x`, 'utf16le').toString('latin1')],
    ['bytes', (text: string) => JSON.stringify([...Buffer.from(text)])],
    ['gzip of raw', (text: string) => gzipSync(`a batch of log lines, ${text}`).toString('base64')],
    ['gzip of json', (text: string) => gzipSync(JSON.stringify({ line: text })).toString('latin1')],
    ['gzip of base64', (text: string) => gzipSync(Buffer.from(text).toString('base64')).toString('hex')],
    ['gzip of raw', (text: string) => gzipSync(`${text} and much more that is cut off`.repeat(3)).subarray(0, -9).toString('latin1')],
  ])('finds a value written as %s', (as, write) => {
    expect(canariesIn(`before ${write(value)} after`)).toContainEqual({ label: 'Grüße?> "x"', as })
  })

  it('finds nothing in ordinary text', () => {
    expect(canariesIn('an ordinary line, 0123456789 abcdef, [secret]')).toEqual([])
    expect(canariesIn(`${gzipSync('an ordinary line').toString('base64')} H4sIbroken 1f8b08ff`)).toEqual([])
  })

  it('refuses a canary that is too short to be told from other text', () => {
    expect(() => watch('short', 'abc')).toThrow('too short')
  })
})

describe('the Node guard', () => {
  it('says in one sentence what is missing on an old Node, and nothing on a new one', () => {
    expect(tooOld('22.14.0')).toMatch(/^The tests need Node 24 .* Node 22\.14\.0.*npm test.*\.$/)
    expect(tooOld('24.0.0')).toBeUndefined()
    expect(tooOld('26.1.0')).toBeUndefined()
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { errorCodes } from '../../shared/core/errors/codes.ts'
import { bodyLimits } from '../../shared/http/body.ts'
import { canonicalText, parseBody } from '../../shared/http/json-reader.ts'
import { decodeName } from '../../shared/http/routing.ts'
import { furnished } from './refusals.ts'

/** Every status the API documents: success, LiteLLM's 422, and the errors' own, without the bug. */
const documented = new Set([200, 201, 204, 422, ...Object.values(errorCodes).map(({ status }) => status)].filter((status) => status !== 500))

const paths = ['/secrets', '/secrets/', '/secrets:read', '/key/generate', '/key/update', '/key/block', '/key/unblock', '/key/regenerate', '/key/delete', '/key/health', '/keys:adopt', '/keys:reconcile', '/key/info', '/key/list', '/key/verify', '/key/', '/whoami', '/ready', '/health', '/capabilities', '']
const path = fc.tuple(fc.constantFrom(...paths), fc.oneof(fc.constant(''), fc.string({ unit: 'binary', maxLength: 40 }), fc.webPath(), fc.constantFrom('OPENAI_API_KEY', 'x:recover', '%2e%2e', 'litellm/taken', '__x', 'a/regenerate'))).map((parts) => parts.join(''))
const method = fc.oneof(fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'), fc.string({ maxLength: 8 }))
const query = fc.oneof(fc.constant(''), fc.webQueryParameters(), fc.string({ unit: 'binary', maxLength: 40 }), fc.constantFrom('version=1', 'stage=previous', 'refresh=true', 'key_alias=taken', 'limit=2&prefix=', 'key=sk-x'))
const fieldNames = fc.constantFrom('value', 'names', 'key', 'keys', 'key_alias', 'key_aliases', 'team_id', 'duration', 'metadata', 'models', 'tags', 'adopt', 'encoding', 'description', 'grace_period', 'new_key', 'user_id', 'blocked', 'all', 'dry_run', 'repair', 'cursor', 'limit', 'auto_rotate', 'rotation_interval', 'x')
const likely = fc.dictionary(fieldNames, fc.oneof(fc.jsonValue(), fc.constantFrom('30d', 'taken', 'sk-x', ['a'], null)), { maxKeys: 6 }).map((body) => Buffer.from(JSON.stringify(body)))
const body = fc.oneof(fc.constant(Buffer.alloc(0)), likely, fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)), fc.json().map((text) => Buffer.from(text)))
const text = fc.string({ unit: 'binary', maxLength: 24 })
const headers = fc.record(
  { authorization: text, accept: fc.oneof(text, fc.constant('text/plain')), 'content-type': fc.oneof(text, fc.constant('application/json')), 'if-match': fc.oneof(text, fc.constant('"1"')), 'idempotency-key': fc.oneof(text, fc.constant('a-fitting-idempotency-key')), 'x-request-id': text, 'content-encoding': text },
  { requiredKeys: [] },
)

describe('any request at all', () => {
  it('is answered with a documented status, a request id and never a cacheable answer', async () => {
    const { app, clock, runtime } = await furnished()
    const given = { authorization: 'Bearer sk-master-0123456789-0123456789-0123456789', 'content-type': 'application/json' }

    await fc.assert(
      fc.asyncProperty(method, path, query, headers, body, async (verb, where, asked, sent, bytes) => {
        const got = await app({ method: verb, path: where, query: asked, headers: { ...given, ...sent }, body: bytes, signal: new AbortController().signal, deadline: clock.now() + 25_000 })

        expect(documented.has(got.status), `${got.status} ${got.body}`).toBe(true)
        expect(got.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-request-id': expect.stringMatching(/^[\w.:@-]{1,128}$/) as string })
        for (const value of Object.values(got.headers)) expect(value).toMatch(/^[\x20-\x7e]*$/)
      }),
      { numRuns: 1_200, seed: 3 },
    )
    expect(runtime.lines).toEqual([])
  })

  it('without a credential is told nothing that depends on what is held', async () => {
    const { app, clock } = await furnished()

    await fc.assert(
      fc.asyncProperty(method, path, query, body, async (verb, where, asked, bytes) => {
        const got = await app({ method: verb, path: where, query: asked, headers: { 'content-type': 'application/json' }, body: bytes, signal: new AbortController().signal, deadline: clock.now() + 25_000 })

        const open = ['/health', '/ready'].includes(where) && got.status < 300
        expect(open || [204, 400, 401, 404, 405, 413, 414].includes(got.status), `${got.status} ${got.body}`).toBe(true)
        expect(got.body).not.toContain('sk-live')
      }),
      { numRuns: 600, seed: 4 },
    )
  })
})

describe('the JSON reader', () => {
  const plain = fc.dictionary(fc.string({ maxLength: 12 }).filter((key) => !['__proto__', 'constructor', 'prototype'].includes(key)), fc.jsonValue({ maxDepth: 5 }), { maxKeys: 20 })
  const fits = (value: unknown): boolean => !/\d{16}/.test(JSON.stringify(value)) && !/"(?:__proto__|constructor|prototype)":/.test(JSON.stringify(value)) && JSON.stringify(value).isWellFormed() && !/\\ud[89a-f]/i.test(JSON.stringify(value))

  it('reads exactly what JSON.parse reads of a lawful body', () => {
    fc.assert(
      fc.property(plain.filter(fits), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const written = JSON.stringify(value, undefined, indent)

        expect(parseBody(Buffer.from(written))).toEqual(JSON.parse(written))
      }),
      { numRuns: 1_000, seed: 5 },
    )
  })

  it('accepts nothing that JSON.parse refuses', () => {
    const noise = fc.array(fc.constantFrom('{', '}', '[', ']', '"', ':', ',', 'a', '1', '-', '.', 'e', 't', 'true', 'null', ' ', '\\', '\n', '\\u0061', '"a"', '"a":1'), { maxLength: 14 }).map((parts) => `{${parts.join('')}}`)

    fc.assert(
      fc.property(noise, (written) => {
        let read: unknown
        try {
          read = parseBody(Buffer.from(written))
        } catch {
          return
        }
        expect(read).toEqual(JSON.parse(written))
      }),
      { numRuns: 6_000, seed: 6 },
    )
  })

  it('gives one canonical text whatever the order of keys', () => {
    fc.assert(
      fc.property(plain.filter(fits), (value) => {
        const turned = Object.fromEntries(Object.entries(value).reverse())

        expect(canonicalText(turned as never)).toBe(canonicalText(value as never))
        expect(JSON.parse(canonicalText(value as never))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 500, seed: 7 },
    )
  })

  it('takes what stands exactly at each limit', () => {
    const { depth, members, stringLength } = bodyLimits
    const nested = `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`
    const wide = JSON.stringify(Object.fromEntries(Array.from({ length: members }, (_, index) => [`k${index}`, 1])))
    const long = JSON.stringify({ text: 'x'.repeat(stringLength), value: 'y'.repeat(60_000), metadata: { deep: ['z'.repeat(5_000)] } })

    const read = [nested, wide, long].map((written) => parseBody(Buffer.from(written)))

    expect(read.map((body) => JSON.stringify(body).length)).toEqual([nested, wide, long].map((written) => written.length))
  })
})

describe('names in paths', () => {
  it('come back as they were sent, or are refused; no two paths of one encoding mean one name by accident', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter((name) => name.isWellFormed() && !/[%:\\]/.test(name) && !name.split('/').includes('')), (name) => {
        expect(decodeName(encodeURIComponent(name))).toBe(name)
      }),
      { numRuns: 2_000, seed: 8 },
    )
  })
})

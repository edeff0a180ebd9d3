// One strict reader of JSON that counts while it reads. `JSON.parse` alone accepts duplicate keys, `__proto__` and a million levels of depth; a validation library would
// come too late, and the read function loads none.
import type { LatchkeyError } from '../core/errors.ts'
import type { Json, JsonObject } from './api.ts'
import { badField, bodyLimits } from './body.ts'

/** A key as it may be shown: what does not look like a field's name, but might be a token put in the wrong place, is not repeated. */
export const shownKey = (key: string): string => (/^[A-Za-z_][A-Za-z_.-]{0,27}\d{0,3}$/.test(key) ? key : '(a key that is no field name)')

const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype'])
const freeOfStringLimit = new Set(['value', 'metadata'])
const stringToken = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const numberToken = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const space = /[ \t\n\r]*/y
const words: readonly (readonly [string, Json])[] = [['true', true], ['false', false], ['null', null]]

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): JsonObject {
    this.#skip()
    if (this.#text[this.#at] !== '{') throw badField('body', 'must be a JSON object', 'Send an object, such as {"names": ["OPENAI_API_KEY"]}.')
    const value = this.#object('body', 1, false)
    this.#skip()
    if (this.#at < this.#text.length) throw this.#malformed('something follows the object')
    return value
  }

  #value(path: string, depth: number, free: boolean): Json {
    const first = this.#text[this.#at]
    if (first === '{') return this.#object(path, depth + 1, free)
    if (first === '[') return this.#array(path, depth + 1, free)
    if (first === '"') return this.#string(path, free)
    for (const [word, value] of words) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length
        return value
      }
    }
    return this.#number(path)
  }

  #object(path: string, depth: number, free: boolean): JsonObject {
    this.#enter(path, depth)
    const members: Record<string, Json> = {}
    const seen = new Set<string>()
    if (this.#ends('}')) return members
    for (;;) {
      if (this.#text[this.#at] !== '"') throw this.#malformed('a key in double quotes is expected')
      const key = this.#string(`${path} (a key)`, false)
      const inner = path === 'body' ? shownKey(key) : `${path}.${shownKey(key)}`
      if (forbiddenKeys.has(key)) throw badField(inner, 'is a key that Latchkey refuses at every depth', 'Rename it.')
      if (seen.has(key)) throw badField(inner, 'stands twice in one object; the limit is once', 'Send each key once.')
      if (seen.size === bodyLimits.members) throw badField(path, `has more than ${bodyLimits.members} members, the limit`, 'Send fewer fields.')
      seen.add(key)
      this.#skip()
      if (this.#text[this.#at] !== ':') throw this.#malformed('":" is expected')
      this.#at += 1
      this.#skip()
      members[key] = this.#value(inner, depth, free || (path === 'body' && freeOfStringLimit.has(key)))
      if (this.#ends('}')) return members
      this.#comma()
    }
  }

  #array(path: string, depth: number, free: boolean): Json {
    this.#enter(path, depth)
    const items: Json[] = []
    if (this.#ends(']')) return items
    for (;;) {
      items.push(this.#value(`${path}[${items.length}]`, depth, free))
      if (this.#ends(']')) return items
      this.#comma()
    }
  }

  #enter(path: string, depth: number): void {
    if (depth > bodyLimits.depth) throw badField(path, `is nested deeper than ${bodyLimits.depth} levels, the limit`, 'Send flatter JSON.')
    this.#at += 1
    this.#skip()
  }

  #ends(character: string): boolean {
    this.#skip()
    if (this.#text[this.#at] !== character) return false
    this.#at += 1
    return true
  }

  #comma(): void {
    if (this.#text[this.#at] !== ',') throw this.#malformed('"," or the end of the list or object is expected')
    this.#at += 1
    this.#skip()
  }

  #string(path: string, free: boolean): string {
    const text = JSON.parse(this.#token(stringToken, 'a string is not closed, or holds a raw control character or an unknown escape')) as string
    if (!text.isWellFormed()) throw badField(path, 'holds half of a surrogate pair, which is no Unicode text', 'Send whole characters; bytes go as base64.')
    if (!free && text.length > bodyLimits.stringLength) throw badField(path, `is ${text.length} characters long; the limit is ${bodyLimits.stringLength}`, 'Send a shorter text.')
    return text
  }

  #number(path: string): number {
    const token = this.#token(numberToken, 'a value is expected')
    const number = Number(token)
    if (!Number.isFinite(number) || (/^-?\d+$/.test(token) && !Number.isSafeInteger(number))) throw badField(path, 'is a number that cannot be kept exactly; the limit is 2^53 - 1', 'Send it as text.')
    return number
  }

  #token(pattern: RegExp, problem: string): string {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) throw this.#malformed(problem)
    this.#at = pattern.lastIndex
    return match[0]
  }

  #skip(): void {
    space.lastIndex = this.#at
    space.exec(this.#text)
    this.#at = space.lastIndex
  }

  #malformed(problem: string): LatchkeyError {
    return badField('body', `is not JSON: at character ${this.#at + 1} ${problem}`, 'Send one JSON object.')
  }
}

/** The body as an object. @throws invalid_request naming the field, the limit and what to do */
export const parseBody = (bytes: Uint8Array): JsonObject => {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw badField('body', 'is not UTF-8', 'Send UTF-8; a value that is no text goes as base64 with "encoding": "base64".')
  }
  return new Reader(text).document()
}

/** One text for bodies that mean the same: keys sorted, no spaces. Two requests with one `Idempotency-Key` are compared by it. */
export const canonicalText = (value: Json): string => {
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalText(item)).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  return `{${Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => `${JSON.stringify(key)}:${canonicalText(item)}`).join(',')}}`
}

// The forms in which an operator may have written a ciphertext of Google Cloud KMS: canonical base64, or the literal of Python's documentation, as it stands
// there or as a shell delivers that line. A literal is read here by hand and never evaluated: evaluating it once made a variable run code in LiteLLM.
// What is wrong is said by its position. The text itself is never repeated.
import type { LatchkeyError } from '../../core/errors.ts'
import type { SecretName } from '../../core/secret.ts'
import { canonicalBase64, noCiphertext } from './ciphertext-variables.ts'

const simpleEscapes: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, '\\': 92, "'": 39, '"': 34, a: 7, b: 8, f: 12, v: 11 }

const hexAt = (text: string, at: number): number | undefined => (/^[0-9A-Fa-f]{2}$/.test(text.slice(at, at + 2)) ? Number.parseInt(text.slice(at, at + 2), 16) : undefined)

/** The escape that begins at `at`: its byte and its length, or nothing when there is no such escape or the text ends within it. */
const escapeAt = (text: string, at: number): { readonly byte: number; readonly length: number } | undefined => {
  const kind = text[at + 1] ?? ''
  if (Object.hasOwn(simpleEscapes, kind)) return { byte: simpleEscapes[kind] ?? 0, length: 2 }
  if (kind === 'x') {
    const byte = hexAt(text, at + 2)
    return byte === undefined ? undefined : { byte, length: 4 }
  }
  const octal = /^[0-7]{1,3}/.exec(text.slice(at + 1, at + 4))?.[0]
  const byte = octal === undefined ? 256 : Number.parseInt(octal, 8)
  return byte > 255 ? undefined : { byte, length: 1 + (octal?.length ?? 0) }
}

/** A text that means to be a literal: after `b` there is a quote, or, where a shell took the quotes, an escape somewhere. */
const isLiteral = (text: string): boolean => /^b(?:['"]|.*\\)/s.test(text)

/** The bytes of such a literal, or what is wrong with it. */
const parseLiteral = (text: string): Buffer | string => {
  const quote = text[1] === "'" || text[1] === '"' ? text[1] : undefined
  const bytes: number[] = []
  let at = quote === undefined ? 1 : 2
  while (at < text.length) {
    const character = text[at] ?? ''
    const place = `character ${at + 1} of ${text.length}`
    if (character === quote) return at === text.length - 1 ? Buffer.from(bytes) : `is a bytes literal that goes on after its closing quote (${place})`
    if (character < ' ' || character > '~') return `is a bytes literal with a character that none holds (${place}); it must be escaped`
    const escape = character === '\\' ? escapeAt(text, at) : { byte: character.charCodeAt(0), length: 1 }
    if (escape === undefined) return `is a bytes literal with an escape that is cut, or that there is not (${place})`
    bytes.push(escape.byte)
    at += escape.length
  }
  return quote === undefined ? Buffer.from(bytes) : `is a bytes literal without its closing quote (after character ${text.length})`
}

/**
 * The ciphertext that a variable holds. Base64 has its padding and one of the two alphabets; a text that could be both is base64.
 * @throws misconfigured, naming the variable and the position of what is wrong
 */
export const googleCiphertext = (name: SecretName, text: string): Uint8Array => {
  const fail = (message: string): LatchkeyError => noCiphertext(name, message)
  const bytes = canonicalBase64(text) ?? (isLiteral(text) ? parseLiteral(text) : undefined)
  if (bytes === undefined) throw fail("holds neither base64 with its padding nor a bytes literal (b'…'); it must hold a ciphertext of Google Cloud KMS")
  if (typeof bytes === 'string') throw fail(bytes)
  if (bytes.byteLength === 0) throw fail('holds an empty ciphertext')
  return bytes
}

// Canaries: values that may stand nowhere but where a value belongs. Each is unique, and is looked for in every form that leaks were seen in.
import { createHash, randomBytes } from 'node:crypto'
import { constants, inflateRawSync } from 'node:zlib'

interface Form {
  readonly label: string
  readonly as: string
  readonly text: string
}

/** Every form of every canary, by its first eight characters: a text is looked through once, however many canaries there are. */
const forms = new Map<string, Form[]>()
const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789'
const draw = (length: number): string => Array.from(randomBytes(length), (byte) => alphabet[byte % alphabet.length]).join('')

/** The part of the base64 text that is the same whatever stands `offset` bytes before, and after, the value. */
const base64At = (bytes: Buffer, offset: number): string => {
  const whole = Buffer.concat([Buffer.alloc(offset), bytes])
  return whole.toString('base64').slice(Math.ceil((offset * 8) / 6), Math.floor((whole.length * 8) / 6))
}

/** Watches for a value that the code under test made itself, such as a minted token. At least 16 characters. */
export const watch = (label: string, text: string): string => {
  if (text.length < 16) throw new Error(`The canary ${label} is too short to be told from other text.`)
  const bytes = Buffer.from(text, 'utf8')
  const aligned = [0, 1, 2].map((offset) => base64At(bytes, offset))
  const found: readonly (readonly [string, string])[] = [
    ['raw', text],
    ...aligned.map((encoded) => ['base64', encoded] as const),
    ...aligned.map((encoded) => ['base64url', encoded.replaceAll('+', '-').replaceAll('/', '_')] as const),
    ['hex', bytes.toString('hex')],
    ['hex', bytes.toString('hex').toUpperCase()],
    ['url', encodeURIComponent(text)],
    ['url', [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')],
    ['json', JSON.stringify(text).slice(1, -1)],
    ['json', [...text].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')],
    ['utf-16', Buffer.from(text, 'utf16le').toString('latin1').slice(0, -1)],
    ['bytes', [...bytes].join(',')],
    ['reversed', [...text].reverse().join('')],
    ['first 8 characters', text.slice(0, 8)],
    ['last 8 characters', text.slice(-8)],
    ['sha256', createHash('sha256').update(bytes).digest('hex')],
    ['sha256', createHash('sha256').update(bytes).digest('base64url')],
  ]
  const seen = new Set<string>()
  for (const [as, form] of found) {
    if (seen.has(form)) continue
    seen.add(form)
    forms.set(form.slice(0, 8), [...(forms.get(form.slice(0, 8)) ?? []), { label, as, text: form }])
  }
  return text
}

/** A new value that is watched from now on. Begins and ends with characters that occur nowhere else. */
export const canary = (label: string): string => watch(label, `${draw(12)}.${label}.${draw(12)}`)

/** The same in the form of a virtual key's token. */
export const canaryToken = (label: string): string => watch(label, `sk-${draw(40)}`)

/** What is gzipped in a text, as bytes, base64 or hex. What is cut off is looked into as far as it goes. */
const inflated = (text: string): readonly string[] => {
  const packed = [
    ...[...text.matchAll(/\u001f\u008b\u0008/g)].map(({ index }) => Buffer.from(text.slice(index), 'latin1')),
    ...[...text.matchAll(/H4sI[\w+/-]+/g)].map(([found]) => Buffer.from(found, 'base64')),
    ...[...text.matchAll(/1f8b08[\da-f]+/gi)].map(([found]) => Buffer.from(found, 'hex')),
  ]
  return packed.flatMap((bytes) => {
    try {
      const named = ((bytes[3] ?? 0) & 8) === 0 ? 10 : bytes.indexOf(0, 10) + 1
      return [inflateRawSync(bytes.subarray(named), { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 4_194_304 }).toString('utf8')]
    } catch {
      return []
    }
  })
}

/** Every canary in a text, and in which forms; what is gzipped in it is looked into as well. Give it whatever a process printed. */
export const canariesIn = (text: string): readonly { readonly label: string; readonly as: string }[] => {
  const found = new Set<Form>()
  for (let start = 0; start + 8 <= text.length; start += 1) {
    for (const form of forms.get(text.slice(start, start + 8)) ?? []) if (text.startsWith(form.text, start)) found.add(form)
  }
  const packed = inflated(text).flatMap((inside) => canariesIn(inside).map(({ label, as }) => ({ label, as: `gzip of ${as}` })))
  return [...[...found].map(({ label, as }) => ({ label, as })), ...packed]
}

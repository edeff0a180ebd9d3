// The forms of a ciphertext in a variable: every byte in every form, and for everything else a failure of ours that shows nothing of it.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { googleCiphertext } from '../../../shared/credentials/kms/google-ciphertext.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'

const name = hostedName('DATABASE_URL_ENCRYPTED')
const parsed = (text: string): Buffer => Buffer.from(googleCiphertext(name, text))
const messageOf = (text: string): string => {
  try {
    parsed(text)
    return 'it was accepted'
  } catch (error) {
    return error instanceof LatchkeyError ? error.message : 'it was no failure of ours'
  }
}

/** How Python prints bytes. */
const escaped = (bytes: Uint8Array, quote: string): string =>
  [...bytes]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      if (character === '\\' || character === quote) return `\\${character}`
      const short = { 9: '\\t', 10: '\\n', 13: '\\r' }[byte]
      return short ?? (byte < 32 || byte > 126 ? `\\x${byte.toString(16).padStart(2, '0')}` : character)
    })
    .join('')
const printed = (bytes: Uint8Array): string => {
  const quote = bytes.includes(39) && !bytes.includes(34) ? '"' : "'"
  return `b${quote}${escaped(bytes, quote)}${quote}`
}
const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte)
const someBytes = fc.uint8Array({ minLength: 1, maxLength: 300 })

const fixture = (file: string): string => /^export PROXY_DATABASE_URL_ENCRYPTED=(.*)$/m.exec(readFileSync(join(import.meta.dirname, '../../fixtures/litellm/env', file), 'utf8'))?.[1]?.replaceAll(/^"|"$/g, '') ?? ''
const sample = Buffer.from("\n$\0FAKE\xac\xb4/SAMPLE\x8e\xc3\t\r\\~", 'latin1')

describe('a ciphertext of Google KMS in a variable', () => {
  it.each([
    ['canonical base64', (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')],
    ['URL-safe base64 with its padding', (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replaceAll('+', '-').replaceAll('/', '_')],
    ['the literal that Python prints', printed],
    ['a literal in single quotes', (bytes: Uint8Array) => `b'${escaped(bytes, "'")}'`],
    ['a literal in double quotes', (bytes: Uint8Array) => `b"${escaped(bytes, '"')}"`],
    ['a literal of hexadecimal escapes', (bytes: Uint8Array) => `b'${[...bytes].map((byte) => `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')}'`],
    ['a literal of octal escapes', (bytes: Uint8Array) => `b'${[...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}'`],
    ['the escapes without quotes, as a shell delivers them', (bytes: Uint8Array) => `b\\x0a${escaped(bytes.subarray(1), "'")}`],
  ])('is read back from %s, whatever its bytes', (form, write) => {
    const read = (bytes: Uint8Array): Buffer => parsed(write(bytes))
    const wanted = (bytes: Uint8Array): Buffer => (form.startsWith('the escapes') ? Buffer.concat([Buffer.from('\n'), bytes.subarray(1)]) : Buffer.from(bytes))

    expect(read(everyByte)).toEqual(wanted(everyByte))
    fc.assert(fc.property(someBytes, (bytes) => read(bytes).equals(wanted(bytes))))
  })

  it.each(['google-kms-base64.env', 'google-kms-bytes-literal.env', 'google-kms-bytes-literal-from-shell.env'])('is the same in %s', (file) => {
    expect(parsed(fixture(file))).toEqual(sample)
  })

  it('survives the documented line in a shell', () => {
    const delivered = execFileSync('sh', ['-c', `export V=${fixture('google-kms-bytes-literal.env')}; printf %s "$V"`], { encoding: 'utf8', env: {} })

    expect([delivered.startsWith('b\\n'), parsed(delivered)]).toEqual([true, sample])
  })

  it.each([
    [String.raw`b'\a\b\f\v\n\r\t\\\'\"\0\7\12\377'`, [7, 8, 12, 11, 10, 13, 9, 92, 39, 34, 0, 7, 10, 255]],
    [String.raw`b'\08'`, [0, 56]],
    [String.raw`b'\1234'`, [83, 52]],
    [`b"it's"`, [...Buffer.from("it's")]],
    [`b'say "x"'`, [...Buffer.from('say "x"')]],
    [String.raw`b\ntail'with"quotes`, [10, ...Buffer.from(`tail'with"quotes`)]],
  ])('%s has exactly the bytes of Python', (text, bytes) => {
    expect([...parsed(text)]).toEqual(bytes)
  })

  it('that could be both is base64', () => {
    expect(parsed('b\x61\x62\x63')).toEqual(Buffer.from('babc', 'base64'))
  })
})

describe('what is no ciphertext', () => {
  it.each([
    ['an escape that the end cuts', String.raw`b'ab\x4'`, /escape.*character 5 of 8/],
    ['a hexadecimal escape with another letter', String.raw`b'\xg0'`, /escape.*character 3 of 7/],
    ['an escape that Python has and no bytes have', String.raw`b'\u0041'`, /escape.*character 3 of/],
    ['an escape that there is not', String.raw`b'a\qb'`, /escape.*character 4 of/],
    ['a line that goes on', 'b\'a\\\nb\'', /escape.*character 4 of/],
    ['an octal escape beyond a byte', String.raw`b'\400'`, /escape.*character 3 of/],
    ['a backslash before the closing quote', String.raw`b'ab\'`, /without its closing quote/],
    ['a backslash at the end of what a shell left', 'b\\nab\\', /escape.*character 6 of 6/],
    ['no closing quote', String.raw`b'ab\n`, /without its closing quote/],
    ['a quote alone', "b'", /without its closing quote/],
    ['text after the closing quote', String.raw`b'ab'; import os'`, /goes on after its closing quote.*character 5 of/],
    ['a letter beyond ASCII', String.raw`b'é\n'`, /character that none holds.*character 3 of/],
    ['a raw line break', "b'a\nb'", /character that none holds.*character 4 of/],
    ['a literal of nothing', "b''", /empty ciphertext/],
    ['text', "b'' + open('/etc/passwd').read()", /goes on after/],
    ['Python', '__import__("os").system("true")', /neither base64/],
    ['a text string', "'abc'", /neither base64/],
    ['base64 without padding', 'bGF0Y2g', /neither base64/],
    ['base64 without padding that begins like a literal', 'bbbbbb', /neither base64/],
    ['base64 with a line break', 'bGF0Y2hrZXk=\n', /neither base64/],
    ['base64 with bits that mean nothing', 'bGF0Y2hrZXl=', /neither base64/],
    ['base64 of two alphabets', '+-+-', /neither base64/],
    ['padding alone', '====', /neither base64/],
  ])('is refused with the variable and the place: %s', (_what, text, message) => {
    expect(messageOf(text)).toMatch(message)
    expect(messageOf(text)).toContain('DATABASE_URL_ENCRYPTED')
  })

  it('is the literal that the page cuts with dots, at the place where it was cut', () => {
    const text = fixture('google-kms-bytes-literal-cut.env')

    expect(messageOf(text)).toContain(`character ${text.indexOf('\\xc...') + 1} of ${text.length}`)
  })

  it('never shows more of itself than where it is wrong', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 8, maxLength: 60 }).filter((text) => text.trim().length >= 8), (text) => {
        for (const form of [text, `b'${text}`, `b'${text}\\`, `b\\n${text}\\`]) expect(messageOf(form)).not.toContain(text)
      }),
    )
  })

  it('never fails otherwise than with a failure of ours', () => {
    const pieces = fc.array(fc.oneof(fc.constantFrom('b', "'", '"', '\\', '\\x', '\\n', '\\0', '=', '/', '-', '\n', '\0', '\u{1F511}', '\uD800'), fc.string({ maxLength: 4, unit: 'binary' })), { maxLength: 12 })
    fc.assert(
      fc.property(pieces, (parts) => {
        for (const text of [parts.join(''), `b${parts.join('')}`, `b'${parts.join('')}'`]) expect(messageOf(text)).not.toBe('it was no failure of ours')
      }),
      { numRuns: 3_000 },
    )
  })

  it('of any length is found in one pass', () => {
    const long = `b'${'\\'.repeat(200_001)}`

    expect(messageOf(long)).toMatch(/closing quote|escape/)
  })
})

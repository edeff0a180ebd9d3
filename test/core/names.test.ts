// Names: the golden file holds for ever, because a changed encoding would lose every secret written before. Its rows were computed by another program.
import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { decodeSegment, encodeSegment, hostedName, internalName, internalSegment, isBelow, isInternal, joinPrefix, nativeName, verbatimCodec, type NameCodec } from '../../shared/core/names.ts'
import { createdName, parsePrefix, placeName } from '../../shared/core/names/created.ts'
import { slugHashCodec } from '../../shared/core/names/slug-hash.ts'
import { hexEscapeCodec } from '../../shared/credentials/google/names.ts'
import type { SecretName } from '../../shared/core/secret.ts'

fc.configureGlobal({ seed: 20_261_121, numRuns: 300 })

interface Row {
  readonly name: string
  readonly verbatim: string
  readonly hex_escape: string
  readonly slug_hash: string
}

const golden = JSON.parse(readFileSync(new URL('../fixtures/names.json', import.meta.url), 'utf8')) as { created: Row[]; hosted: Row[]; segments: { text: string; segment: string }[] }
const codecs: Readonly<Record<'verbatim' | 'hex_escape' | 'slug_hash', NameCodec>> = { verbatim: verbatimCodec(), hex_escape: hexEscapeCodec, slug_hash: slugHashCodec }
const created = (text: string): SecretName => ({ text, place: 'created' })

/** What refuses, and with which words. */
const refusal = (act: () => unknown): string => {
  try {
    return `accepted: ${JSON.stringify(act())}`
  } catch (error) {
    return error instanceof LatchkeyError && error.code === 'invalid_request' ? error.message : `threw ${String(error)}`
  }
}

const characters = [...'ABCXYZabcxyz019_-@=.']
const segment = fc
  .array(fc.constantFrom(...characters), { minLength: 1, maxLength: 20 })
  .map((list) => list.join(''))
  .filter((text) => !text.startsWith('.') && !text.endsWith('.') && !text.startsWith('__'))
const name = fc.array(segment, { minLength: 1, maxLength: 8 }).map((list) => list.join('/'))
/** Two names that are near each other: the same but for separators, case or what looks like an encoding. */
const near = name.chain((text) =>
  fc.constantFrom(text.toLowerCase(), text.toUpperCase(), text.replaceAll('/', '-'), text.replaceAll('/', '-2f'), text.replaceAll('-', '/'), text.replaceAll('_', '-'), text.replaceAll('.', '-2e'), `${text}x`, `${text}-2f`).map((other) => [text, other] as const),
)

describe('the golden file', () => {
  it.each(golden.created)('$name', (row) => {
    const encoded = Object.fromEntries(Object.entries(codecs).map(([kind, codec]) => [kind, codec.encode(created(row.name))]))

    expect({ name: row.name, ...encoded }).toEqual(row)
  })

  it.each(golden.hosted)('hosted $name', (row) => {
    const encoded = Object.fromEntries(Object.entries(codecs).map(([kind, codec]) => [kind, codec.encode(hostedName(row.name))]))

    expect({ name: row.name, ...encoded }).toEqual(row)
  })

  it.each(golden.segments)('free text $text as a segment', ({ text, segment: encoded }) => {
    expect(encodeSegment(text, 'team_id')).toBe(encoded)
    expect(decodeSegment(encoded)).toBe(text)
  })
})

describe.each(Object.entries(codecs))('the codec %s', (_, codec) => {
  it('comes back as the name that went in', () => {
    fc.assert(fc.property(name, (text) => void expect(codec.decode(codec.encode(created(text)), text)).toBe(text)))
  })

  it('never writes two names as one, near as they may be', () => {
    fc.assert(
      fc.property(near, ([one, two]) => {
        fc.pre(one !== two)
        expect(codec.encode(created(one))).not.toBe(codec.encode(created(two)))
      }),
    )
  })
})

describe('the codec of Google', () => {
  it('writes only what Google holds', () => {
    fc.assert(fc.property(name.filter((text) => text.length <= 80), (text) => void expect(hexEscapeCodec.encode(created(text))).toMatch(/^[A-Za-z0-9_-]{1,255}$/)))
  })

  it('reads names of others as nobody’s', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'abZ09_-2fe'), minLength: 1, maxLength: 20 }), (native) => {
        const text = hexEscapeCodec.decode(native)

        expect(text === undefined ? native : hexEscapeCodec.encode(created(text))).toBe(native)
      }),
    )
  })

  it.each(['a-2Fb', 'a-b', '-2', 'a-', 'a-00b', 'a-2f-2fb', '-2fa', 'a.b', 'a-2e-2e'])('reads %s as nobody’s', (native) => {
    expect(hexEscapeCodec.decode(native)).toBeUndefined()
  })

  it('refuses what becomes too long, and hosted names that it cannot hold', () => {
    expect(refusal(() => hexEscapeCodec.encode(created(`a/${'-'.repeat(90)}`)))).toContain('is 274 characters long once encoded; this service allows 255')
    expect(refusal(() => hexEscapeCodec.encode(hostedName('a.b')))).toContain('must be 1 to 255 of')
  })
})

describe('the codec of Azure', () => {
  it('writes two names apart also where case is folded', () => {
    fc.assert(
      fc.property(near, ([one, two]) => {
        fc.pre(one !== two)
        expect(slugHashCodec.encode(created(one)).toLowerCase()).not.toBe(slugHashCodec.encode(created(two)).toLowerCase())
      }),
    )
  })

  it('writes only what Azure holds', () => {
    fc.assert(fc.property(name, (text) => void expect(slugHashCodec.encode(created(text))).toMatch(/^[0-9a-z-]{1,127}$/)))
  })

  it('believes the tag only where it leads to the very name', () => {
    const native = slugHashCodec.encode(created('litellm/alias'))

    expect(slugHashCodec.decode(native, 'litellm/alias')).toBe('litellm/alias')
    expect(slugHashCodec.decode(native.toUpperCase(), 'litellm/alias')).toBe('litellm/alias')
    expect(slugHashCodec.decode(native, 'litellm/Alias')).toBeUndefined()
    expect(slugHashCodec.decode(native)).toBeUndefined()
    expect(slugHashCodec.decode('litellm-alias', 'litellm/alias')).toBeUndefined()
  })

  it('refuses hosted names that it cannot hold', () => {
    expect(refusal(() => slugHashCodec.encode(hostedName('a.b')))).toContain('must be 1 to 127 of')
  })
})

describe('the codec of services that hold our names as they are', () => {
  it('refuses what the service does not allow, and says what it allows', () => {
    const codec = verbatimCodec(/^[a-z]+$/, 5, 'small letters')

    expect(codec.encode(created('abc'))).toBe('abc')
    expect(codec.encode(nativeName('arn:x'))).toBe('arn:x')
    expect(refusal(() => codec.encode(created('abcdef')))).toContain('is 6 bytes long; this service allows 5')
    expect(refusal(() => codec.encode(created('ABC')))).toContain('must be made of small letters')
  })

  it.each(Object.entries(codecs))('%s leaves a native name alone where services have them', (kind, codec) => {
    const arn = nativeName('arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf')

    expect(kind === 'verbatim' ? codec.encode(arn) : refusal(() => codec.encode(arn)).split(' ')[0]).toBe(kind === 'verbatim' ? arn.text : 'name:')
  })
})

describe('the grammar of names that Latchkey creates', () => {
  it('accepts what it generates, and nothing is changed on the way', () => {
    fc.assert(fc.property(name, (text) => void expect(createdName(text)).toEqual({ text, place: 'created' })))
  })

  it('accepts nothing outside the grammar', () => {
    const grammar = /^(?!\.)(?!__)[A-Za-z0-9_.@=-]{1,64}(?<!\.)(?:\/(?!\.)(?!__)[A-Za-z0-9_.@=-]{1,64}(?<!\.)){0,7}$/

    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 30 }), fc.string({ unit: fc.constantFrom(...characters, '/', '/', '%', '.', '_'), maxLength: 30 })), (text) => {
        expect(refusal(() => createdName(text)).startsWith('accepted')).toBe(grammar.test(text))
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ['', 'must not be empty'],
    ['..', 'begins or ends with a dot'],
    ['a/../b', 'begins or ends with a dot'],
    ['a/.', 'begins or ends with a dot'],
    ['.env', 'begins or ends with a dot'],
    ['a./b', 'begins or ends with a dot'],
    ['%2e%2e', 'holds a character outside'],
    ['a%2Fb', 'holds a character outside'],
    ['a//b', 'has an empty segment'],
    ['/a', 'has an empty segment'],
    ['a/', 'has an empty segment'],
    ['__latchkey', 'reserved for Latchkey'],
    ['litellm/__latchkey/pending/x', 'reserved for Latchkey'],
    ['arn:aws:secretsmanager:x', 'holds a character outside'],
    ['https://vault', 'holds a character outside'],
    ['a\\b', 'holds a character outside'],
    ['a b', 'holds a character outside'],
    ['a\nb', 'holds a character outside'],
    ['a\0', 'holds a character outside'],
    ['a\u007f', 'holds a character outside'],
    ['naïve', 'holds a character outside'],
    ['．．／', 'holds a character outside'],
    ['‥', 'holds a character outside'],
    ['\u212A', 'holds a character outside'],
    ['a\uD800', 'holds a character outside'],
    ['a:recover', 'holds a character outside'],
    ['a/b/c/d/e/f/g/h/i', 'has 9 segments; the limit is 8'],
    ['n'.repeat(65), 'has a segment of 65 characters; the limit is 64'],
    [`${'n'.repeat(60)}/`.repeat(3) + 'n'.repeat(60), 'is 243 bytes long; the limit is 200'],
  ])('refuses %j', (text, why) => {
    expect(refusal(() => createdName(text, 'key_alias'))).toContain(why)
    expect(refusal(() => createdName(text, 'key_alias'))).toMatch(/^key_alias: /)
  })

  it('accepts the longest: 64 characters, 8 segments, 200 bytes', () => {
    expect(createdName('n'.repeat(64)).text).toHaveLength(64)
    expect(createdName('a/b/c/d/e/f/g/h').text).toBe('a/b/c/d/e/f/g/h')
    expect(createdName(`${'n'.repeat(49)}/`.repeat(4).slice(0, -1)).text).toHaveLength(199)
  })
})

describe('the grammar of names that an operator has', () => {
  it.each(['OPENAI_API_KEY', 'a.b', 'with space', 'naïve', 'a:b', '__x', 'C#', '-'])('accepts %j as it is', (text) => {
    expect(hostedName(text)).toEqual({ text, place: 'hosted' })
  })

  it.each(['', '..', 'a/../b', 'a\\..\\b', './a', 'a//b', '/a', 'a/', 'a\0b', 'a\nb', 'a\u0085b', 'a\u2028b', '%2e%2e', 'a%b', '\uD800', 'é'.repeat(257)])('refuses %j', (text) => {
    expect(refusal(() => hostedName(text))).toMatch(/^name: /)
  })
})

describe('the prefix', () => {
  it.each([
    ['litellm', 'x', 'litellm/x'],
    ['litellm/', 'x', 'litellm/x'],
    ['', 'x', 'x'],
    ['a/b', 'x', 'a/b/x'],
  ])('%j joined with %j is %j', (prefix, rest, joined) => {
    expect(joinPrefix(prefix, rest)).toBe(joined)
  })

  it('confines: what is joined is below it, by whole segments', () => {
    fc.assert(
      fc.property(segment, name, (prefix, rest) => {
        const joined = joinPrefix(prefix, rest)

        expect(isBelow(prefix, joined)).toBe(true)
        expect(isBelow(`${prefix}x`, joined)).toBe(false)
        expect(isBelow(prefix, `${prefix}-evil/${rest}`)).toBe(false)
        expect(isBelow(prefix, prefix)).toBe(false)
      }),
    )
  })

  it('confines what any codec writes: it reads back below the prefix', () => {
    fc.assert(
      fc.property(segment, name.filter((text) => text.length <= 60 && text.split('/').length < 8), (prefix, rest) => {
        const text = joinPrefix(prefix, rest)

        for (const codec of Object.values(codecs)) expect(isBelow(prefix, codec.decode(codec.encode(created(text)), text) ?? '')).toBe(true)
      }),
    )
  })

  it.each([
    ['litellm/', 'litellm'],
    ['litellm', 'litellm'],
    ['', ''],
    ['/', ''],
    ['a/b/', 'a/b'],
  ])('%j is read as %j', (text, bare) => {
    expect(parsePrefix(text, 'prefix_for_stored_virtual_keys')).toBe(bare)
  })

  it.each(['..', 'a/../b/', 'a//', '//', '__x/', 'a b/', '%2e'])('%j is refused', (text) => {
    expect(refusal(() => parsePrefix(text, 'prefix'))).toMatch(/^prefix: /)
  })

  it('decides where a name lives: hosted names win, then the prefix, and with an empty prefix all else is created', () => {
    const hosted = new Set(['litellm/HOSTED', 'OPENAI_API_KEY'])

    expect(placeName('litellm/alias', 'litellm', hosted).place).toBe('created')
    expect(placeName('litellm/HOSTED', 'litellm', hosted).place).toBe('hosted')
    expect(placeName('OTHER KEY', 'litellm', undefined).place).toBe('hosted')
    expect(placeName('litellm-evil/x', 'litellm', undefined).place).toBe('hosted')
    expect(placeName('OPENAI_API_KEY', '', hosted).place).toBe('hosted')
    expect(placeName('alias', '', hosted).place).toBe('created')
    expect(refusal(() => placeName('litellm/a b', 'litellm', hosted))).toContain('outside')
  })

  it("holds Latchkey's own records where no caller can name them", () => {
    fc.assert(
      fc.property(segment, segment, (prefix, id) => {
        const { text } = internalName(prefix, 'pending', id)

        expect(text).toBe(`${prefix}/${internalSegment}/pending/${id}`)
        expect(isInternal(text)).toBe(true)
        expect(refusal(() => createdName(text))).toContain('reserved')
        expect(isInternal(joinPrefix(prefix, id))).toBe(false)
      }),
    )
  })
})

describe('free text as a segment', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((given) => given.isWellFormed() && Buffer.byteLength(given) <= 21)

  it('comes back as it went in, and is a segment that the grammar allows', () => {
    fc.assert(
      fc.property(text, (given) => {
        const encoded = encodeSegment(given, 'team_id')

        expect(decodeSegment(encoded)).toBe(given)
        expect(createdName(encoded).text).toBe(encoded)
      }),
    )
  })

  it('is written apart from every other text', () => {
    fc.assert(
      fc.property(text, text, (one, two) => {
        fc.pre(one !== two)
        expect(encodeSegment(one, 'team_id')).not.toBe(encodeSegment(two, 'team_id'))
      }),
    )
  })

  it.each([
    ['', 'must not be empty'],
    ['\uD800', 'is not well-formed Unicode'],
    ['ü'.repeat(11), 'is 66 characters long once encoded; the limit is 64'],
  ])('is refused where it cannot be one: %j', (given, why) => {
    expect(refusal(() => encodeSegment(given, 'team_id'))).toBe(`team_id: ${why}`)
  })
})

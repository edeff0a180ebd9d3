// Names to folders: every name that Latchkey creates has a place of its own, comes back as itself, and no readable name reaches a record or another's place.
import { describe, expect, it } from 'vitest'
import { hostedName, internalName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretName } from '../../../shared/core/secret.ts'
import { folderOfPrefix, infisicalNames, nameAt, nativeName, placeOf, recordPlace, rootOf } from '../../../shared/credentials/infisical/names.ts'
import { keptExactly } from '../../../shared/credentials/infisical/record.ts'
import { trimmedValue } from '../../fakes/infisical/secrets.ts'
import { SeededRandom } from '../../support/runtime.ts'

const random = new SeededRandom('names of infisical')
const draw = (below: number): number => Buffer.from(random.bytes(4)).readUInt32LE(0) % below
const grammar = 'ABCabc019_-.@='
const segment = (): string => {
  const text = Array.from({ length: 1 + draw(6) }, () => grammar[draw(grammar.length)] ?? '').join('').replace(/^\.+|\.+$/g, 'x').replace(/^__+/, '_')
  return text === '' ? 'x' : text
}
const drawn = (): SecretName => createdName(Array.from({ length: 1 + draw(5) }, segment).join('/'))

describe('a created name', () => {
  it.each(['/', '/gateway/prod'])('has a place of its own below %s, legal for Infisical, and comes back from it', (root) => {
    const places = new Map<string, string>()
    const wrong: string[] = []
    for (let count = 0; count < 3_000; count += 1) {
      const name = drawn()
      const place = placeOf(root, name)
      const whole = nativeName(place)
      const legal = (place.folder === '/' || place.folder.slice(1).split('/').every((folder) => /^[a-zA-Z0-9-_]+$/.test(folder))) && !/[:/]/.test(place.key)
      if (!legal || (places.get(whole) ?? name.text) !== name.text || nameAt(root, place)?.text !== name.text) wrong.push(name.text)
      places.set(whole, name.text)
    }

    expect(wrong).toEqual([])
    expect(places.size).toBeGreaterThan(2_000)
  })

  it('is verbatim wherever the service takes it', () => {
    expect(['litellm/alias', 'litellm/a.b@c=d', 'litellm/team-1/k_2', 'KEY'].map((text) => infisicalNames.encode(createdName(text)))).toEqual(['litellm/alias', 'litellm/a.b@c=d', 'litellm/team-1/k_2', 'KEY'])
  })

  it('writes a folder that the service does not take in a way that never changes', () => {
    expect([infisicalNames.encode(createdName('litellm/payments=20team/alias')), infisicalNames.encode(createdName('a.b/c-d/k'))]).toEqual(['litellm/__x-payments-3d20team/alias', '__x-a-2eb/c-d/k'])
  })

  it("keeps the place of its record beside it, where no name leads", () => {
    const record = recordPlace(placeOf('/', createdName('litellm/alias')))

    expect(nativeName(record)).toBe('/litellm/__latchkey/alias')
    expect(() => infisicalNames.encode({ text: 'litellm/__latchkey/alias', place: 'hosted' })).toThrow()
    expect(() => infisicalNames.encode({ text: '__latchkey/KEY', place: 'hosted' })).toThrow()
    expect(infisicalNames.encode(internalName('litellm', 'index', 'abc'))).toBe('litellm/__latchkey/index/abc')
  })
})

describe('a hosted name', () => {
  it.each(['folder/KEY', 'My Key', 'ключ', 'a.b/KEY'])('is verbatim: %s', (text) => {
    expect(nativeName(placeOf('/', hostedName(text)))).toBe(`/${text}`)
  })

  it.each(['a:b', ' KEY', 'KEY ', 'folder /KEY', '__x-a-2eb/KEY', 'x'.repeat(501)])('that Infisical would read as another one is refused: %j', (text) => {
    expect(() => infisicalNames.encode({ text, place: 'hosted' })).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })
})

describe('a path setting', () => {
  it.each([['/', '/'], ['', '/'], ['gateway/', '/gateway'], ['//a//b/', '/a/b']])('%j is the folder %s', (given, folder) => {
    expect(rootOf(given)).toBe(folder)
  })

  it.each([['litellm/', '/litellm'], ['litellm/ab', '/litellm'], ['', '/'], ['a.b/c/', '/'], ['a/b.c/d', '/a']])('and a prefix %j is listed from %s', (prefix, folder) => {
    expect(folderOfPrefix('/', prefix)).toBe(folder)
  })
})

describe('what the service trims', () => {
  it('is told before it is sent, for every text', () => {
    const pieces = [' ', '\n', '\t', '\r', 'a', 'B', '\u00A0', '\uFEFF', '世']
    const texts = Array.from({ length: 3_000 }, () => Array.from({ length: draw(6) }, () => pieces[draw(pieces.length)] ?? '').join(''))

    expect(texts.filter((text) => keptExactly(text) !== (trimmedValue(text) === text))).toEqual([])
    expect(texts.filter(keptExactly).length).toBeGreaterThan(100)
  })
})

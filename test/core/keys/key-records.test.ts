// How keys are named, found, listed and held: team names, fields as labels, index records, and providers that lack something.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { internalName } from '../../../shared/core/names.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import type { ProviderTraits } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { beginOperation } from '../../../shared/core/keys/operation.ts'
import { keyIdOf, mintToken, tokenHash } from '../../../shared/core/virtual-key.ts'
import { SeededRandom } from '../../support/runtime.ts'
import { shapes } from '../../sim/shapes.ts'
import { house, outcomeOf, shapeNamed, unanswered, type Required } from './key-house.ts'

const name = createdName('litellm/a')
const indexed = shapes.filter((shape) => ['compare_and_set', 'upsert', 'plain'].includes(shape.name))
const readOnly = ({ traits }: Required): { traits: ProviderTraits } => {
  const { write: _write, ...rest } = traits
  return { traits: rest }
}

describe('the name of a key', () => {
  it('holds a letter or a digit', async () => {
    const { keys, context, steps } = await house()

    await expect(keys.create({ alias: '-_-' }, context())).rejects.toMatchObject({ code: 'invalid_request', details: { param: 'key_alias', applied: 'no' } })
    expect(steps).toEqual([])
  })

  it('comes from one of two templates', async () => {
    await expect(house(shapes[0], { options: { keyName: '{alias}' } })).rejects.toMatchObject({ code: 'misconfigured', message: expect.stringContaining('latchkey.key_name') })
  })

  it('is the alias alone where there is no prefix', async () => {
    const { keys, context, call } = await house(shapes[0], { prefix: '' })

    const made = await keys.create({ alias: 'a/b' }, context())

    expect(made).toMatchObject({ alias: 'a/b', stored: { name: 'a/b' } })
    expect((await keys.list({ limit: 10 }, call())).items.map(({ alias }) => alias)).toEqual(['a/b'])
  })

  it('of a key without an alias is refused to it when somebody\'s alias took it', async () => {
    const { keys, context } = await house()
    const keyed = context('create-create-create')
    const keyId = keyIdOf(beginOperation('create', keyed, 'litellm/virtual-key-', new SeededRandom()).id)
    const taken = await keys.create({ alias: `virtual-key-${keyId}` }, context())

    await expect(keys.create({}, keyed)).rejects.toMatchObject({ code: 'already_exists', message: expect.stringContaining(`litellm/virtual-key-${keyId}`), details: { applied: 'no' } })
    expect(taken.alias).toBe(`virtual-key-${keyId}`)
  })

  it('holds the team where the template says so, and a list by alias needs it', async () => {
    const { keys, context, call } = await house(shapes[0], { options: { keyName: '{prefix}{team}/{alias}' } })
    const made = await keys.create({ alias: 'a', teamId: 'Team 1' }, context())

    expect(made).toMatchObject({ alias: 'a', teamId: 'Team 1', stored: { name: 'litellm/Team=201/a' } })
    expect((await keys.list({ limit: 10, alias: 'a', teamId: 'Team 1' }, call())).items.map(({ keyId }) => keyId)).toEqual([made.keyId])
    expect((await keys.list({ limit: 10, alias: 'a', teamId: 'two' }, call())).items).toEqual([])
    await expect(keys.list({ limit: 10, alias: 'a' }, call())).rejects.toMatchObject({ code: 'invalid_request', details: { param: 'team_id' } })
  })
})

describe.each(shapes)('a list on $name', (shape) => {
  it('by alias shows the one live key of that alias, and only to its own team', async () => {
    const { keys, context, call } = await house(shape)
    const made = await keys.create({ alias: 'a', teamId: 'one' }, context())
    const shown = async (query: { alias: string; teamId?: string }) => (await keys.list({ limit: 10, ...query }, call())).items.map(({ keyId }) => keyId)

    expect(await shown({ alias: 'a' })).toEqual([made.keyId])
    expect(await shown({ alias: 'a', teamId: 'one' })).toEqual([made.keyId])
    expect(await shown({ alias: 'a', teamId: 'two' })).toEqual([])
    expect(await shown({ alias: 'b' })).toEqual([])
  })
})

describe.each(shapes)('the fields of a key on $name', (shape) => {
  it('come back whole or are refused before any call, naming the room there is', async () => {
    const { keys, context, steps, call, runtime } = await house(shape)
    const outcomes = new Map<string, number>()
    await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 40_000 }), async (size) => {
      const data = { note: 'ü'.repeat(size) }
      const alias = `a${outcomes.size}-${runtime.random.bytes(8).join('')}`
      const before = steps.length
      const whole = async (): Promise<string> => JSON.stringify([(await keys.info({ alias }, call())).data, 'made'])
      const refusal = ({ code, message, details }: { code: string; message: string; details: object }): string =>
        JSON.stringify([code, details, /has room for \d+ \(\d+ pairs of \d+\)/.test(message), steps.length - before])

      const came = await keys.create({ alias, data }, context()).then(whole, refusal)

      outcomes.set(came.slice(-7), size)
      expect([JSON.stringify([data, 'made']), JSON.stringify(['too_large', { param: 'metadata', applied: 'no' }, true, 0])]).toContain(came)
    }), { numRuns: 40, seed: 7 })

    expect(outcomes.size).toBe(2)
  })

  it('count as nothing when somebody wrote something else over them', async () => {
    const { keys, context, call, provider } = await house(shape)
    await keys.create({ alias: 'a', data: { note: 'x' } }, context())
    await provider.annotate(name, { labels: { 'latchkey-data-1': 'nonsense' } }, call())

    expect(await keys.info({ alias: 'a' }, call())).toMatchObject({ alias: 'a', data: {} })
  })
})

describe.each(indexed)('an index record on $name', (shape) => {
  it('that names another key, nothing, or no name at all is not followed', async () => {
    const { keys, beside, context, call, provider } = await house(shape)
    const other = beside()
    const made = await keys.create({ alias: 'a' }, context())
    await keys.create({ alias: 'b' }, context())
    const point = (value: SecretValue) => provider.write({ name: internalName('litellm', 'index', made.keyId), value, expect: 'any', operation: `put-${tokenHash(value).slice(0, 32)}`, stage: 'current' }, call())
    const found: string[] = []

    for (const value of ['litellm/b', 'litellm/none', 'elsewhere/a', 'litellm/../x', '-'].map((text) => SecretValue.of(text)).concat(SecretValue.ofBytes(Uint8Array.of(0xff, 0xfe)))) {
      await point(value)
      found.push(await outcomeOf(other.info({ keyId: made.keyId }, call())))
    }
    await point(SecretValue.of('litellm/a'))

    expect(new Set(found)).toEqual(new Set(['not_found']))
    expect((await other.info({ keyId: made.keyId }, call())).alias).toBe('a')
  })

  it('that leads out of the prefix is not followed, even to the very key', async () => {
    const { keys, beside, context, call, provider } = await house(shape)
    const made = await beside({ prefix: 'elsewhere' }).create({ alias: 'a' }, context())

    await provider.write({ name: internalName('litellm', 'index', made.keyId), value: SecretValue.of('elsewhere/a'), expect: 'any', operation: `put-${'0'.repeat(32)}`, stage: 'current' }, call())

    expect(await outcomeOf(keys.info({ keyId: made.keyId }, call()))).toBe('not_found')
    expect(await keys.verify(made.key as SecretValue, call())).toEqual({ valid: false })
  })

  it('that cannot be read is no proof of absence', async () => {
    const { keys, context, beside, call } = await house(shape)
    const made = await keys.create({ alias: 'a' }, context())
    const down = beside({ wrap: () => ({ read: unanswered }) })

    await expect(down.info({ keyId: made.keyId }, call())).rejects.toMatchObject({ code: 'provider_unavailable' })
    await expect(down.rotate({ keyId: made.keyId }, {}, context())).rejects.toMatchObject({ code: 'provider_unavailable', details: { applied: 'no' } })
    await expect(down.rotate({ keyId: made.keyId }, {}, context('rotate-rotate-rotate'))).rejects.toMatchObject({ code: 'provider_unavailable', details: { applied: 'unknown' } })
  })
})

describe.each(shapes)('a target on $name', (shape) => {
  it('that cannot be a key is not found', async () => {
    const { keys, context, call } = await house(shape)
    await keys.create({ alias: 'a' }, context())
    const targets = [{ keyId: '' }, { keyId: '../a' }, { keyId: 'A' }, { keyId: 'a'.repeat(60) }, { keyId: 'a'.repeat(64) }, { sha256: 'abc' }, { sha256: '' }, { token: SecretValue.ofBytes(Uint8Array.of(0xff)) }, { token: mintToken('a'.repeat(16), new SeededRandom()) }]

    expect(await Promise.all(targets.map((target) => outcomeOf(keys.info(target, call()))))).toEqual(targets.map(() => 'not_found'))
    expect(await keys.verify(SecretValue.ofBytes(Uint8Array.of(0xff)), call())).toEqual({ valid: false })
  })
})

describe('a provider that lacks something', () => {
  it.each(['describe', 'list', 'write', 'promote', 'annotate', 'discard'] as const)('without %s makes no key, and names it', async (without) => {
    const { keys, context, steps } = await house(shapes[0], { without })

    await expect(keys.create({ alias: 'a' }, context())).rejects.toMatchObject({ code: 'unsupported', message: expect.stringMatching(new RegExp(`cannot ${without}\\.`)), details: { applied: 'no' } })
    expect(steps).toEqual([])
  })

  it('without labels makes no key', async () => {
    const { keys, context } = await house(shapes[0], { wrap: ({ traits }) => ({ traits: { ...traits, write: { guarantee: 'atomic', softDelete: false, labels: 'none' } } }) })

    await expect(keys.create({ alias: 'a' }, context())).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('annotate') })
  })

  it('without list or describe says which when it is asked for keys', async () => {
    const { beside, call } = await house()

    await expect(beside({ without: 'list' }).list({ limit: 10 }, call())).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('list') })
    await expect(beside({ without: 'describe' }).info({ alias: 'a' }, call())).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('describe') })
  })

  it('without recover makes no key over a tombstone that the service holds back, and names it', async () => {
    const { keys, beside, context, call, provider } = await house()
    await keys.create({ alias: 'a' }, context())
    await keys.remove({ alias: 'a' }, context())
    await provider.remove(name, { expect: 'any', final: false }, call())

    await expect(beside({ without: 'recover' }).create({ alias: 'a' }, context())).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('recover'), details: { applied: 'no' } })
  })

  it('that only reads shows and verifies keys, and promises no more than that it would notice', async () => {
    const { keys, beside, context, call } = await house(shapes[0])
    const made = await keys.create({ alias: 'a' }, context())
    const unnamed = await keys.create({}, context())
    const reader = beside({ wrap: readOnly })

    expect(await reader.info({ alias: 'a' }, call())).toMatchObject({ keyId: made.keyId, guarantee: 'detected' })
    expect((await reader.list({ limit: 10 }, call())).items).toHaveLength(2)
    expect(await reader.verify(unnamed.key as SecretValue, call())).toMatchObject({ valid: true })
    await expect(reader.rotate({ alias: 'a' }, {}, context())).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('annotate') })
  })

  it.each(shapes)('that answers a write without its version still gives the key whole, on $name', async (shape) => {
    const { keys, context, accepts } = await house(shape, {
      wrap: (inner) => ({
        write: async (...given) => {
          const { outcome } = await inner.write(...given)
          return { outcome }
        },
      }),
    })

    const made = await keys.create({ alias: 'a' }, context())
    const rotated = await keys.rotate({ alias: 'a' }, {}, context())

    expect(made.stored.version).toMatch(/./)
    expect(rotated.epoch).toBe(2)
    expect(await accepts(rotated.key)).toBe(true)
  })

  it('that lists an empty page with a cursor is asked for the next one', async () => {
    const { keys, context, beside, call } = await house()
    const made = await keys.create({ alias: 'a' }, context())
    const paging = beside({
      wrap: (inner) => ({
        list: async (query, given) => (query.cursor === undefined ? { items: [], cursor: 'on' } : inner.list({ prefix: query.prefix, limit: query.limit, ...(query.label === undefined ? {} : { label: query.label }) }, given)),
      }),
    })

    expect((await paging.info({ keyId: made.keyId }, call())).alias).toBe('a')
  })

  it('that says nothing of its versions still ends a key', async () => {
    const { keys, context, accepts } = await house(shapeNamed('compare_and_set'), {
      wrap: (inner) => ({
        describe: async (...given) => {
          const { versions: _versions, ...facts } = await inner.describe(...given)
          return facts
        },
      }),
    })
    const made = await keys.create({ alias: 'a' }, context())

    expect((await keys.remove({ alias: 'a' }, context())).state).toBe('revoked')
    expect(await accepts(made.key)).toBe(false)
  })

  it('whose labels lost the stamps still shows the key, without saying when it changed', async () => {
    const { keys, context, provider, call } = await house()
    const made = await keys.create({ alias: 'a' }, context())
    const { labels } = await provider.describe(name, call())
    await provider.annotate(name, { labels: Object.fromEntries(Object.keys(labels).filter((key) => key.startsWith('latchkey-op-')).map((key) => [key, null])) }, call())

    const shown = await keys.info({ keyId: made.keyId }, call())

    expect(shown).toMatchObject({ alias: 'a', operations: [] })
    expect(shown).not.toHaveProperty('updated')
  })
})

describe('a list that lags behind', () => {
  it('hides no new key from the process that made it, and is not asked by it', async () => {
    const lists: string[] = []
    const blind = { wrap: () => ({ list: async () => (lists.push('list'), { items: [] }) }) }
    const { keys, beside, context, call, accepts } = await house(shapeNamed('staged'), blind)
    const made = await keys.create({ alias: 'a' }, context())
    const supplied = await keys.create({ alias: 'b', token: SecretValue.of('sk-a-token-of-my-own-0123456789') }, context())
    lists.length = 0

    const own = [(await keys.info({ keyId: made.keyId }, call())).alias, await accepts(made.key), await accepts(supplied.key)]
    const asked = lists.length
    const rotated = await keys.rotate({ keyId: made.keyId }, {}, context())
    const other = await outcomeOf(beside(blind).info({ keyId: made.keyId }, call()))

    expect([...own, await accepts(rotated.key), await accepts(made.key), asked, other]).toEqual(['a', true, true, true, false, 0, 'not_found'])
  })

  it('shows a deleted key as deleted, whatever this process remembers', async () => {
    const { keys, context, call, accepts } = await house(shapeNamed('staged'))
    const made = await keys.create({ alias: 'a' }, context())
    await keys.remove({ keyId: made.keyId }, context())
    const again = await keys.create({ alias: 'a' }, context())

    const outcome = [await outcomeOf(keys.info({ keyId: made.keyId }, call())), await accepts(made.key), await accepts(again.key)]

    expect(outcome).toEqual(['not_found', false, true])
  })
})

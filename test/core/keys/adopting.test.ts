// A secret that LiteLLM stored becomes a key: its value stays, marks are added, and from then on it lives as every other key does.
import { describe, expect, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { shapes } from '../../sim/shapes.ts'
import { house, litellmWrites } from './key-house.ts'

const name = createdName('litellm/a')
const theirs = SecretValue.of('sk-litellm-made-this-one')

describe.each(shapes)('a foreign key on $name', (shape) => {
  it('is adopted with its value, and then found, verified, rotated, blocked, renamed and deleted', async () => {
    const { keys, provider, context, call, accepts } = await house(shape)
    await litellmWrites(provider, theirs)

    const adopted = await keys.adopt({ alias: 'a', teamId: 'team', data: { note: 'n' } }, context())
    const before = await accepts(theirs)
    const shown = await keys.info({ token: theirs }, call())
    const rotated = await keys.rotate({ keyId: adopted.keyId }, { graceMs: 600_000 }, context())
    const inGrace = await accepts(theirs)
    await keys.rotate({ alias: 'a' }, {}, context())
    await keys.remove({ keyId: adopted.keyId }, context())

    expect(adopted).toMatchObject({ alias: 'a', teamId: 'team', state: 'active', data: { note: 'n' }, stored: { name: 'litellm/a' } })
    expect(shown).toMatchObject({ keyId: adopted.keyId, alias: 'a' })
    expect(shown.drift).toBeUndefined()
    expect([before, inGrace, rotated.keyId, await accepts(rotated.key), await accepts(theirs)]).toEqual([true, true, adopted.keyId, false, false])
  })

  it('that took the place of a key is not renamed for it, before it is adopted', async () => {
    const { keys, provider, context, call } = await house(shape)
    const { keyId } = await keys.create({ alias: 'a' }, context())
    await litellmWrites(provider, theirs)

    const refused = await keys.update({ keyId }, { alias: 'b' }, context()).catch((error: unknown) => error)
    await keys.adopt({ alias: 'a' }, context())
    const renamed = await keys.update({ keyId }, { alias: 'b' }, context())

    expect(refused).toMatchObject({ code: 'conflict', details: { applied: 'no' } })
    expect(renamed).toMatchObject({ keyId, alias: 'b' })
    expect((await provider.read(createdName('litellm/b'), {}, call())).value.equals(theirs)).toBe(true)
  })

  it('gets the same id from everybody who adopts it, and from a repetition', async () => {
    const { keys, beside, provider, context } = await house(shape)
    await litellmWrites(provider, theirs)

    const all = [await keys.adopt({ alias: 'a' }, context('adopt-adopt-adopt')), await beside().adopt({ alias: 'a' }, context()), await keys.adopt({ alias: 'a' }, context('adopt-adopt-adopt'))]

    expect(new Set(all.map(({ keyId }) => keyId)).size).toBe(1)
  })

  it('whose value is no token, that is not there, or that is a key already is refused or left as it is', async () => {
    const { keys, provider, context, accepts } = await house(shape)
    await litellmWrites(provider, SecretValue.of('postgres://user:password@db'))
    const made = await keys.create({ alias: 'b' }, context())

    await expect(keys.adopt({ alias: 'a' }, context())).rejects.toMatchObject({ code: 'invalid_request', message: expect.not.stringContaining('postgres'), details: { param: 'key_alias', applied: 'no' } })
    await expect(keys.adopt({ alias: 'c' }, context())).rejects.toMatchObject({ code: 'not_found', details: { applied: 'no' } })
    expect((await keys.adopt({ alias: 'b' }, context())).keyId).toBe(made.keyId)
    expect(await accepts(made.key)).toBe(true)
  })

  it('stands in the list of what could be adopted, until it is', async () => {
    const { keys, provider, context, call } = await house(shape)
    await litellmWrites(provider, theirs)
    await litellmWrites(provider, SecretValue.of('sk-other'), 'litellm/team/b')
    await keys.create({ alias: 'ours' }, context())

    const before = await keys.adoptable({ limit: 50 }, call())
    await keys.adopt({ alias: 'a' }, context())
    const after = await keys.adoptable({ limit: 50 }, call())

    expect(before.items.map(({ alias }) => alias).toSorted()).toEqual(['a', 'team/b'])
    expect(after.items.map(({ alias, stored }) => [alias, stored.name])).toEqual([['team/b', 'litellm/team/b']])
  })

  it('is told by the gateway from then on', async () => {
    const { withGateway, provider, context, atGateway } = await house(shape)
    await litellmWrites(provider, theirs)

    await withGateway().adopt({ alias: 'a' }, context())

    expect(atGateway(theirs)).toBe(true)
  })

  it('is adopted where no value may be read, and then rotates', async () => {
    const { beside, keys, provider, context } = await house(shape)
    await litellmWrites(provider, theirs)
    const blind = beside({ accessMode: 'write_only' })

    const adopted = await blind.adopt({ alias: 'a' }, context())
    const rotated = await blind.rotate({ alias: 'a' }, {}, context())

    expect(rotated.keyId).toBe(adopted.keyId)
    expect((await keys.verify(rotated.key as SecretValue, context().call)).valid).toBe(true)
  })
})

describe('a value that somebody else wrote over a key', () => {
  it.each(shapes.filter(({ guarantee }) => guarantee === 'atomic'))('is told as drift on $name; a rotation or an adoption mends it', async (shape) => {
    const { keys, provider, context, call, accepts, sweep } = await house(shape)
    const made = await keys.create({ alias: 'a', data: { note: 'n' } }, context())
    await litellmWrites(provider, theirs)

    const told = (await keys.info({ alias: 'a' }, call())).drift?.map(({ kind }) => kind)
    const swept = await sweep()
    const adopted = await keys.adopt({ alias: 'a' }, context())

    expect([told, swept.map(({ finding, action }) => [finding, action])]).toEqual([['value_changed'], [['value_changed', 'left']]])
    expect([adopted.keyId, adopted.drift]).toEqual([made.keyId, undefined])
    expect((await keys.info({ alias: 'a' }, call())).drift).toBeUndefined()
    expect(await accepts(theirs)).toBe(true)
    expect((await provider.read(name, {}, call())).value.equals(theirs)).toBe(true)
  })
})

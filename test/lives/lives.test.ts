// Every service keeps a key's whole life as its own vendor's client sees it: over nothing and over names that had keys before, with a gateway beside it and without.
import { describe, expect, it } from 'vitest'
import { besideLitellm } from './gateway.ts'
import { lives } from './lives.ts'
import { wholeLife } from './whole-life.ts'

describe.each(Object.entries(lives))('a virtual key in %s', (_system, open) => {
  it.each([false, true])("is what the vendor's own client sees, from creation to adoption; over tombstones: %s", async (overTombstones) => {
    const life = await open()

    const sights = await wholeLife({ ...life, overTombstones })

    expect(Object.values(sights).filter(({ value }) => value === '')).toEqual([])
  })

  it('is what the gateway lets in, at every step', async () => {
    const life = await open()
    const gateway = await besideLitellm(life.runtime)

    await wholeLife({ ...life, gateway })

    expect(gateway.rows()).toBeGreaterThan(0)
  })
})

// The checksum against the vectors of RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../../shared/credentials/crc32c.ts'

const ascending = Uint8Array.from({ length: 32 }, (_, index) => index)

describe('CRC32C', () => {
  it.each([
    ['nothing', new Uint8Array(), 0],
    ['the digits 1 to 9', Buffer.from('123456789'), 0xe3069283],
    ['32 zeroes', new Uint8Array(32), 0x8a9136aa],
    ['32 times 0xff', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['32 ascending bytes', ascending, 0x46dd794e],
    ['32 descending bytes', ascending.toReversed(), 0x113fdb5c],
  ])('of %s is the published one', (_what, bytes, sum) => {
    expect(crc32c(bytes)).toBe(sum)
  })

  it('changes with every single bit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(), fc.integer({ min: 0, max: 7 }), (bytes, at, bit) => {
        const flipped = Uint8Array.from(bytes)
        const index = at % bytes.length
        flipped[index] = (flipped[index] ?? 0) ^ (1 << bit)

        expect(crc32c(flipped)).not.toBe(crc32c(bytes))
      }),
    )
  })
})

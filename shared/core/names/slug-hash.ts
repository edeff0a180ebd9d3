// Names for a service that knows no slash and no case.
import { createHash } from 'node:crypto'
import { refuseName, type NameCodec } from '../names.ts'

const base32 = 'abcdefghijklmnopqrstuvwxyz234567'
const shortHash = (text: string): string => {
  const bits = [...createHash('sha256').update(text).digest()].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return Array.from({ length: 26 }, (_, index) => base32[Number.parseInt(bits.slice(index * 5, index * 5 + 5), 2)]).join('')
}

/** Azure: a readable slug, a hash that makes it one name's own, and the exact name in the tag `latchkey-name`. Hosted names stay, with `_` as `-`. */
export const slugHashCodec: NameCodec = {
  kind: 'slug_hash',
  encode: (name) => {
    if (name.place === 'created') {
      const slug = name.text.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 100)
      return slug === '' ? shortHash(name.text) : `${slug}-${shortHash(name.text)}`
    }
    const native = name.text.replaceAll('_', '-')
    if (!/^[0-9A-Za-z-]{1,127}$/.test(native)) throw refuseName('name', 'must be 1 to 127 of A-Z a-z 0-9 - (or _, written as -) on this service')
    return native
  },
  decode: (native, label) => (label !== undefined && slugHashCodec.encode({ text: label, place: 'created' }) === native.toLowerCase() ? label : undefined),
}

// How Google's services hold our names: nothing but letters, digits, `_` and `-`, so everything else is written as `-` and two digits, and nothing is lost.
// A hosted name that looks like such a form is refused, because it would be a second way to a name that Latchkey made.
import { LatchkeyError } from '../../core/errors.ts'
import { isInternal, type NameCodec } from '../../core/names.ts'
import { createdName } from '../../core/names/created.ts'

const refuse = (path: string, message: string): LatchkeyError => new LatchkeyError('invalid_request', `${path}: ${message}`, { issues: [{ path, message }], param: path })

/** Whether a text is a name that Latchkey can have made. */
const isCreated = (text: string): boolean => {
  try {
    return isInternal(text) || createdName(text).text === text
  } catch {
    return false
  }
}

/** Google: keeps letters, digits and `_`, and writes everything else as `-` and two lower-case hex digits. Injective by itself. */
export const hexEscapeCodec: NameCodec = {
  kind: 'hex_escape',
  encode: (name) => {
    if (name.place !== 'created') {
      if (!/^[A-Za-z0-9_-]{1,255}$/.test(name.text)) throw refuse('name', 'must be 1 to 255 of A-Z a-z 0-9 _ - on this service')
      const made = name.place === 'hosted' ? hexEscapeCodec.decode(name.text) : undefined
      if (made?.includes('/') === true && hexEscapeCodec.encode({ text: made, place: 'created' }) === name.text) throw refuse('name', 'is the form in which this service holds a name that Latchkey made; ask for that name')
      return name.text
    }
    const encoded = Buffer.from(name.text, 'utf8').reduce((text, byte) => {
      const character = String.fromCharCode(byte)
      return text + (/[A-Za-z0-9_]/.test(character) ? character : `-${byte.toString(16).padStart(2, '0')}`)
    }, '')
    if (encoded.length > 255) throw refuse('name', `is ${encoded.length} characters long once encoded; this service allows 255`)
    return encoded
  },
  decode: (native) => {
    if (!/^(?:[A-Za-z0-9_]|-[0-9a-f]{2})+$/.test(native)) return undefined
    const text = native.replace(/-([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    return isCreated(text) ? text : undefined
  },
}

// Names: the grammar of what Latchkey creates, the looser one of what an operator already has, and the codecs of services that
// cannot hold our names. Nothing is normalised silently: a name is exact or it is an error. (reliability: one byte string, one secret)
import { LatchkeyError } from './errors.ts'
import type { SecretName } from './secret.ts'

/** The segment below the prefix that holds Latchkey's own records. No caller can name it: segments that begin with `__` are reserved. */
export const internalSegment = '__latchkey'
/** The longest segment of a name that Latchkey creates, in bytes. */
export const maxSegmentBytes = 64
const maxHostedBytes = 512

/** The failure for a name that does not fit. */
export const refuseName = (path: string, message: string): LatchkeyError => new LatchkeyError('invalid_request', `${path}: ${message}`, { issues: [{ path, message }], param: path })

// What is no control character, by its numbers: asking for \p{Cc} has a cold start load Unicode's tables.
const noControl = /^[ -~\xa0-\uffff]+$/
const noControlNorLineEnd = /^[ -~\xa0-\u2027\u202a-\uffff]+$/

/** What is wrong with a name that an operator already has, or nothing: any text without control characters and dot segments. */
const hostedNameIssue = (text: string): string | undefined => {
  if (text === '') return 'must not be empty'
  if (!text.isWellFormed()) return 'is not well-formed Unicode'
  if (Buffer.byteLength(text) > maxHostedBytes) return `is ${Buffer.byteLength(text)} bytes long; the limit is ${maxHostedBytes}`
  if (!noControlNorLineEnd.test(text)) return 'holds a control character'
  if (text.split(/[/\\]/).some((segment) => segment === '' || segment === '.' || segment === '..')) return 'has an empty segment or a dot segment'
  if (text.includes('%')) return 'holds a percent sign; names are written decoded'
  return undefined
}

/** Joins prefix and name with exactly one slash; an empty prefix adds none. */
export const joinPrefix = (prefix: string, rest: string): string => (prefix === '' ? rest : `${prefix.replace(/\/+$/, '')}/${rest}`)

/** Whether `text` stands below `prefix`, by whole segments. An empty prefix has everything below it. */
export const isBelow = (prefix: string, text: string): boolean => prefix === '' || text.startsWith(joinPrefix(prefix, ''))

/** Whether a name is the operator's own: one that is hosted, or that does not stand below the prefix. */
export const isOperators = (text: string, prefix: string, hosted: ReadonlySet<string> | undefined): boolean => hosted?.has(text) === true || !isBelow(prefix, text)

/** A name an operator already has. @throws invalid_request */
export const hostedName = (text: string, path = 'name'): SecretName => {
  const issue = hostedNameIssue(text)
  if (issue !== undefined) throw refuseName(path, issue)
  return { text, place: 'hosted' }
}

/** A full resource name from the operator's configuration, such as an ARN. Never built from a request. */
export const nativeName = (text: string): SecretName => ({ text, place: 'native' })

/** A record of Latchkey's own below `<prefix>/__latchkey/`. */
export const internalName = (prefix: string, ...segments: readonly string[]): SecretName => ({
  text: joinPrefix(prefix, [internalSegment, ...segments].join('/')),
  place: 'created',
})

/** A configured pattern as an expression over a whole name: `*` stands for anything inside one segment, `**` for anything at all. */
export const namePattern = (text: string): RegExp =>
  new RegExp(`^${text.replace(/\*{3,}/g, '**').split(/(\*\*?)/).map((part) => (part === '**' ? '.*' : part === '*' ? '[^/]*' : part.replace(/[^\w\s]/g, '\\$&'))).join('')}$`, 's')

/** Whether a name is one of Latchkey's own records. */
export const isInternal = (text: string): boolean => text.split('/').some((segment) => segment.startsWith('__'))

/** Free text (a team id) as one segment: what the grammar does not allow where it stands becomes `=` and two upper-case hex digits. @throws invalid_request */
export const encodeSegment = (text: string, path: string): string => {
  if (text === '') throw refuseName(path, 'must not be empty')
  if (!text.isWellFormed()) throw refuseName(path, 'is not well-formed Unicode')
  const bytes = Buffer.from(text, 'utf8')
  let encoded = ''
  bytes.forEach((byte, index) => {
    const character = String.fromCharCode(byte)
    const atEdge = index === 0 || index === bytes.length - 1
    const legal = /[A-Za-z0-9_.@-]/.test(character) && !(character === '.' && atEdge) && !(character === '_' && index === 0)
    encoded += legal ? character : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
  })
  if (encoded.length > maxSegmentBytes) throw refuseName(path, `is ${encoded.length} characters long once encoded; the limit is ${maxSegmentBytes}`)
  return encoded
}

/** The inverse of {@link encodeSegment}. */
export const decodeSegment = (segment: string): string =>
  Buffer.from(segment.replace(/=([0-9A-F]{2})|([^=])/g, (_, hex: string | undefined, plain: string | undefined) => (hex === undefined ? Buffer.from(plain ?? '', 'utf8').toString('hex') : hex)), 'hex').toString('utf8')

/** How a service holds our names. A provider names its codec in its traits and applies it; nothing else does. */
export interface NameCodec {
  readonly kind: 'verbatim' | 'hex_escape' | 'slug_hash'
  /** The service's own name. @throws invalid_request when the service cannot hold it. */
  encode(name: SecretName): string
  /** Our name for one of the service's; `label` is what the tag `latchkey-name` says. `undefined`: not a name that we created. */
  decode(native: string, label?: string): string | undefined
}

/** Names as they are. `legal` is the service's own grammar; what does not fit is refused before any call. */
export const verbatimCodec = (legal: RegExp = noControl, maxBytes = maxHostedBytes, says = 'characters that this service allows'): NameCodec => ({
  kind: 'verbatim',
  encode: (name) => {
    if (name.place === 'native') return name.text
    if (Buffer.byteLength(name.text) > maxBytes) throw refuseName('name', `is ${Buffer.byteLength(name.text)} bytes long; this service allows ${maxBytes}`)
    if (!legal.test(name.text)) throw refuseName('name', `must be made of ${says}`)
    return name.text
  },
  decode: (native) => native,
})

// Where a name lies in Infisical: `/` means folders, the last segment is the key, both verbatim wherever the service takes them. Its folders hold only letters, digits,
// `-` and `_`; a folder of ours with another character is written as `__x-` and the hex of what is not legal, which no caller's segment can begin with.
import { LatchkeyError } from '../../core/errors.ts'
import { hostedName, internalSegment, type NameCodec } from '../../core/names.ts'
import { createdName } from '../../core/names/created.ts'
import type { SecretName } from '../../core/secret.ts'

/** A folder and a key in it, as the API takes them. */
export interface Place {
  /** From `/`, without a slash at its end. */
  readonly folder: string
  readonly key: string
}

const written = '__x-'
const legalFolder = /^[A-Za-z0-9_-]+$/
const maxKeyBytes = 500
/** Words that stand for something else in the API's own paths when a secret is made or changed. */
const reservedKeys: ReadonlySet<string> = new Set(['batch', 'move'])

const refuse = (message: string): LatchkeyError => new LatchkeyError('invalid_request', `name: ${message}`, { issues: [{ path: 'name', message }], param: 'name' })

const encodeFolder = (segment: string): string => (legalFolder.test(segment) ? segment : written + segment.replace(/[^A-Za-z0-9_]/g, (character) => `-${character.charCodeAt(0).toString(16).padStart(2, '0')}`))
const decodeFolder = (segment: string): string => (segment.startsWith(written) ? segment.slice(written.length).replace(/-([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) : segment)

const encode = (name: SecretName): string => {
  const segments = name.text.split('/')
  const key = segments.at(-1) ?? ''
  if (/[:\p{Cc}]/u.test(name.text)) throw refuse('holds a colon or a control character; Infisical takes neither')
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..' || segment.trim() !== segment)) throw refuse('has a segment that is empty, is made of dots, or has space around it; Infisical would read another one')
  if (Buffer.byteLength(key) > maxKeyBytes) throw refuse(`has a key of ${Buffer.byteLength(key)} bytes; Infisical allows ${maxKeyBytes}`)
  if (segments.at(-2) === internalSegment) throw refuse(`lies directly below ${internalSegment}, where Latchkey keeps its own records`)
  if (name.place === 'created') return [...segments.slice(0, -1).map(encodeFolder), key].join('/')
  if (segments.slice(0, -1).some((segment) => segment.startsWith(written))) throw refuse(`has a folder that begins with ${written}, which is how Latchkey writes folders of its own`)
  return name.text
}

const decode = (native: string): string => {
  const segments = native.split('/')
  return [...segments.slice(0, -1).map(decodeFolder), segments.at(-1)].join('/')
}

/** Names below the configured path. @throws invalid_request for what Infisical cannot hold, and for Latchkey's own records */
export const infisicalNames: NameCodec = { kind: 'verbatim', encode, decode }

/** Where a secret lies below `root`. @throws invalid_request */
export const placeOf = (root: string, name: SecretName): Place => {
  const native = encode(name)
  const at = native.lastIndexOf('/')
  const below = at < 0 ? '' : `/${native.slice(0, at)}`
  return { folder: `${root === '/' ? '' : root}${below}` || '/', key: native.slice(at + 1) }
}

/** Where the record of a secret lies: under the same key in the folder `__latchkey` beside it. */
export const recordPlace = ({ folder, key }: Place): Place => ({ folder: `${folder === '/' ? '' : folder}/${internalSegment}`, key })

/** Whether a folder holds such records. */
export const holdsRecords = (folder: string): boolean => folder.endsWith(`/${internalSegment}`)

/** The service's whole name of a secret. */
export const nativeName = ({ folder, key }: Place): string => `${folder === '/' ? '' : folder}/${key}`

/** Our name of what a list shows; `undefined` for what is not below `root` or what no request could say. */
export const nameAt = (root: string, { folder, key }: Place): SecretName | undefined => {
  const base = root === '/' ? '/' : `${root}/`
  const whole = nativeName({ folder, key })
  if (!whole.startsWith(base)) return undefined
  const text = decode(whole.slice(base.length))
  for (const make of [createdName, hostedName]) {
    try {
      const name = make(text)
      if (nativeName(placeOf(root, name)) === whole) return name
    } catch {
      // Not a name of that kind.
    }
  }
  return undefined
}

/** The deepest folder below `root` in which everything with this prefix lies. */
export const folderOfPrefix = (root: string, prefix: string): string => {
  const segments = prefix.split('/').slice(0, -1)
  const plain = segments.findIndex((segment) => !legalFolder.test(segment))
  const deep = (plain < 0 ? segments : segments.slice(0, plain)).join('/')
  return `${root === '/' ? '' : root}${deep === '' ? '' : `/${deep}`}` || '/'
}

/** @throws invalid_request when the API would take the key for something else */
export const refuseReserved = ({ key }: Place): void => {
  if (reservedKeys.has(key)) throw refuse(`ends with "${key}", a word that Infisical's API keeps for itself; choose another`)
}

/** A path setting as the API takes it. @throws misconfigured */
export const rootOf = (path: string): string => {
  const root = `/${path.split('/').filter((segment) => segment !== '').join('/')}`
  if (/[:\p{Cc}]|(^|\/)\.{1,2}(\/|$)/u.test(root) || root.split('/').some((segment) => segment.trim() !== segment)) throw new LatchkeyError('misconfigured', 'infisical_secret_path must be a path of folders such as /gateway/prod.')
  return root
}

// Names of one secret in several spellings, where the service knows them for one.
import type { NameCodec } from '../names.ts'
import type { SecretName } from '../secret.ts'

/** Whether a secret has several spellings: a service with `slug_hash` names knows neither case nor `_` beside `-` in those that somebody else gave. */
export const isSpeltFreely = ({ kind }: NameCodec, { place }: SecretName): boolean => kind === 'slug_hash' && place !== 'created'

/** One text for every spelling of a secret. */
export const foldedName = (codec: NameCodec, name: SecretName): string => (isSpeltFreely(codec, name) ? codec.encode(name).toLowerCase() : name.text)

// Which secret of a vault an address of Azure's means: `https://<vault>/secrets/<name>`, with or without a version.
import { slugHashCodec } from '../../core/names/slug-hash.ts'
import type { Call } from '../../core/runtime.ts'
import type { SecretName } from '../../core/secret.ts'
import { foldVersions, tagNames } from './chain.ts'
import type { Vault } from './vault.ts'

/** Our name of the secret; nothing when it is of another vault, or not there. */
export const locateSecret = async (vault: Vault, uri: string, resource: string, call: Call): Promise<SecretName | undefined> => {
  if (!URL.canParse(resource) || resource.length > 512) return undefined
  const url = new URL(resource)
  const [, native = ''] = /^\/secrets\/([0-9A-Za-z-]{1,127})(?:\/[0-9A-Fa-f]{1,64})?$/.exec(url.pathname) ?? []
  if (url.origin !== new URL(uri).origin || native === '' || url.search !== '' || url.username !== '') return undefined
  const tags = foldVersions((await vault.versions({ text: native, native }, call)).versions).at(-1)?.tags
  if (tags === undefined || tags[tagNames.pending] !== undefined) return undefined
  const written = tags[tagNames.name]
  const text = written === undefined ? native : slugHashCodec.decode(native, written)
  return text === undefined ? undefined : { text, place: written === undefined ? 'hosted' : 'created' }
}

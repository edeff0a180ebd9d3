// What the vault's answer to a read means, without Microsoft's client. An answer about another secret or version, or without a date, is none.
import { nonsense, type VaultSubject } from './refusals.ts'
import type { VaultSecret } from './vault.ts'
import { isMapping } from '../../core/settings/mapping.ts'

type Json = Readonly<Record<string, unknown>>

const seconds = (value: unknown): Date | undefined => (typeof value === 'number' && Number.isFinite(value) ? new Date(value * 1000) : undefined)
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** The last parts of an identifier: `https://<vault>/secrets/<name>/<version>`. */
const partsOf = (id: unknown): { readonly name: string; readonly version: string } => {
  const [, name = '', version = ''] = /^https?:\/\/[^/]+\/secrets\/([^/?#]+)\/([^/?#]+)$/.exec(text(id)) ?? []
  return { name, version }
}

/** One version with its value. @throws provider_unavailable for what is no answer to this question */
export const secretOf = (json: unknown, subject: VaultSubject, asked: string | undefined): VaultSecret => {
  const { value, id, attributes, tags, contentType }: Json = isMapping(json) ? json : {}
  const { created: at, enabled, exp, nbf }: Json = isMapping(attributes) ? attributes : {}
  const { name, version } = partsOf(id)
  const [created, expires, notBefore] = [at, exp, nbf].map(seconds)
  if (typeof value !== 'string' || created === undefined || !/^[0-9a-f]{32}$/.test(version) || name.toLowerCase() !== subject.native.toLowerCase() || (asked !== undefined && version !== asked)) throw nonsense({ action: 'an answer', subject })
  return {
    id: version,
    created: created.getTime(),
    enabled: enabled !== false,
    tags: Object.fromEntries(Object.entries(isMapping(tags) ? tags : {}).map(([key, tag]) => [key, text(tag)])),
    ...(typeof contentType === 'string' && { contentType }),
    ...(expires !== undefined && { expires }),
    ...(notBefore !== undefined && { notBefore }),
    value,
  }
}

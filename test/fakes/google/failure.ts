// How Google's APIs refuse: a status by name, its number, and the envelope around both. What a field may be is held here too, in the vendor's limits.

export const statusNumbers = { INVALID_ARGUMENT: 400, FAILED_PRECONDITION: 400, UNAUTHENTICATED: 401, PERMISSION_DENIED: 403, NOT_FOUND: 404, ALREADY_EXISTS: 409, ABORTED: 409, RESOURCE_EXHAUSTED: 429, INTERNAL: 500, UNIMPLEMENTED: 501, UNAVAILABLE: 503 } as const
export type Status = keyof typeof statusNumbers

/** The numbers of the same names in gRPC. */
export const grpcNumbers: Readonly<Record<Status, number>> = { INVALID_ARGUMENT: 3, NOT_FOUND: 5, ALREADY_EXISTS: 6, PERMISSION_DENIED: 7, RESOURCE_EXHAUSTED: 8, FAILED_PRECONDITION: 9, ABORTED: 10, UNIMPLEMENTED: 12, INTERNAL: 13, UNAVAILABLE: 14, UNAUTHENTICATED: 16 }

export class GoogleFailure extends Error {
  readonly status: Status
  readonly reason: string | undefined
  constructor(status: Status, message: string, reason?: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

export type Json = Readonly<Record<string, unknown>>

/** The envelope of a refusal. */
export const envelope = ({ status, message, reason }: Pick<GoogleFailure, 'status' | 'message' | 'reason'>): { status: number; body: object } => ({
  status: statusNumbers[status],
  body: { error: { code: statusNumbers[status], message, status, ...(reason !== undefined && { details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com', metadata: { service: 'secretmanager.googleapis.com' } }] }) } },
})

export const invalid = (message: string): GoogleFailure => new GoogleFailure('INVALID_ARGUMENT', message)

const bytes = (text: string): number => Buffer.byteLength(text)

const pairsOf = (field: string, value: unknown): [string, string][] => {
  if (value === undefined || value === null) return []
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid(`${field} must be a map.`)
  return Object.entries(value).map(([key, text]) => {
    if (typeof text !== 'string' && typeof text !== 'number') throw invalid(`${field}.${key} must be text.`)
    return [key, String(text)]
  })
}

/** At most 64 labels: keys and values of lower-case letters, digits, `_`, `-`, keys beginning with a letter. */
export const labelsOf = (value: unknown): Readonly<Record<string, string>> => {
  const pairs = pairsOf('labels', value)
  if (pairs.length > 64) throw invalid('A secret can have at most 64 labels.')
  for (const [key, text] of pairs) {
    if (!/^\p{Ll}[\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u.test(key) || bytes(key) > 128) throw invalid(`Label key ${key} is not allowed.`)
    if (!/^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u.test(text) || bytes(text) > 128) throw invalid(`Label value ${text} is not allowed.`)
  }
  return Object.fromEntries(pairs)
}

/** Keys of 1 to 63 that begin and end with a letter or digit; together at most 16 KiB. */
export const annotationsOf = (value: unknown): Readonly<Record<string, string>> => {
  const pairs = pairsOf('annotations', value)
  for (const [key] of pairs) if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(key)) throw invalid(`Annotation key ${key} is not allowed.`)
  if (pairs.reduce((sum, [key, text]) => sum + bytes(key) + bytes(text), 0) > 16_384) throw invalid('The total size of annotations must be less than 16KiB.')
  return Object.fromEntries(pairs)
}

/** At most 50, each of up to 63 characters that begin with a letter, not `latest` or `NEW`; each names a version that was made. */
export const aliasesOf = (value: unknown, made: number): Readonly<Record<string, string>> => {
  const pairs = pairsOf('version_aliases', value)
  if (pairs.length > 50) throw invalid('A secret can have at most 50 aliases.')
  for (const [alias, number] of pairs) {
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,62}$/.test(alias) || ['latest', 'NEW'].includes(alias)) throw invalid(`Alias ${alias} is not allowed.`)
    if (!/^[1-9]\d*$/.test(number) || Number(number) > made) throw invalid(`Alias ${alias} names no version.`)
  }
  return Object.fromEntries(pairs)
}

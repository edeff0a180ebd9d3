// What AWS Secrets Manager accepts in a request, before it looks at any secret: lengths, counts, characters, and the refusals in its own names.

/** A refusal under the service's own name for it. Client faults are 400 on this service. */
export class ServiceFailure extends Error {
  readonly status: number

  constructor(name: string, message: string, status = 400) {
    super(message)
    this.name = name
    this.status = status
  }
}

/** A request's JSON object. */
export type Input = Readonly<Record<string, unknown>>

/** The value of one version: text, or bytes as base64. */
export type HeldValue = { readonly SecretString: string } | { readonly SecretBinary: string }

/** The quotas that a request can meet. */
export const quota = { versions: 100, labels: 20, tags: 50, valueBytes: 65_536, batch: 20 }

/** A field that does not fit. */
export const invalid = (message: string): ServiceFailure => new ServiceFailure('InvalidParameterException', message)
/** A field that breaks the API model. */
export const constraint = (field: string, rule: string): ServiceFailure => new ServiceFailure('ValidationException', `1 validation error detected: Value at '${field}' failed to satisfy constraint: Member must ${rule}`)
/** There is no such secret, version or label. */
export const notFound = (what = 'the specified secret.'): ServiceFailure => new ServiceFailure('ResourceNotFoundException', `Secrets Manager can't find ${what}`)
/** The state of the secret does not allow it. */
export const refused = (message: string): ServiceFailure => new ServiceFailure('InvalidRequestException', message)

/** A text field within its lengths; `undefined` when it is not there. */
export const textOf = (input: Input, field: string, least: number, most: number): string | undefined => {
  const value = input[field]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw new ServiceFailure('SerializationException', `${field} must be a string`)
  if (value.length < least) throw constraint(field, `have length greater than or equal to ${least}`)
  if (value.length > most) throw constraint(field, `have length less than or equal to ${most}`)
  return value
}

/** A field that must be there. */
export const needed = <T>(value: T | undefined, field: string): T => {
  if (value === undefined) throw constraint(field, 'not be null')
  return value
}

/** A whole number within its bounds. */
export const countOf = (input: Input, field: string, least: number, most: number): number | undefined => {
  const value = input[field]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value)) throw new ServiceFailure('SerializationException', `${field} must be a number`)
  if (value < least) throw constraint(field, `have value greater than or equal to ${least}`)
  if (value > most) throw constraint(field, `have value less than or equal to ${most}`)
  return value
}

/** A list. */
export const listOf = (input: Input, field: string): readonly unknown[] | undefined => {
  const value = input[field]
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) throw new ServiceFailure('SerializationException', `${field} must be a list`)
  return value
}

/** Tags, by key. */
export const tagsOf = (input: Input): Map<string, string> => {
  const tags = new Map<string, string>()
  for (const item of listOf(input, 'Tags') ?? []) {
    const tag = item as Input
    const key = needed(textOf(tag, 'Key', 1, 128), 'tags.member.key')
    const value = textOf(tag, 'Value', 0, 256) ?? ''
    if (/^aws:/i.test(key)) throw invalid('Tag keys that begin with aws: are reserved for AWS.')
    if (!/^[\p{L}\p{N}\p{Zs}_.:/=+\-@]*$/u.test(key + value)) throw invalid('A tag holds a character that is not allowed.')
    if (tags.has(key)) throw invalid(`The tag key ${key} is there twice.`)
    tags.set(key, value)
  }
  return tags
}

/** The value of a request, if it brings one. */
export const valueOf = (input: Input): HeldValue | undefined => {
  const { SecretString, SecretBinary } = input
  if (typeof SecretString === 'string' && typeof SecretBinary === 'string') throw invalid("You can't specify both SecretString and SecretBinary.")
  if (typeof SecretString === 'string') {
    if (SecretString === '') throw constraint('secretString', 'have length greater than or equal to 1')
    if (Buffer.byteLength(SecretString) > quota.valueBytes) throw constraint('secretString', `have length less than or equal to ${quota.valueBytes}`)
    return { SecretString }
  }
  if (typeof SecretBinary === 'string') {
    const { byteLength } = Buffer.from(SecretBinary, 'base64')
    if (byteLength === 0) throw constraint('secretBinary', 'have length greater than or equal to 1')
    if (byteLength > quota.valueBytes) throw constraint('secretBinary', `have length less than or equal to ${quota.valueBytes}`)
    return { SecretBinary }
  }
  return undefined
}

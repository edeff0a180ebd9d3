// Bodies against zod schemas, with every issue in our own words and none of the sender's. Not on the read path: zod stays out of the read function.
import * as z from 'zod/mini'
import { LatchkeyError, type Issue } from '../core/errors.ts'
import { nearest } from '../core/errors/nearest.ts'
import type { JsonObject } from './api.ts'
import { shownKey } from './json-reader.ts'

const kinds: Readonly<Record<string, string>> = { string: 'text', int: 'a whole number', number: 'a number', boolean: 'true or false', array: 'a list', record: 'an object', object: 'an object' }
const measures: Readonly<Record<string, string>> = { string: ' characters', array: ' items', record: ' members' }

/** What is wrong, with the limit; the value itself is looked at only for whether it is there. */
const say = (issue: z.core.$ZodRawIssue): string => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${kinds[issue.expected] ?? issue.expected}`
    case 'too_big':
      return `must be at most ${issue.maximum}${measures[issue.origin] ?? ''}`
    case 'too_small':
      return `must be at least ${issue.minimum}${measures[issue.origin] ?? ''}`
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`
    case 'invalid_key':
      return `has an illegal key: ${issue.issues[0]?.message ?? 'it does not fit'}`
    default:
      return 'does not fit'
  }
}

z.config({ localeError: say })

type ObjectSchema = z.ZodMiniObject<Readonly<Record<string, z.ZodMiniType>>>

const pathOf = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text === '' ? '' : `${text}.`}${shownKey(String(part))}`), '') || 'body'

const unknownFields = (body: JsonObject, schema: ObjectSchema): readonly string[] => Object.keys(body).filter((key) => !Object.hasOwn(schema.shape, key))

const unknownIssue = (key: string, known: readonly string[]): Issue => {
  const near = nearest(key, known)
  return { path: shownKey(key), message: `is not a field of this route${near === undefined ? `; its fields are ${known.join(', ')}` : `; did you mean ${near}?`}` }
}

const parse = <S extends ObjectSchema>(schema: S, body: JsonObject, more: readonly Issue[]): z.output<S> => {
  const known = Object.fromEntries(Object.entries(body).filter(([key]) => Object.hasOwn(schema.shape, key)))
  const result = z.safeParse(schema, known, { reportInput: false })
  const issues = [...more, ...(result.error?.issues ?? []).map((issue) => ({ path: pathOf(issue.path), message: issue.message }))]
  if (result.success && issues.length === 0) return result.data
  throw new LatchkeyError('invalid_request', issues.map((issue) => `${issue.path}: ${issue.message}`).join('; '), { issues, ...(issues[0] === undefined ? {} : { param: issues[0].path }) })
}

/** For our own routes: an unknown field is an issue like any other. @throws invalid_request with every issue at once */
export const strictly = <S extends ObjectSchema>(schema: S, body: JsonObject): z.output<S> =>
  parse(schema, body, unknownFields(body, schema).map((key) => unknownIssue(key, Object.keys(schema.shape))))

/** For LiteLLM's routes: unknown fields are ignored and named in `warnings`. @throws invalid_request with every issue at once */
export const tolerantly = <S extends ObjectSchema>(schema: S, body: JsonObject): { readonly fields: z.output<S>; readonly warnings: readonly string[] } => ({
  fields: parse(schema, body, []),
  warnings: unknownFields(body, schema).map((key) => `${shownKey(key)}: is not a field that Latchkey knows; it was ignored and is not stored.`),
})

// One field of a JSON secret, loaded by the first who asks for one. Values are exact: text as it is, everything else as its own JSON text, numbers with the digits they were written with.
import { LatchkeyError, absentSecret, isCode } from '../errors.ts'
import { SecretValue, type SecretRef } from '../secret.ts'
import type { Lookup } from './lookup.ts'

/** Takes `property` out of a JSON secret: a top-level key, or a JSON pointer if it begins with `/`. @throws misconfigured (not JSON), not_found (no such property) */
export const propertyOf = (value: SecretValue, property: string, named: string): SecretValue => {
  let found: unknown = parse(value, named)
  const steps = property.startsWith('/') ? property.slice(1).split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')) : [property]
  for (const step of steps) {
    if (found === null || typeof found !== 'object' || !Object.hasOwn(found, step)) throw new LatchkeyError('not_found', `${named} has no property "${property}".`)
    found = (found as Readonly<Record<string, unknown>>)[step]
  }
  return SecretValue.of(typeof found === 'string' ? found : JSON.stringify(found))
}

/** What is asked for, out of what the provider was asked for: the secret's own field of a primary secret, and a property of it. @throws not_found, misconfigured */
export const partOf = (whole: SecretValue, { name, property }: SecretRef, { primary }: Lookup, store: { readonly name: string; readonly system: string }): SecretValue => {
  const value = primary === undefined ? whole : fromPrimary(whole, primary, name, store)
  return property === undefined ? value : propertyOf(value, property, `"${name}" in store "${store.name}"`)
}

const fromPrimary = (whole: SecretValue, property: string, name: string, store: { readonly name: string; readonly system: string }): SecretValue => {
  try {
    return propertyOf(whole, property, `The primary secret of store "${store.name}"`)
  } catch (error) {
    throw isCode(error, 'not_found') ? absentSecret(store, name) : error
  }
}

const parse = (value: SecretValue, named: string): object => {
  try {
    // rawJSON keeps a number's own digits; a reviver sees `__proto__` as an ordinary own key, because JSON.parse defines it.
    const parsed: unknown = parseJson(value.reveal(), (_key, item, context) => (typeof item === 'number' && context.source !== undefined ? rawJson(context.source) : item))
    if (parsed !== null && typeof parsed === 'object') return parsed
  } catch {
    // The parser's message holds the beginning of the value; nothing of it may go on.
  }
  throw new LatchkeyError('misconfigured', `${named} is not a JSON object, so it has no properties.`)
}

// The compiler's library does not know these parts of JSON yet; Node 24 has them.
type Reviver = (key: string, item: unknown, context: { readonly source?: string }) => unknown
const { parse: parseJson, rawJSON: rawJson } = JSON as unknown as { parse(text: string, reviver: Reviver): unknown; rawJSON(text: string): unknown }

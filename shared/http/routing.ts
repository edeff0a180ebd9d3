// Paths and queries: which route a raw path means, and its parts decoded exactly once. A second decoding anywhere would let `%252e` through.
import { didYouMean } from '../core/errors.ts'
import type { Route } from './api.ts'
import { badField, shownKey } from './body.ts'

interface Pattern {
  readonly path: string
  readonly expression: RegExp
  readonly parameters: readonly string[]
  readonly routes: readonly Route[]
}

/** A path that is one of ours, with every method it has. */
export interface Match {
  readonly routes: readonly Route[]
  /** Still percent-encoded. */
  readonly raw: Readonly<Record<string, string>>
}

const expressionOf = (path: string): RegExp =>
  new RegExp(`^${path.replace(/[.:]/g, '\\$&').replace('{name}', '(.*)').replace(/\{\w+\}/g, '([^/]*)')}$`, 's')

/** Literal paths first, then those with a literal end, so that `:recover` is a verb before it is part of a name. */
const rank = (path: string): number => (path.includes('{') ? (path.endsWith('}') ? 2 : 1) : 0)

/** Makes the lookup of a route table. */
export const createRouter = (routes: readonly Route[]): ((method: string, path: string) => Match | undefined) => {
  const byPath = Map.groupBy(routes, (route) => route.path)
  const patterns: Pattern[] = [...byPath].map(([path, rows]) => ({ path, expression: expressionOf(path), parameters: [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ''), routes: rows }))
  patterns.sort((a, b) => rank(a.path) - rank(b.path))
  return (method, path) => {
    for (const pattern of patterns) {
      const match = pattern.expression.exec(path)
      if (match === null) continue
      if (method === 'POST' && pattern.path.endsWith('{name}') && /:[^/]*$/.test(path)) return undefined
      return { routes: pattern.routes, raw: Object.fromEntries(pattern.parameters.map((name, index) => [name, match[index + 1] ?? ''])) }
    }
    return undefined
  }
}

/** The value of a header `Allow`: HEAD goes with GET, and every path answers OPTIONS. */
export const allowed = (routes: readonly Route[]): string => [...new Set(routes.flatMap((route) => (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]))), 'OPTIONS'].join(', ')

/** One percent-decoding. @throws invalid_request naming the field */
export const decodeOnce = (raw: string, field: string): string => {
  if (!/^[\x21-\x7e]*$/.test(raw)) throw badField(field, 'holds a raw character outside printable ASCII', 'Percent-encode it.')
  try {
    return decodeURIComponent(raw)
  } catch {
    throw badField(field, 'is not valid percent-encoded UTF-8', 'Write "%" and two hex digits for each byte.')
  }
}

/** The name of a path parameter, decoded once; what is left to check is the store's grammar. @throws invalid_request */
export const decodeName = (raw: string): string => checkName(decodeOnce(raw, 'name'), 'name')

/** What no name may hold over HTTP, whatever a store's own grammar allows: a colon (verbs, ARNs), a percent sign (a second encoding), a backslash. @throws invalid_request */
export const checkName = (name: string, field: string): string => {
  if (name === '') throw badField(field, 'must not be empty')
  const illegal = /[%:\\]/.exec(name)?.[0]
  if (illegal !== undefined) throw badField(field, `holds "${illegal}", which no name has`, illegal === '%' ? 'Names are decoded once; encode once.' : 'URLs and bodies carry names, no ARNs and no URLs.')
  if (name.split('/').includes('')) throw badField(field, 'has an empty segment', 'Use single slashes, none at either end.')
  return name
}

/** The query of a route: every parameter known, each once, none empty but `prefix`. @throws invalid_request, unsupported (by `refuse`) */
export const parseQuery = (raw: string, route: Route, refuse: (name: string) => Error): ReadonlyMap<string, string> => {
  const known = route.query ?? []
  const query = new Map<string, string>()
  for (const part of raw === '' ? [] : raw.split('&')) {
    const cut = part.indexOf('=')
    const name = decodeOnce(cut < 0 ? part : part.slice(0, cut), 'query')
    if (route.unsupportedQuery?.includes(name) === true) throw refuse(name)
    if (!known.includes(name)) {
      const list = known.length === 0 ? 'This route has none.' : `Known: ${known.join(', ')}.`
      throw badField(`query.${shownKey(name)}`, `is not a parameter of this route${didYouMean(name, known)}`, list)
    }
    if (query.has(name)) throw badField(`query.${name}`, 'stands twice; the limit is once', 'Send it once.')
    const value = decodeOnce(cut < 0 ? '' : part.slice(cut + 1).replaceAll('+', '%20'), `query.${name}`)
    if (/\p{Cc}/u.test(value)) throw badField(`query.${name}`, 'holds a control character', 'Send printable text.')
    if (value === '' && name !== 'prefix') throw badField(`query.${name}`, 'must not be empty', 'Leave it out for the default.')
    query.set(name, value)
  }
  return query
}

/** A whole number in a query. @throws invalid_request naming both ends */
export const integerOf = (query: ReadonlyMap<string, string>, name: string, fallback: number, min: number, max: number): number => {
  const text = query.get(name)
  if (text === undefined) return fallback
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(number >= min && number <= max)) throw badField(`query.${name}`, `must be a whole number from ${min} to ${max}`)
  return number
}

// Paths: which route a raw path means, and its parts decoded exactly once. A second decoding anywhere would let `%252e` through.
import type { Route } from './api.ts'
import { badField } from './body.ts'

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

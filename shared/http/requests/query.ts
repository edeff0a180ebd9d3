// What stands behind the question mark. Loaded by the first request that has a query.
import { LatchkeyError } from '../../core/errors.ts'
import { didYouMean } from '../../core/errors/nearest.ts'
import type { Route } from '../api.ts'
import { badField } from '../body.ts'
import { shownKey } from '../json-reader.ts'
import { decodeOnce } from '../routing.ts'

const unsupported = (name: string): LatchkeyError =>
  new LatchkeyError('unsupported', `query.${name}: is LiteLLM's; Latchkey keeps no table of keys that it could sort or search by it.`, { param: name, hint: 'Page with cursor and limit; narrow by team_id and key_alias.' })

/** The query of a route: every parameter known, each once, none empty but `prefix`. @throws invalid_request, unsupported */
export const parseQuery = (raw: string, route: Route): ReadonlyMap<string, string> => {
  const known = route.query ?? []
  const query = new Map<string, string>()
  for (const part of raw === '' ? [] : raw.split('&')) {
    const cut = part.indexOf('=')
    const name = decodeOnce(cut < 0 ? part : part.slice(0, cut), 'query')
    if (route.unsupportedQuery?.includes(name) === true) throw unsupported(name)
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

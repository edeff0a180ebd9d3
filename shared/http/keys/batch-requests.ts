// Requests about many keys: delete, adopt, reconcile. What is wrong with one item is that item's result; what is wrong with the request refuses all of it.
import * as z from 'zod/mini'
import { asLatchkeyError, type LatchkeyError } from '../../core/errors.ts'
import type { AdoptRequest, KeyTarget } from '../../core/virtual-key.ts'
import type { JsonObject } from '../api.ts'
import { badField } from '../body.ts'
import { strictly, tolerantly } from '../validation.ts'
import { alias, dataFields, enforcedFields, maybe, optional, text } from './fields.ts'
import { aliasTarget, checkRotation, dataOf, lifetimeMs, targetOf, unenforced } from './terms.ts'

const maxDeletes = 100
const pageLimit = z.int().check(z.gte(1), z.lte(100))
const cursor = z.string().check(z.minLength(1), z.maxLength(4096))

const deleteSchema = z.object({ keys: maybe(z.array(z.string())), key_aliases: maybe(z.array(z.string())), team_id: maybe(text(256)) })
const adoptSchema = z.object({ ...optional({ key_alias: alias, team_id: text(256), duration: z.string(), all: z.boolean(), dry_run: z.boolean(), cursor, limit: pageLimit }), ...dataFields })
const reconcileSchema = z.object(optional({ repair: z.boolean(), cursor, limit: pageLimit }))

/** One key of a delete, and how the request named it; a token is never repeated. */
export interface DeleteItem {
  readonly path: string
  readonly alias?: string
  readonly target: KeyTarget | LatchkeyError
}

const orError = <T>(make: () => T): T | LatchkeyError => {
  try {
    return make()
  } catch (error) {
    return asLatchkeyError(error)
  }
}

/** An alias in a list, which is an item of its own: held to the form that every alias has. */
const aliasItem = (given: string, path: string, team: string | undefined): KeyTarget => {
  const found = z.safeParse(alias, given, { reportInput: false })
  if (!found.success) throw badField(path, found.error.issues[0]?.message ?? 'does not fit')
  return aliasTarget(given, team)
}

/** The keys to delete, in the request's order. @throws invalid_request */
export const deleteRequest = (body: JsonObject): { readonly items: readonly DeleteItem[]; readonly warnings: readonly string[] } => {
  const { fields, warnings } = tolerantly(deleteSchema, body)
  const team = fields.team_id ?? undefined
  const items = [
    ...(fields.keys ?? []).map((key, index): DeleteItem => ({ path: `keys[${index}]`, target: orError(() => targetOf(key, `keys[${index}]`)) })),
    ...(fields.key_aliases ?? []).map((given, index): DeleteItem => {
      const target = orError(() => aliasItem(given, `key_aliases[${index}]`, team))
      return { path: `key_aliases[${index}]`, target, ...('code' in target ? {} : { alias: given }) }
    }),
  ]
  if (items.length > maxDeletes) throw badField('keys', `and key_aliases name ${items.length} keys; the limit is ${maxDeletes}`, 'Send several requests.')
  return { items, warnings }
}

/** A page of a list that a request walks through. */
export interface Paged {
  readonly limit: number
  readonly cursor?: string
}

const paged = ({ limit, cursor: at }: { readonly limit?: number | null | undefined; readonly cursor?: string | null | undefined }): Paged => ({ limit: limit ?? 50, ...(at == null ? {} : { cursor: at }) })

/** What is to be taken over: one secret by its alias, or a page of all that are there. */
export interface AdoptAsked {
  /** What every key that is taken over gets. */
  readonly given: Omit<AdoptRequest, 'alias'>
  readonly enforced: ReturnType<typeof enforcedFields>
  readonly alias?: string
  readonly all?: Paged & { readonly dryRun: boolean }
  readonly warnings: readonly string[]
}

/** @throws invalid_request */
export const adoptRequest = (body: JsonObject, now: number): AdoptAsked => {
  const fields = strictly(adoptSchema, body)
  const all = fields.all === true
  if (all === (fields.key_alias != null)) throw badField('key_alias', all ? 'goes without all; the limit is one of the two' : 'must be given, or "all": true', 'Send {"key_alias": "<alias>"} for one secret, or {"all": true} to see what can be taken over.')
  const stray = all ? undefined : (['dry_run', 'cursor', 'limit'] as const).find((name) => fields[name] != null)
  if (stray !== undefined) throw badField(stray, 'goes with "all": true only', 'Leave it out.')
  const data = Object.fromEntries(Object.entries(dataOf(fields)).filter(([, value]) => value !== null))
  checkRotation(data, now)
  return {
    given: {
      ...(fields.team_id == null ? {} : { teamId: fields.team_id }),
      ...(fields.duration == null ? {} : { durationMs: lifetimeMs(fields.duration, now) }),
      ...(Object.keys(data).length === 0 ? {} : { data }),
    },
    enforced: enforcedFields(data),
    ...(fields.key_alias == null ? {} : { alias: fields.key_alias }),
    ...(all ? { all: { ...paged(fields), dryRun: fields.dry_run ?? true } } : {}),
    warnings: unenforced(data),
  }
}

/** @throws invalid_request */
export const reconcileRequest = (body: JsonObject): Paged & { readonly repair: boolean } => {
  const fields = strictly(reconcileSchema, body)
  return { ...paged(fields), repair: fields.repair ?? false }
}

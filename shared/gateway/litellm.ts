// The gateway port on a running LiteLLM, through its admin API with its master key; free of its licence but for `replace`. Learned from LiteLLM's own source, and held
// against a fake that behaves as that does (test/fakes/litellm-gateway.ts, test/gateway/litellm-facts.ts). Tokens travel in bodies, in addresses only their hashes.
import { LatchkeyError, refuse } from '../core/errors.ts'
import type { Gateway, GatewayRow, TokenRef } from '../core/gateway.ts'
import type { HttpPort } from '../core/http-client.ts'
import type { Call, Clock, Random } from '../core/runtime.ts'
import type { SecretValue } from '../core/secret.ts'
import { tokenHash } from '../core/virtual-key.ts'
import { askLitellm, denied, nonsense, title, type AdminCall, type Fields, type Outcome, type Refusal } from './litellm-api.ts'
import { changedMetadata, durationUntil, isArchived, listedRow, markedMetadata, markOf, metadataInEpoch, plainFields, rowOf } from './litellm-rows.ts'
import { isMapping } from '../core/settings/mapping.ts'

/** Where LiteLLM is, and how it is talked to. */
export interface LitellmSettings {
  readonly url: string
  /** LiteLLM's master key; asked for at every call, so that it may live in a manager. What it throws is thrown on. */
  masterKey(call: Call): Promise<SecretValue>
  /** Whether LiteLLM has an Enterprise licence. Only then there is `replace`. */
  readonly licensed: boolean
  /** For each attempt of a call, within the call's own deadline. */
  readonly timeoutSeconds: number
  /** PEM of the authorities to trust in place of the system's. */
  readonly ca?: string
}

const largestPage = 100
/** A full page of rows with their metadata. */
const maxAnswerBytes = 8_388_608

const hashOf = (ref: TokenRef): string => {
  const sha256 = 'token' in ref ? tokenHash(ref.token) : ref.sha256
  if (!/^[0-9a-f]{64}$/i.test(sha256)) throw refuse('sha256', 'must be 64 hex digits')
  return sha256.toLowerCase()
}

const aliasTaken = (): LatchkeyError => new LatchkeyError('already_exists', `${title} has another key with this alias.`, { param: 'key_alias' })

/** LiteLLM words both an alias that is taken and one of a wrong form with this parameter. */
const isAliasTaken = ({ status, param, says }: Refusal): boolean => status === 400 && param === 'key_alias' && says(/already exists/i)

/**
 * Opens the gateway; makes no call. Where LiteLLM runs in several processes, one that has seen a token lately may go by what it remembers (60 s by default): a block and an
 * expiry taken off reach the others within that time, and `accepts` says what the one that answers thinks. @throws misconfigured naming latchkey.gateway.url
 */
export const openLitellmGateway = async (settings: LitellmSettings, { http, clock, random }: { readonly http: HttpPort; readonly clock: Clock; readonly random: Random }): Promise<Gateway> => {
  const ms = settings.timeoutSeconds * 1000
  const client = await http.connect({
    url: settings.url, title, setting: 'latchkey.gateway.url', maxAnswerBytes, attempts: 2, limits: { connect: Math.min(2_000, ms), firstByte: ms, total: ms }, ...(settings.ca !== undefined && { ca: settings.ca }),
  })
  const admin = async (asked: AdminCall, call: Call): Promise<Outcome> => askLitellm(client, clock, asked, await settings.masterKey(call), call)

  /** The row as LiteLLM answers it. A wrong address is a failure, not an absence. */
  const look = async (sha256: string, call: Call): Promise<Fields | undefined> => {
    const action = 'the reading of a key'
    const outcome = await admin({ action, method: 'GET', path: `/key/info?key=${sha256}` }, call)
    if ('refusal' in outcome) {
      if (outcome.refusal.status === 404) return undefined
      throw denied(outcome.refusal, action)
    }
    const info = isMapping(outcome.answer) ? outcome.answer['info'] : undefined
    if (!isMapping(info)) throw nonsense(action)
    return isArchived(info) ? undefined : info
  }

  const read = (row: unknown, action: string): GatewayRow => {
    const found = rowOf(row)
    if (found === undefined) throw nonsense(action)
    return found
  }
  /** A success names the token that it is about, under one of these; without that it is another program's. */
  const isAbout = (answer: unknown, sha256: string): answer is Fields => isMapping(answer) && [answer['token_id'], answer['token'], answer['key']].includes(sha256)

  const add: Gateway['add'] = async (token, row, call) => {
    const action = 'the adding of a key'
    const sha256 = tokenHash(token)
    const addition = Buffer.from(random.bytes(8)).toString('hex')
    const fields = {
      ...plainFields(row.fields),
      ...(row.alias !== undefined && { key_alias: row.alias }),
      ...(row.teamId !== undefined && { team_id: row.teamId }),
      ...(row.expires !== undefined && { duration: durationUntil(row.expires, clock.now()) }),
      ...(row.blocked && { blocked: true }),
      metadata: markedMetadata(row, addition),
      key: token,
    }
    const outcome = await admin({ action, method: 'POST', path: '/key/generate', fields }, call)
    const byAlias = 'refusal' in outcome && outcome.refusal.status === 400 && outcome.refusal.param === 'key_alias'
    if ('refusal' in outcome && !byAlias) throw denied(outcome.refusal, action)
    if ('answer' in outcome && !isAbout(outcome.answer, sha256)) throw nonsense(action)
    // LiteLLM answers with what was asked for, whatever stands; and a token's own row counts as a taken alias. Only the row itself says which it was.
    const stands = await look(sha256, call)
    if ('refusal' in outcome) {
      if (stands !== undefined) return 'stood'
      throw isAliasTaken(outcome.refusal) ? aliasTaken() : denied(outcome.refusal, action)
    }
    return stands === undefined || markOf(stands)['addition'] === addition ? 'added' : 'stood'
  }

  const accepts: Gateway['accepts'] = async (token, call) => {
    const action = 'the question whether it accepts a token'
    const outcome = await askLitellm(client, clock, { action, method: 'GET', path: '/key/info' }, token, call)
    if ('answer' in outcome) {
      if (!isMapping(outcome.answer) || !isMapping(outcome.answer['info'])) throw nonsense(action)
      return true
    }
    const { status, litellm, type, says } = outcome.refusal
    if (!litellm) throw nonsense(action, status)
    // Only a token that it knows may be over its budget, kept from this route, or without a row of its own (in its grace).
    // LiteLLM looks at blocks and expiry before it looks at routes; some versions word a route that is kept from a token as 401 too.
    if (status === 401) return says(/not allowed to call this route/i)
    if (status === 403 || status === 404 || type === 'budget_exceeded') return true
    throw denied(outcome.refusal, action)
  }

  const change: Gateway['change'] = async (ref, { alias, teamId, expires, fields = {}, mark }, call) => {
    const action = 'the change of a key'
    const sha256 = hashOf(ref)
    const replaces = fields['metadata'] !== undefined || mark !== undefined
    const before = replaces ? await look(sha256, call) : {}
    if (before === undefined) return false
    const sent = {
      ...plainFields(fields),
      ...(alias !== undefined && { key_alias: alias }),
      ...(teamId !== undefined && { team_id: teamId }),
      ...(expires !== undefined && { duration: expires === null ? null : durationUntil(expires, clock.now()) }),
      ...(replaces && { metadata: changedMetadata(before, fields['metadata'], mark) }),
      key: sha256,
    }
    const outcome = await admin({ action, method: 'POST', path: '/key/update', fields: sent }, call)
    if ('refusal' in outcome) {
      const { refusal } = outcome
      if (isAliasTaken(refusal)) throw aliasTaken()
      if (refusal.status !== 404) throw denied(refusal, action)
      // LiteLLM also answers 404 when it does not know the row's team, the new one or the one it has.
      if (refusal.param === 'key' || (await look(sha256, call)) === undefined) return false
      throw new LatchkeyError('gateway_denied', `${title} refused ${action}: it does not know the key's team. Make the team there first.`, { param: 'team_id', vendor: { status: 404 } })
    }
    if (!isAbout(outcome.answer, sha256)) throw nonsense(action)
    const after = read(outcome.answer, action)
    if (expires === null && after.expires !== undefined) {
      throw new LatchkeyError('gateway_denied', `${title} keeps the expiry of a key: this version of LiteLLM does not take it off.`, { param: 'duration', vendor: { status: 200 } })
    }
    return true
  }

  const setBlocked: Gateway['setBlocked'] = async (ref, blocked, call) => {
    const action = blocked ? 'the blocking of a key' : 'the unblocking of a key'
    const sha256 = hashOf(ref)
    const outcome = await admin({ action, method: 'POST', path: blocked ? '/key/block' : '/key/unblock', fields: { key: sha256 } }, call)
    if ('refusal' in outcome) {
      if (outcome.refusal.status === 404) return false
      throw denied(outcome.refusal, action)
    }
    // Older versions answer `null` for a row that is not there.
    if (outcome.answer === null) return false
    if (!isAbout(outcome.answer, sha256) || read(outcome.answer, action).blocked !== blocked) throw nonsense(action)
    return true
  }

  const remove: Gateway['remove'] = async (ref, call) => {
    const action = 'the removal of a key'
    const outcome = await admin({ action, method: 'POST', path: '/key/delete', fields: { keys: [hashOf(ref)] } }, call)
    if ('answer' in outcome) {
      if (!isMapping(outcome.answer) || !Array.isArray(outcome.answer['deleted_keys'])) throw nonsense(action)
      return true
    }
    if (outcome.refusal.status === 404) return false
    throw denied(outcome.refusal, action)
  }

  const replace: NonNullable<Gateway['replace']> = async (old, token, { graceMs, epoch }, call) => {
    const action = 'the replacement of a token'
    const sha256 = hashOf(old)
    const isDone = async (): Promise<boolean> => {
      const row = await look(tokenHash(token), call)
      return row !== undefined && markOf(row)['epoch'] === epoch
    }
    const row = await look(sha256, call)
    if (row === undefined) return isDone()
    const fields = { metadata: metadataInEpoch(row, epoch), grace_period: `${Math.max(0, Math.floor(graceMs / 1000))}s`, new_key: token }
    const outcome = await admin({ action, method: 'POST', path: `/key/${sha256}/regenerate`, fields }, call)
    if ('answer' in outcome) {
      if (!isAbout(outcome.answer, tokenHash(token))) throw nonsense(action)
      return true
    }
    if (outcome.refusal.status === 404) return isDone()
    throw denied(outcome.refusal, action)
  }

  const list: Gateway['list'] = async ({ cursor, limit }, call) => {
    const action = 'the listing of keys'
    const [, page = '', size = ''] = cursor === undefined ? ['', '1', String(Math.min(limit, largestPage))] : (/^([1-9]\d{0,8})\.([1-9]\d{0,2})$/.exec(cursor) ?? [])
    if (page === '') throw refuse('cursor', 'is not one that this gateway gave')
    const outcome = await admin({ action, method: 'GET', path: `/key/list?page=${page}&size=${size}&return_full_object=true` }, call)
    if ('refusal' in outcome) throw denied(outcome.refusal, action)
    const { keys, total_pages: pages } = isMapping(outcome.answer) ? outcome.answer : {}
    if (!Array.isArray(keys) || !Number.isSafeInteger(pages)) throw nonsense(action)
    return { items: keys.flatMap((row: unknown) => listedRow(row) ?? []), ...(Number(page) < (pages as number) && { cursor: `${Number(page) + 1}.${size}` }) }
  }

  return {
    name: 'gateway',
    add,
    accepts,
    find: async (ref, call) => {
      const row = await look(hashOf(ref), call)
      return row === undefined ? undefined : read(row, 'the reading of a key')
    },
    change,
    setBlocked,
    remove,
    ...(settings.licensed && { replace }),
    list,
    close: () => client.close(),
  }
}

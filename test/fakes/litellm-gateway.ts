// LiteLLM as a gateway: its admin API for keys and its judgement of tokens, as the source of version 1.106.2 has them (test/gateway/litellm-facts.ts names the places).
// Rows by token hash, the archive of deleted ones, and the grace of replaced tokens. `knobs` turn it into a licensed, a sterner or an older one.
import { createHash } from 'node:crypto'
import { admitted, answerOf, failure, fieldsOf, LitellmFailure, notALicence, premiumFields, type Fields } from './litellm-requests.ts'
import { startFake, type RunningFake, type WireRequest, type WireService } from './wire.ts'

/** One row of the key table; of its columns only those that a request can set. */
export interface LitellmRow {
  readonly token: string
  readonly key_name: string
  readonly key_alias: string | null
  readonly team_id: string | null
  readonly expires: string | null
  readonly blocked: boolean | null
  readonly spend: number
  readonly models: readonly string[]
  readonly metadata: Fields
  readonly created_at: string
  readonly updated_at: string
  readonly [column: string]: unknown
}

/** What can be otherwise. */
export interface LitellmKnobs {
  /** Default: false, the free edition. */
  licensed?: boolean
  /** Teams that it knows. A key may be made for another; no later update of that key passes. Default: every team. */
  teams?: readonly string[]
  /** Until about 1.80: `null` as duration changes nothing, a block of nothing is answered `null`, and deleted rows are not kept. In 1.63 a delete of nothing is 200. */
  older?: boolean
  /** `disable_custom_api_keys`. */
  ownKeysOnly?: boolean
}

/** A gateway without a socket. */
export interface LitellmService extends WireService {
  readonly knobs: LitellmKnobs
  /** The truth, for tests: every live row by its hash. */
  readonly rows: ReadonlyMap<string, LitellmRow>
  /** The truth, for tests: whether a request with this token would be let in now. Told by the rows alone, not by a route. */
  accepts(token: string): boolean
  /** Puts a row in as somebody else's program would. */
  seed(token: string, more?: Fields): string
}

/** A token's hash, as LiteLLM's rows have it. */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The master key of every fake gateway. */
export const fakeMasterKey = 'sk-the-master-key-of-the-fake-gateway-0001'

const hashed = (given: string): string => (given.startsWith('sk-') ? sha256(given) : given)
const admin = { admin: true } as const
type Caller = typeof admin | { readonly admin: false; readonly asked: string; readonly row: LitellmRow }

const emptyColumns = { models: [], aliases: {}, config: {}, permissions: {}, spend: 0, user_id: null, agent_id: null, organization_id: null, project_id: null, max_parallel_requests: null, tpm_limit: null, rpm_limit: null, tpd_limit: null, max_budget: null, budget_duration: null, budget_id: null, budget_limits: null, budget_fallbacks: {}, model_max_budget: {}, allowed_cache_controls: [], allowed_routes: [], key_type: null, router_settings: {}, access_group_ids: [], auto_rotate: false, rotation_interval: null } as const

const steps: readonly (readonly [RegExp, string])[] = [
  [/^POST \/key\/generate$/, 'gateway.add'], [/^POST \/key\/update$/, 'gateway.change'], [/^POST \/key\/block$/, 'gateway.block'], [/^POST \/key\/unblock$/, 'gateway.unblock'],
  [/^POST \/key\/delete$/, 'gateway.remove'], [/^POST \/key\/.*regenerate$/, 'gateway.replace'], [/^GET \/key\/list$/, 'gateway.list'], [/^GET \/key\/info$/, 'gateway.find'],
]

/** One gateway. It knows no clock but the one it is given. */
export const litellmService = ({ now, masterKey = fakeMasterKey, knobs = {} }: { readonly now: () => number; readonly masterKey?: string; readonly knobs?: LitellmKnobs }): LitellmService => {
  const rows = new Map<string, LitellmRow>()
  const archive = new Map<string, Fields>()
  const graces = new Map<string, { readonly active: string; readonly until: number }>()
  const stamp = (): string => new Date(now()).toISOString()
  const isOver = ({ expires }: LitellmRow): boolean => expires !== null && Date.parse(expires) < now()

  /** The row that a token is let in by: its own, else the one that replaced it, while its grace lasts. */
  const rowFor = (hash: string): LitellmRow | undefined => {
    const grace = graces.get(hash)
    return rows.get(hash) ?? (grace !== undefined && grace.until > now() ? rows.get(grace.active) : undefined)
  }
  const accepts = (token: string): boolean => {
    const row = token.startsWith('sk-') ? rowFor(sha256(token)) : undefined
    return row !== undefined && row.blocked !== true && !isOver(row)
  }

  const authenticate = (header: string | undefined): Caller => {
    const token = header?.startsWith('Bearer ') === true ? header.slice(7) : ''
    const unauthorized = (said: string, type = 'auth_error', param: string | null = 'None'): LitellmFailure => failure(401, said, type, param)
    if (token === '') throw unauthorized('Authentication Error, No api key passed in.')
    if (token === masterKey) return admin
    if (!token.startsWith('sk-')) throw unauthorized(`LiteLLM Virtual Key expected. Received=${token.slice(0, 4)}****${token.slice(-4)}, expected to start with 'sk-'.`)
    const asked = sha256(token)
    const row = rowFor(asked)
    if (row === undefined) throw unauthorized(`Authentication Error, Invalid proxy server token passed. Key Hash (Token) =${asked}. Unable to find token in cache or \`LiteLLM_VerificationTokenTable\``, 'token_not_found_in_db', 'key')
    if (row.blocked === true) throw unauthorized("Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.")
    if (isOver(row)) throw unauthorized(`Authentication Error - Expired Key. Key Expiry time ${row.expires}`, 'expired_key', `sk-...${token.slice(-4)}`)
    return { admin: false, asked, row }
  }

  /** LiteLLM's durations; what has no unit is a mistake that comes out as a server error. */
  const endOf = (duration: unknown): string | null => {
    if (duration === null || duration === undefined) return null
    const [, count, unit] = /^(\d+)(mo|[smhdw])/.exec(String(duration)) ?? []
    const seconds = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, mo: 2_592_000 }[unit ?? '']
    if (seconds === undefined) throw failure(500, `Unsupported duration unit, passed duration: ${String(duration)}`)
    return new Date(now() + Number(count) * seconds * 1000).toISOString()
  }

  const checkAlias = (alias: unknown, except?: string): void => {
    if (typeof alias !== 'string') return
    // oxlint-disable-next-line no-control-regex
    if (/\.\.|[\u0000-\u001f\u007f]/.test(alias)) throw failure(400, 'Invalid key_alias', 'bad_request_error', 'key_alias')
    for (const row of rows.values()) if (row.key_alias === alias && row.token !== except) throw failure(400, `Key with alias '${alias}' already exists. Unique key aliases across all keys are required.`, 'bad_request_error', 'key_alias')
  }
  const checkToken = (token: unknown): void => {
    if (typeof token !== 'string') return
    if (knobs.ownKeysOnly === true) throw failure(403, "{'error': 'Custom API key values are disabled by your administrator. Keys must be auto-generated.'}")
    if (!token.startsWith('sk-')) throw failure(400, `{'error': "Invalid key format. LiteLLM Virtual Key must start with 'sk-'. Received: ${token.slice(0, 4)}****"}`)
    if (token.length < 16) throw failure(400, "{'error': 'Invalid key format. LiteLLM Virtual Key must be at least 16 characters long.'}")
  }
  const knowsTeam = (team: unknown): boolean => knobs.teams === undefined || knobs.teams.includes(String(team))

  /** The columns and the metadata of a request: some fields go into the metadata, over what stands there. */
  const split = (given: Fields, metadata: Fields): { readonly columns: Fields; readonly metadata: Fields } => {
    const { columns, inside } = admitted(given)
    if (columns['model_max_budget'] !== undefined && Object.keys(columns['model_max_budget'] ?? {}).length > 0 && knobs.licensed !== true) throw failure(500, `Invalid model_max_budget: You must have an enterprise license to set model_max_budget. ${notALicence}`)
    return { columns, metadata: { ...metadata, ...inside } }
  }

  const insert = (token: string, row: Partial<LitellmRow>): LitellmRow => {
    const hash = sha256(token)
    const there = rows.get(hash)
    if (there !== undefined) return there
    const made = { ...emptyColumns, key_alias: null, team_id: null, expires: null, blocked: null, metadata: {}, ...row, token: hash, key_name: `sk-...${token.slice(-4)}`, created_at: stamp(), updated_at: stamp() }
    rows.set(hash, made)
    return made
  }

  const generate = (given: Fields): object => {
    for (const name of premiumFields) if (given[name] !== null && given[name] !== undefined && knobs.licensed !== true) throw failure(403, `{'error': 'This feature is only available for LiteLLM Enterprise users: ${name}. ${notALicence}'}`)
    checkAlias(given['key_alias'])
    checkToken(given['key'])
    const { columns, metadata } = split(given, (given['metadata'] as Fields | null | undefined) ?? {})
    const expires = endOf(given['duration'])
    const token = typeof given['key'] === 'string' ? given['key'] : `sk-drawn-${sha256(`${rows.size} ${now()}`).slice(0, 22)}`
    const wanted = { ...columns, key_type: given['key_type'] ?? 'default', key_alias: (given['key_alias'] as string | undefined) ?? null, team_id: (given['team_id'] as string | undefined) || null, expires, blocked: (given['blocked'] as boolean | undefined) ?? null, metadata }
    const row = insert(token, wanted)
    // The answer is made of the request: only these few come from the row.
    return { ...emptyColumns, ...wanted, key: token, key_name: `sk-...${token.slice(-4)}`, token: row.token, token_id: row.token, created_at: row.created_at, updated_at: row.updated_at, litellm_budget_table: null }
  }

  const keyNotFound = (said: string): LitellmFailure => failure(404, said, 'not_found_error', 'key')

  const changed = (row: LitellmRow, given: Fields): LitellmRow => {
    const { columns, metadata } = split(given, (given['metadata'] === undefined ? row.metadata : given['metadata']) as Fields)
    const { duration } = given
    const ends = duration === undefined || (duration === null && knobs.older === true) ? {} : { expires: duration === '-1' ? null : endOf(duration) }
    const own = Object.fromEntries(['key_alias', 'team_id', 'blocked'].filter((name) => given[name] !== undefined && given[name] !== '').map((name) => [name, given[name]]))
    return { ...row, ...columns, ...own, ...ends, metadata, updated_at: stamp() }
  }

  const update = (given: Fields): object => {
    const hash = hashed(String(given['key']))
    const row = rows.get(hash)
    if (row === undefined) throw keyNotFound('Key not found.')
    const team = given['team_id'] || row.team_id
    if (team !== null && team !== undefined && !knowsTeam(team)) throw failure(404, `{'error': "Team doesn't exist in db. Team=${String(team)}."}`, 'auth_error', 'None')
    checkAlias(given['key_alias'], hash)
    const after = changed(row, given)
    rows.set(hash, after)
    return { ...after, key: given['key'] }
  }

  const block = (given: Fields, blocked: boolean): object | null => {
    const key = String(given['key'])
    if (key.length > 100 || !/^(?:sk-[\w-]+|[0-9a-f]{64})$/i.test(key)) throw failure(400, 'Invalid key format.', 'bad_request_error', 'key')
    const row = rows.get(hashed(key))
    if (row === undefined) {
      if (knobs.older === true) return null
      throw keyNotFound('Key not found.')
    }
    const after = { ...row, blocked, updated_at: stamp() }
    rows.set(row.token, after)
    return after
  }

  const bury = (row: LitellmRow): void => {
    if (knobs.older !== true) archive.set(row.token, { ...row, deleted_at: stamp(), deleted_by: 'default_user_id' })
  }

  const remove = (given: Fields): object => {
    const keys = (given['keys'] ?? []) as readonly string[]
    const aliases = (given['key_aliases'] ?? []) as readonly string[]
    if (keys.length === 0 && aliases.length === 0) throw new LitellmFailure(422, { detail: [{ type: 'value_error', loc: ['body'], msg: "Value error, At least one of 'keys' or 'key_aliases' must be provided." }] })
    const hit = [...rows.values()].filter((row) => (keys.length > 0 ? keys.map(hashed).includes(row.token) : aliases.includes(row.key_alias ?? '')))
    if (hit.length === 0 && knobs.older !== true) throw failure(404, "{'error': 'No keys found'}")
    for (const row of hit) {
      bury(row)
      rows.delete(row.token)
    }
    return { deleted_keys: keys.length > 0 ? keys : aliases }
  }

  const regenerate = (inPath: string | undefined, given: Fields): object => {
    if (knobs.licensed !== true) throw failure(500, `Regenerating Virtual Keys is an Enterprise feature, ${notALicence}`)
    const key = typeof given['key'] === 'string' ? given['key'] : inPath
    if (key === undefined) throw failure(400, "{'error': 'No key passed in.'}")
    const row = rows.get(key.includes('sk') ? sha256(key) : key)
    if (row === undefined) throw failure(404, `{'error': 'Key ${key} not found.'}`)
    checkToken(given['new_key'])
    const token = typeof given['new_key'] === 'string' ? given['new_key'] : `sk-drawn-${sha256(`${row.token} ${now()}`).slice(0, 22)}`
    const hash = sha256(token)
    if (rows.has(hash)) throw failure(500, 'Unique constraint failed on the fields: (`token`)')
    const grace = Date.parse(endOf(given['grace_period'] ?? '0s') ?? '')
    bury(row)
    if (grace > now()) graces.set(row.token, { active: hash, until: grace })
    const after = { ...changed(row, given), token: hash, key_name: `sk-...${token.slice(-4)}` }
    rows.delete(row.token)
    rows.set(hash, after)
    const { token: id, ...rest } = after
    return { ...rest, key: token, token: null, token_id: id }
  }

  const info = (given: string | null, caller: Caller): object => {
    const key = given ?? (caller.admin ? '' : caller.asked)
    const row = rows.get(hashed(key))
    const found = row ?? archive.get(hashed(key))
    if (found === undefined) throw keyNotFound('Key not found in database')
    if (!caller.admin && hashed(key) !== caller.asked) throw failure(403, "You are not allowed to access this key's info. Your role=None")
    const { token: _token, ...shown } = found
    const status = row === undefined ? 'deleted' : row.blocked === true ? 'revoked' : isOver(row) ? 'expired' : 'active'
    return { key, info: { ...shown, ...(knobs.older !== true && { status }) } }
  }

  const list = (query: URLSearchParams): object => {
    const [page, size] = [Number(query.get('page') ?? 1), Number(query.get('size') ?? 10)]
    const wrong = page < 1 || !Number.isInteger(page) ? 'page' : size < 1 || size > 100 || !Number.isInteger(size) ? 'size' : undefined
    if (wrong !== undefined) throw new LitellmFailure(422, { detail: [{ type: 'less_than_equal', loc: ['query', wrong], msg: 'Input should be within its limits', input: query.get(wrong) }] })
    const [alias, hash, team] = [query.get('key_alias'), query.get('key_hash'), query.get('team_id')]
    const fits = (row: LitellmRow): boolean => (alias === null || row.key_alias === alias) && (hash === null || row.token === hash) && (team === null || row.team_id === team)
    const order = ({ created_at: at, token }: LitellmRow): string => `${at} ${token}`
    const all = [...rows.values()].filter(fits).toSorted((a, b) => (order(a) < order(b) ? 1 : -1))
    const shown = all.slice((page - 1) * size, page * size)
    const full = query.get('return_full_object') === 'true'
    return { keys: full ? shown.map((row) => ({ ...row, api_key: null, user_role: null })) : shown.map(({ token }) => token), total_count: all.length, current_page: page, total_pages: Math.ceil(all.length / size) }
  }

  const handle = (request: WireRequest): object | null => {
    const { method, path, query } = request
    const known = steps.find(([route]) => route.test(`${method} ${path}`))?.[1]
    if (known === undefined) throw new LitellmFailure(404, { detail: 'Not Found' })
    const caller = authenticate(request.headers['authorization'])
    if (!caller.admin) {
      const routes = (caller.row['allowed_routes'] ?? []) as readonly string[]
      if (routes.length > 0 && !routes.some((route) => [path, 'management_routes', ...(known === 'gateway.find' ? ['info_routes'] : [])].includes(route))) throw failure(403, `Virtual key is not allowed to call this route. Only allowed to call routes: ${routes.join()}. Tried to call route: ${path}`, 'auth_error', 'None')
      if (known !== 'gateway.find') throw failure(401, `Authentication Error, Only proxy admin can be used to generate, delete, update info for new keys/users/teams. Route=${path}. Your role=unknown.`, 'auth_error', 'None')
    }
    if (known === 'gateway.find') return info(query.get('key'), caller)
    if (known === 'gateway.list') return list(query)
    const given = fieldsOf(request, known)
    if (known === 'gateway.add') return generate(given)
    if (known === 'gateway.change') return update(given)
    if (known === 'gateway.remove') return remove(given)
    if (known === 'gateway.replace') return regenerate(/^\/key\/(.+)\/regenerate$/.exec(path)?.[1], given)
    return block(given, known === 'gateway.block')
  }

  /** Which row a request is about: the beginning of its hash. */
  const subject = ({ query, path, body, headers }: WireRequest): string => {
    const said = query.get('key') ?? /^\/key\/(.+)\/regenerate$/.exec(path)?.[1] ?? /"keys?":\[?"([^"]+)"/.exec(body.toString('utf8'))?.[1] ?? (headers['authorization'] ?? '').replace('Bearer ', '')
    return hashed(said).slice(0, 12)
  }

  return {
    knobs,
    rows,
    accepts,
    seed: (token, more = {}) => insert(token, more).token,
    handle: (request) => answerOf(() => handle(request)),
    changes: ({ method }) => method !== 'GET',
    refuse: (refusal, echo) => {
      if (refusal === 'throttled') return answerOf(() => { throw failure(429, `Crossed TPM / RPM / Max Parallel Request Limit ${echo}`) })
      if (refusal === 'unavailable') return answerOf(() => { throw failure(503, `Service unavailable ${echo}`, 'no_db_connection') })
      return answerOf(() => { throw failure(401, `Authentication Error, Invalid proxy server token passed. Received API Key = ${echo}`, 'token_not_found_in_db', 'key') })
    },
    step: (request) => {
      const { method, path, query } = request
      const known = steps.find(([route]) => route.test(`${method} ${path}`))?.[1] ?? `${method} ${path}`
      return { call: known === 'gateway.find' && !query.has('key') ? 'gateway.accepts' : known, name: known === 'gateway.list' ? `page ${query.get('page') ?? 1}` : subject(request) }
    },
  }
}

/** A gateway with a socket. */
export interface RunningLitellm extends RunningFake {
  readonly service: LitellmService
}

/** Starts one on a free port of loopback. */
export const startLitellmFake = async (options: { readonly now: () => number; readonly masterKey?: string; readonly knobs?: LitellmKnobs }): Promise<RunningLitellm> => {
  const service = litellmService(options)
  return { ...(await startFake(service)), service }
}

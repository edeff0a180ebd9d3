// What LiteLLM 1.106.2 does with a request for keys, one fact a row, read in its source and told in our own words; `source` says where to look again. The fake is held
// against it. What older versions do otherwise stands beside the fact, from 1.63.0 and 1.80.0.
import { fakeMasterKey, sha256, type LitellmKnobs } from '../fakes/litellm-gateway.ts'

export interface Fact {
  readonly fact: string
  /** File below litellm/proxy, and function. */
  readonly source: string
  readonly older?: string
  readonly knobs?: LitellmKnobs
  /** `METHOD path?query`. */
  readonly line: string
  /** Default: the master key. */
  readonly bearer?: string
  readonly body?: unknown
  readonly status: number
  /** What the answer holds, among other things. */
  readonly answer: object | null
  /** What the row of the asked token holds afterwards; `null`: there is none. */
  readonly row?: object | null
}

/** A token with a row: alias `held`, team `payments`, metadata, expiry in an hour. */
export const held = 'sk-held-by-the-gateway-00000001'
/** Another with a row: alias `other`. */
export const other = 'sk-held-by-the-gateway-00000002'
/** One without. */
export const unknown = 'sk-unknown-to-the-gateway-000001'
/** One that is blocked, and one that has expired. */
export const blocked = 'sk-blocked-at-the-gateway-000001'
export const expired = 'sk-expired-at-the-gateway-000001'
/** One that may call models only. */
export const models = 'sk-for-models-only-0000000000001'

const keys = 'management_endpoints/key_management_endpoints.py'
const proxyError = (type: string, param: string | null, code: string): object => ({ error: { type, param, code } })
const notFound = proxyError('not_found_error', 'key', '404')
const metadata = { owner: 'ada', tag_rpm_limit: { a: 1 } }

/** The row that every fact begins with. */
export const heldRow = { key_alias: 'held', team_id: 'payments', models: ['gpt-5'], metadata, spend: 2 } as const

export const facts: readonly Fact[] = [
  // Making a key.
  { fact: 'a token of our own gets a row under its SHA-256', source: `${keys}, generate_key_helper_fn; utils.py, PrismaClient.insert_data`, line: 'POST /key/generate', body: { key: unknown, key_alias: 'new', duration: '60s', metadata }, status: 200, answer: { key: unknown, token: sha256(unknown), token_id: sha256(unknown), key_alias: 'new' }, row: { key_alias: 'new', expires: '2026-11-21T12:01:00.000Z', metadata, blocked: null } },
  { fact: 'a row that is there stays as it is, and the answer says what was asked for', source: 'utils.py, PrismaClient.insert_data (upsert with an empty update)', older: 'the same since 2023', line: 'POST /key/generate', body: { key: held, key_alias: 'again', blocked: true, duration: '9d' }, status: 200, answer: { key_alias: 'again', blocked: true, created_at: '2026-11-21T12:00:00.000Z' }, row: { ...heldRow, blocked: null } },
  { fact: 'an alias that is taken is refused, the token\'s own row included', source: `${keys}, _common_key_generation_helper, _enforce_unique_key_alias (no token is excepted)`, line: 'POST /key/generate', body: { key: held, key_alias: 'held' }, status: 400, answer: proxyError('bad_request_error', 'key_alias', '400'), row: heldRow },
  { fact: 'an alias that climbs is refused with the same parameter', source: `${keys}, _validate_key_alias_format`, line: 'POST /key/generate', body: { key: unknown, key_alias: 'a/../b' }, status: 400, answer: { error: { message: 'Invalid key_alias', param: 'key_alias' } }, row: null },
  { fact: 'a key can be made blocked', source: `${keys}, generate_key_helper_fn`, line: 'POST /key/generate', body: { key: unknown, blocked: true }, status: 200, answer: { blocked: true }, row: { blocked: true } },
  { fact: 'an admin may name a team that does not exist', source: `${keys}, generate_key_fn`, knobs: { teams: [] }, line: 'POST /key/generate', body: { key: unknown, team_id: 'nowhere' }, status: 200, answer: { team_id: 'nowhere' }, row: { team_id: 'nowhere' } },
  { fact: 'some fields go into the metadata', source: '_types.py, LiteLLM_ManagementEndpoint_MetadataFields', line: 'POST /key/generate', body: { key: unknown, metadata: { owner: 'ada' }, model_rpm_limit: { m: 1 } }, status: 200, answer: {}, row: { metadata: { owner: 'ada', model_rpm_limit: { m: 1 } } } },
  { fact: 'some of these want a licence', source: 'utils.py, require_enterprise_license; management_endpoints/common_utils.py, set_object_metadata_field', line: 'POST /key/generate', body: { key: unknown, tags: ['a'] }, status: 403, answer: proxyError('internal_server_error', null, '403'), row: null },
  { fact: 'a budget for each model wants one too, and its lack is a server error', source: `${keys}, validate_model_max_budget; utils.py, handle_exception_on_proxy`, line: 'POST /key/generate', body: { key: unknown, model_max_budget: { m: { budget_limit: 1 } } }, status: 500, answer: proxyError('internal_server_error', null, '500'), row: null },
  { fact: 'a token must begin with sk-', source: `${keys}, _common_key_generation_helper`, line: 'POST /key/generate', body: { key: 'pk-0123456789abcdef' }, status: 400, answer: proxyError('internal_server_error', null, '400') },
  { fact: 'a token has at least 16 characters', source: 'constants.py, MINIMUM_CUSTOM_KEY_LENGTH', line: 'POST /key/generate', body: { key: 'sk-short' }, status: 400, answer: proxyError('internal_server_error', null, '400') },
  { fact: 'an operator can forbid tokens of our own', source: `${keys}, _check_custom_key_allowed`, knobs: { ownKeysOnly: true }, line: 'POST /key/generate', body: { key: unknown }, status: 403, answer: proxyError('internal_server_error', null, '403'), row: null },
  { fact: 'a field of another type is refused by the framework, in its own shape', source: '_types.py, GenerateKeyRequest', line: 'POST /key/generate', body: { key: unknown, max_budget: 'a lot' }, status: 422, answer: { detail: [{ loc: ['body', 'max_budget'] }] }, row: null },
  // Changing one.
  { fact: 'what is left out stays, and the hash names the key', source: `${keys}, prepare_key_update_data`, line: 'POST /key/update', body: { key: sha256(held), max_budget: 5 }, status: 200, answer: { key: sha256(held), token: sha256(held), max_budget: 5 }, row: { ...heldRow, max_budget: 5 } },
  { fact: 'null as duration takes the expiry off', source: `${keys}, prepare_key_update_data`, older: '1.63.0 and 1.80.0 leave the expiry alone and answer 200', line: 'POST /key/update', body: { key: sha256(held), duration: null }, status: 200, answer: { expires: null }, row: { expires: null } },
  { fact: '-1 does so as well', source: `${keys}, prepare_key_update_data (deprecated)`, older: 'no duration in 1.63.0 and 1.80.0', line: 'POST /key/update', body: { key: sha256(held), duration: '-1' }, status: 200, answer: { expires: null }, row: { expires: null } },
  { fact: 'null takes alias and team off', source: `${keys}, prepare_key_update_data`, line: 'POST /key/update', body: { key: sha256(held), key_alias: null, team_id: null }, status: 200, answer: { key_alias: null }, row: { key_alias: null, team_id: null, metadata } },
  { fact: 'metadata is replaced as a whole', source: `${keys}, prepare_metadata_fields`, line: 'POST /key/update', body: { key: sha256(held), metadata: { owner: 'bob' } }, status: 200, answer: {}, row: { metadata: { owner: 'bob' } } },
  { fact: 'a field that lives there is added to what stands', source: `${keys}, prepare_metadata_fields`, line: 'POST /key/update', body: { key: sha256(held), model_rpm_limit: { m: 1 } }, status: 200, answer: {}, row: { metadata: { ...metadata, model_rpm_limit: { m: 1 } } } },
  { fact: 'its own alias is no clash', source: `${keys}, _enforce_unique_key_alias`, line: 'POST /key/update', body: { key: sha256(held), key_alias: 'held' }, status: 200, answer: { key_alias: 'held' } },
  { fact: 'another\'s is one', source: `${keys}, _enforce_unique_key_alias`, line: 'POST /key/update', body: { key: sha256(held), key_alias: 'other' }, status: 400, answer: proxyError('bad_request_error', 'key_alias', '400'), row: heldRow },
  { fact: 'a key that is not there is 404 and names key', source: `${keys}, _get_and_validate_existing_key`, line: 'POST /key/update', body: { key: sha256(unknown), key_alias: 'x' }, status: 404, answer: notFound },
  { fact: 'a team that is not there is 404 too, and names nothing', source: `${keys}, _validate_update_key_data; auth/auth_checks.py, get_team_object`, knobs: { teams: ['payments'] }, line: 'POST /key/update', body: { key: sha256(held), team_id: 'nowhere' }, status: 404, answer: proxyError('auth_error', 'None', '404'), row: heldRow },
  { fact: 'the same for the team that the row has, whatever is changed', source: `${keys}, _validate_update_key_data`, knobs: { teams: [] }, line: 'POST /key/update', body: { key: sha256(held), max_budget: 1 }, status: 404, answer: proxyError('auth_error', 'None', '404'), row: heldRow },
  // Blocking and deleting.
  { fact: 'a block by hash answers the row', source: `${keys}, block_key`, line: 'POST /key/block', body: { key: sha256(held) }, status: 200, answer: { token: sha256(held), blocked: true }, row: { blocked: true } },
  { fact: 'an unblock too', source: `${keys}, unblock_key`, line: 'POST /key/unblock', body: { key: sha256(blocked) }, status: 200, answer: { token: sha256(blocked), blocked: false } },
  { fact: 'a block of nothing is 404 and remembers nothing', source: `${keys}, block_key`, older: '1.63.0 and 1.80.0 answer 200 and null, unless audit logs are on', line: 'POST /key/block', body: { key: sha256(unknown) }, status: 404, answer: notFound, row: null },
  { fact: 'older versions answered null', source: 'the same in 1.63.0 and 1.80.0', knobs: { older: true }, line: 'POST /key/unblock', body: { key: sha256(unknown) }, status: 200, answer: null, row: null },
  { fact: 'a block takes plain letters only, which a hash always is', source: 'utils.py, is_valid_api_key', line: 'POST /key/block', body: { key: 'sk-own.token+with/letters=' }, status: 400, answer: proxyError('bad_request_error', 'key', '400') },
  { fact: 'a delete by hash echoes it', source: `${keys}, delete_key_fn`, line: 'POST /key/delete', body: { keys: [sha256(held)] }, status: 200, answer: { deleted_keys: [sha256(held)] } },
  { fact: 'a delete of nothing is 404 and names nothing', source: `${keys}, delete_verification_tokens`, older: '1.63.0 answers 200', line: 'POST /key/delete', body: { keys: [sha256(unknown)] }, status: 404, answer: proxyError('internal_server_error', null, '404') },
  { fact: 'a delete must name something', source: '_types.py, KeyRequest', line: 'POST /key/delete', body: { keys: [] }, status: 422, answer: { detail: [{ type: 'value_error' }] } },
  // Asking.
  { fact: 'info by hash shows the row without its token', source: `${keys}, info_key_fn`, line: `GET /key/info?key=${sha256(held)}`, status: 200, answer: { key: sha256(held), info: { ...heldRow, status: 'active' } } },
  { fact: 'info of nothing is 404', source: `${keys}, info_key_fn`, line: `GET /key/info?key=${sha256(unknown)}`, status: 404, answer: notFound },
  { fact: 'a list gives hashes, newest first', source: `${keys}, list_key_helper`, line: 'GET /key/list?size=2', status: 200, answer: { total_count: 5, current_page: 1, total_pages: 3 } },
  { fact: 'a page past the end is empty', source: `${keys}, list_key_helper`, line: 'GET /key/list?page=9&size=100&return_full_object=true', status: 200, answer: { keys: [], total_count: 5, total_pages: 1 } },
  { fact: 'a page has at most 100', source: `${keys}, list_keys`, line: 'GET /key/list?size=101', status: 422, answer: { detail: [{ loc: ['query', 'size'] }] } },
  // Replacing a token.
  { fact: 'regenerating wants a licence, and its lack is a server error', source: `${keys}, regenerate_key_fn; utils.py, handle_exception_on_proxy`, line: `POST /key/${sha256(held)}/regenerate`, body: { new_key: unknown }, status: 500, answer: proxyError('internal_server_error', null, '500'), row: null },
  { fact: 'with one the row gets the new token and keeps the rest', source: `${keys}, _execute_virtual_key_regeneration`, knobs: { licensed: true }, line: `POST /key/${sha256(held)}/regenerate`, body: { new_key: unknown, grace_period: '60s' }, status: 200, answer: { key: unknown, token_id: sha256(unknown) }, row: heldRow },
  { fact: 'a key that is not there is 404 and names nothing', source: `${keys}, regenerate_key_fn`, knobs: { licensed: true }, line: `POST /key/${sha256(unknown)}/regenerate`, body: {}, status: 404, answer: proxyError('internal_server_error', null, '404') },
  { fact: 'a token that has a row cannot be the new one', source: 'schema.prisma, LiteLLM_VerificationToken.token is the id', knobs: { licensed: true }, line: `POST /key/${sha256(held)}/regenerate`, body: { new_key: other }, status: 500, answer: proxyError('internal_server_error', null, '500') },
  // Who is let in.
  { fact: 'a token may ask for itself', source: 'auth/route_checks.py, non_proxy_admin_allowed_routes_check', line: 'GET /key/info', bearer: held, status: 200, answer: { info: { key_alias: 'held' } } },
  { fact: 'one that may not is known all the same: routes are checked after blocks and expiry', source: 'auth/route_checks.py, is_virtual_key_allowed_to_call_route; auth/user_api_key_auth.py, where should_call_route stands', older: '1.80.0 raises a plain exception there', line: 'GET /key/info', bearer: models, status: 403, answer: { error: { code: '403' } } },
  { fact: 'a blocked one is 401', source: 'auth/user_api_key_auth.py, validate_resolved_virtual_key; auth/auth_exception_handler.py, _as_proxy_exception', line: 'GET /key/info', bearer: blocked, status: 401, answer: proxyError('auth_error', 'None', '401') },
  { fact: 'an expired one is 401 of its own type', source: 'auth/user_api_key_auth.py, validate_resolved_virtual_key', line: 'GET /key/info', bearer: expired, status: 401, answer: { error: { type: 'expired_key', code: '401' } } },
  { fact: 'an unknown one is 401 of its own type', source: 'auth/auth_checks.py, get_key_object', line: 'GET /key/info', bearer: unknown, status: 401, answer: proxyError('token_not_found_in_db', 'key', '401') },
  { fact: 'so is a wrong master key', source: 'auth/user_api_key_auth.py, user_api_key_auth_builder', line: 'GET /key/list', bearer: `${fakeMasterKey}x`, status: 401, answer: proxyError('token_not_found_in_db', 'key', '401') },
  { fact: 'a hash is no credential', source: 'auth/user_api_key_auth.py, user_api_key_auth_builder', line: 'GET /key/info', bearer: sha256(held), status: 401, answer: { error: { code: '401' } } },
  { fact: 'none is 401', source: 'auth/user_api_key_auth.py, user_api_key_auth_builder', line: 'GET /key/info', bearer: '', status: 401, answer: { error: { code: '401' } } },
  { fact: 'a key is no admin', source: 'auth/route_checks.py, _raise_admin_only_route_exception', line: 'POST /key/block', bearer: held, body: { key: sha256(other) }, status: 401, answer: proxyError('auth_error', 'None', '401') },
  { fact: 'a route that is not there is the framework\'s 404', source: 'FastAPI', line: 'GET /keys', status: 404, answer: { detail: 'Not Found' } },
]

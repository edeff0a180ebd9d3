import { describe } from 'vitest'
import { refuses } from './refusals.ts'

const put = 'PUT /secrets/new'
const many = 'POST /secrets:read'
const json = (text: string) => ({ body: text })
const deep = (levels: number): string => `${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels - 1)}`
const members = (count: number): string => `{${Array.from({ length: count }, (_, index) => `"k${index}":1`).join(',')}}`
const of = (bytes: readonly number[]) => ({ body: Uint8Array.from(bytes) })

describe('sizes', () => {
  refuses([
    ['a URL of 2,049 bytes', `GET /secrets/${'a'.repeat(2040)}`, {}, 414, 'uri_too_long', ['url', '2048', '2049', 'POST /secrets:read']],
    ['a query that makes the URL too long', 'GET /secrets', { query: `prefix=${'a'.repeat(2100)}` }, 414, 'uri_too_long', ['url', '2048']],
    ['a header block over 8 KiB', 'GET /secrets/OPENAI_API_KEY', { headers: { 'x-long': 'a'.repeat(8200) } }, 431, 'headers_too_large', ['headers', '8192']],
    ['a body of 64 KiB and one byte', many, { body: Buffer.alloc(65_537, 0x20) }, 413, 'too_large', ['body', '65536']],
    ['a body of 64 KiB and one byte on a key route', 'POST /key/generate', { body: Buffer.alloc(65_537, 0x20) }, 413, 'too_large', ['body', '65536']],
    ['a secret write of 512 KiB and one byte', put, { body: Buffer.alloc(524_289, 0x20) }, 413, 'too_large', ['body', '524288']],
    ['a large body on a path that is no route', 'POST /nowhere', { body: Buffer.alloc(70_000, 0x20) }, 413, 'too_large', ['body', '65536']],
    ['a value over what the store holds', put, { body: { value: 'a'.repeat(65_537) } }, 413, 'too_large', ['value', '65537', '65536']],
  ])
})

describe('paths', () => {
  refuses([
    ['a path that is no route', 'GET /nowhere', {}, 404, 'not_found', ['route']],
    ['an empty path', 'GET /', {}, 404, 'not_found', ['route']],
    ['a doubled first slash', 'GET //secrets/x', {}, 404, 'not_found', ['route']],
    ['another case of a route', 'GET /Secrets/x', {}, 404, 'not_found', ['route']],
    ['an encoded route', 'GET /%73ecrets/x', {}, 404, 'not_found', ['route']],
    ['an unknown verb', 'POST /secrets/x:frobnicate', {}, 404, 'not_found', ['route']],
    ['an unknown key route', 'POST /key/frobnicate', {}, 404, 'not_found', ['route']],
    ['a route of LiteLLM that is not built', 'POST /key/bulk_update', { body: { keys: [] } }, 404, 'not_found', ['route']],
    ['an empty name', 'GET /secrets/', {}, 400, 'invalid_request', ['name', 'empty']],
    ['a trailing slash', 'GET /secrets/a/', {}, 400, 'invalid_request', ['name', 'empty segment', 'single slashes']],
    ['an encoded trailing slash', 'GET /secrets/a%2F', {}, 400, 'invalid_request', ['name', 'empty segment']],
    ['an empty segment', 'GET /secrets/a//b', {}, 400, 'invalid_request', ['name', 'empty segment']],
    ['a leading slash in the name', 'GET /secrets//a', {}, 400, 'invalid_request', ['name', 'empty segment']],
    ['a dot segment', 'GET /secrets/../key/list', {}, 400, 'invalid_request', ['name', 'dot segment']],
    ['a single dot', 'GET /secrets/.', {}, 400, 'invalid_request', ['name', 'dot segment']],
    ['an encoded dot segment', 'GET /secrets/%2e%2e', {}, 400, 'invalid_request', ['name', 'dot segment']],
    ['a half-encoded dot segment', 'GET /secrets/.%2e/x', {}, 400, 'invalid_request', ['name', 'dot segment']],
    ['an encoded slash in a dot segment', 'GET /secrets/..%2fx', {}, 400, 'invalid_request', ['name', 'dot segment']],
    ['a doubly encoded dot segment', 'GET /secrets/%252e%252e', {}, 400, 'invalid_request', ['name', '%', 'once']],
    ['a remaining percent sign', 'GET /secrets/a%25b', {}, 400, 'invalid_request', ['name', '%', 'once']],
    ['a cut percent sign', 'GET /secrets/a%2', {}, 400, 'invalid_request', ['name', 'percent-encoded', 'two hex digits']],
    ['bytes that are not UTF-8', 'GET /secrets/%ff%fe', {}, 400, 'invalid_request', ['name', 'UTF-8']],
    ['an encoded NUL', 'GET /secrets/a%00b', {}, 400, 'invalid_request', ['name', 'control character']],
    ['an encoded line end', 'GET /secrets/a%0Ab', {}, 400, 'invalid_request', ['name', 'control character']],
    ['a raw control character', 'GET /secrets/a\u0007b', {}, 400, 'invalid_request', ['name', 'ASCII', 'Percent-encode']],
    ['a raw letter outside ASCII', 'GET /secrets/caf\u00e9', {}, 400, 'invalid_request', ['name', 'ASCII']],
    ['a backslash', 'GET /secrets/a%5C..%5Cb', {}, 400, 'invalid_request', ['name', '\\\\']],
    ['an ARN', 'GET /secrets/arn:aws:secretsmanager:eu-west-1:111122223333:secret:x', {}, 400, 'invalid_request', ['name', ':', 'no ARNs']],
    ['an encoded colon', 'GET /secrets/a%3Ab', {}, 400, 'invalid_request', ['name', ':']],
    ['a URL as a name', 'GET /secrets/https://vault.example/secret', {}, 400, 'invalid_request', ['name', ':']],
    ['a name that begins with __', 'GET /secrets/__latchkey', {}, 400, 'invalid_request', ['name', '__', 'reserved']],
    ['a segment that begins with __', 'GET /secrets/a/__b/c', {}, 400, 'invalid_request', ['name', '__', 'reserved']],
    ['a name of 513 bytes', `GET /secrets/${'n'.repeat(513)}`, {}, 400, 'invalid_request', ['name', '512', '513']],
    ['a name of 201 bytes below the prefix', `PUT /secrets/litellm/${Array.from({ length: 4 }, () => 'n'.repeat(48)).join('/')}`, { body: { value: 'v' } }, 400, 'invalid_request', ['name', '200']],
    ['a segment of 65 characters below the prefix', `PUT /secrets/litellm/${'n'.repeat(65)}`, { body: { value: 'v' } }, 400, 'invalid_request', ['name', '64']],
    ['nine segments below the prefix', 'PUT /secrets/litellm/a/b/c/d/e/f/g/h', { body: { value: 'v' } }, 400, 'invalid_request', ['name', '8']],
    ['a space below the prefix', 'PUT /secrets/litellm/a%20b', { body: { value: 'v' } }, 400, 'invalid_request', ['name', 'A-Z']],
    ['another alphabet below the prefix', 'PUT /secrets/litellm/%D0%B0', { body: { value: 'v' } }, 400, 'invalid_request', ['name', 'A-Z']],
    ['a segment that ends with a dot below the prefix', 'PUT /secrets/litellm/a.', { body: { value: 'v' } }, 400, 'invalid_request', ['name', 'dot']],
    ['a write to a reserved name', 'PUT /secrets/litellm/__latchkey/index/x', { body: { value: 'v' } }, 400, 'invalid_request', ['name', '__']],
    ['a delete of a reserved name', 'DELETE /secrets/__x', {}, 400, 'invalid_request', ['name', '__']],
    ['a recover of a reserved name', 'POST /secrets/__x:recover', {}, 400, 'invalid_request', ['name', '__']],
  ])
})

describe('methods', () => {
  refuses([
    ['PATCH of a secret', 'PATCH /secrets/x', {}, 405, 'method_not_allowed', ['method', 'GET, HEAD, PUT, DELETE, OPTIONS']],
    ['POST to a secret', 'POST /secrets/x', { body: { value: 'v' } }, 405, 'method_not_allowed', ['method', 'PUT']],
    ['GET of a verb', 'GET /secrets/x:recover', {}, 405, 'method_not_allowed', ['POST, OPTIONS']],
    ['GET of a batch read', 'GET /secrets:read', {}, 405, 'method_not_allowed', ['POST, OPTIONS']],
    ['GET of generate', 'GET /key/generate', {}, 405, 'method_not_allowed', ['POST, OPTIONS']],
    ['POST to info', 'POST /key/info', {}, 405, 'method_not_allowed', ['GET, HEAD, OPTIONS']],
    ['TRACE', 'TRACE /health', {}, 405, 'method_not_allowed', ['GET, HEAD, OPTIONS']],
    ['a method in lower case', 'get /health', {}, 405, 'method_not_allowed', ['GET']],
    ['DELETE of the list', 'DELETE /secrets', {}, 405, 'method_not_allowed', ['GET']],
  ])
})

describe('queries', () => {
  refuses([
    ['an unknown parameter', 'GET /secrets/OPENAI_API_KEY?raw=1', {}, 400, 'invalid_request', ['query.raw', 'Known:']],
    ['a mistyped parameter', 'GET /secrets/OPENAI_API_KEY?versoin=1', {}, 400, 'invalid_request', ['query.versoin', 'did you mean version']],
    ['a team, which is not built', 'GET /secrets/OPENAI_API_KEY?team=payments', {}, 400, 'invalid_request', ['query.team']],
    ['a repeated parameter', 'GET /secrets/OPENAI_API_KEY?version=1&version=1', {}, 400, 'invalid_request', ['query.version', 'twice', 'once']],
    ['a parameter repeated by its encoding', 'GET /secrets/OPENAI_API_KEY?version=1&%76ersion=1', {}, 400, 'invalid_request', ['query.version', 'twice']],
    ['refresh other than true', 'GET /secrets/OPENAI_API_KEY?refresh=1', {}, 400, 'invalid_request', ['query.refresh', 'true']],
    ['an unknown stage', 'GET /secrets/OPENAI_API_KEY?stage=AWSCURRENT', {}, 400, 'invalid_request', ['query.stage', 'current, previous, pending']],
    ['a version beside a stage', 'GET /secrets/OPENAI_API_KEY?stage=current&version=1', {}, 400, 'invalid_request', ['query.version', 'stage']],
    ['an empty version', 'GET /secrets/OPENAI_API_KEY?version=', {}, 400, 'invalid_request', ['query.version', 'empty']],
    ['a version of 257 characters', `GET /secrets/OPENAI_API_KEY?version=${'v'.repeat(257)}`, {}, 400, 'invalid_request', ['query.version', '256']],
    ['an empty property', 'GET /secrets/settings?property', {}, 400, 'invalid_request', ['query.property', 'empty']],
    ['an unknown store', 'GET /secrets/OPENAI_API_KEY?store=defualt', {}, 400, 'invalid_request', ['query.store', 'did you mean default']],
    ['a broken encoding', 'GET /secrets?prefix=%zz', {}, 400, 'invalid_request', ['query.prefix', 'percent-encoded']],
    ['a control character', 'GET /secrets?prefix=%00', {}, 400, 'invalid_request', ['query.prefix', 'control']],
    ['a prefix of 201 bytes', `GET /secrets?prefix=${'p'.repeat(201)}`, {}, 400, 'invalid_request', ['query.prefix', '200', '201']],
    ['limit 0', 'GET /secrets?limit=0', {}, 400, 'invalid_request', ['query.limit', '1 to 100']],
    ['limit 101', 'GET /secrets?limit=101', {}, 400, 'invalid_request', ['query.limit', '1 to 100']],
    ['a limit with a sign', 'GET /secrets?limit=-1', {}, 400, 'invalid_request', ['query.limit', '1 to 100']],
    ['a limit in hexadecimal', 'GET /secrets?limit=0x10', {}, 400, 'invalid_request', ['query.limit', '1 to 100']],
    ['a foreign cursor', 'GET /secrets?cursor=elsewhere', {}, 400, 'invalid_request', ['cursor']],
    ['a parameter on a route without any', 'GET /health?verbose=1', {}, 400, 'invalid_request', ['query.verbose', 'has none']],
    ['a parameter on a batch read', 'POST /secrets:read?store=default', { body: { names: ['a'] } }, 400, 'invalid_request', ['query.store']],
    ['an absent property', 'GET /secrets/settings?property=nope', {}, 404, 'not_found', ['nope']],
    ['an inherited property', 'GET /secrets/settings?property=constructor', {}, 404, 'not_found', ['constructor']],
    ['an absent version', 'GET /secrets/OPENAI_API_KEY?version=999', {}, 404, 'not_found', ['version']],
    ['an absent stage', 'GET /secrets/OPENAI_API_KEY?stage=previous', {}, 404, 'not_found', ['OPENAI_API_KEY']],
    ['text asked of bytes', 'GET /secrets/bytes', { headers: { accept: 'text/plain' } }, 400, 'invalid_request', ['accept', 'base64']],
  ])
})

describe('bodies', () => {
  refuses([
    ['no body', put, {}, 400, 'invalid_request', ['body', 'empty', 'application/json']],
    ['no content type', put, { body: { value: 'v' }, headers: { 'content-type': '' } }, 415, 'unsupported_media_type', ['content-type', 'application/json']],
    ['a form', put, { body: 'value=v', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415, 'unsupported_media_type', ['content-type', 'application/json']],
    ['JSON called text', many, { body: { names: ['a'] }, headers: { 'content-type': 'text/plain' } }, 415, 'unsupported_media_type', ['content-type']],
    ['another charset', many, { body: { names: ['a'] }, headers: { 'content-type': 'application/json; charset=latin1' } }, 415, 'unsupported_media_type', ['charset=utf-8']],
    ['a compressed body', many, { body: { names: ['a'] }, headers: { 'content-encoding': 'gzip' } }, 415, 'unsupported_media_type', ['content-encoding', 'uncompressed']],
    ['a body on a GET', 'GET /secrets/OPENAI_API_KEY', { body: { a: 1 } }, 400, 'invalid_request', ['body', '0 bytes']],
    ['a body on a DELETE', 'DELETE /secrets/OPENAI_API_KEY', { body: { a: 1 } }, 400, 'invalid_request', ['body', '0 bytes']],
    ['a list', put, json('[]'), 400, 'invalid_request', ['body', 'JSON object']],
    ['a string', put, json('"v"'), 400, 'invalid_request', ['body', 'JSON object']],
    ['null', put, json('null'), 400, 'invalid_request', ['body', 'JSON object']],
    ['spaces alone', put, json('  '), 400, 'invalid_request', ['body', 'JSON object']],
    ['a byte order mark', put, of([0xef, 0xbb, 0xbf, 0x7b, 0x7d]), 400, 'invalid_request', ['body', 'JSON object']],
    ['an unclosed object', put, json('{"value":"v"'), 400, 'invalid_request', ['body', 'character 13', 'JSON']],
    ['a trailing comma', put, json('{"value":"v",}'), 400, 'invalid_request', ['body', 'character 14', 'key']],
    ['a second object', put, json('{"value":"v"}{}'), 400, 'invalid_request', ['body', 'character 14', 'follows']],
    ['single quotes', put, json("{'value':'v'}"), 400, 'invalid_request', ['body', 'double quotes']],
    ['a comment', put, json('{/**/"value":"v"}'), 400, 'invalid_request', ['body', 'character 2']],
    ['NaN', put, json('{"value":NaN}'), 400, 'invalid_request', ['body', 'character 10']],
    ['a leading zero', put, json('{"value":01}'), 400, 'invalid_request', ['body', 'character 11']],
    ['a number beyond all numbers', put, json('{"value":1e999}'), 400, 'invalid_request', ['value', '2^53 - 1', 'text']],
    ['a whole number that cannot be kept', put, json('{"value":12345678901234567890}'), 400, 'invalid_request', ['value', '2^53 - 1']],
    ['a raw line end in a string', put, json('{"value":"a\nb"}'), 400, 'invalid_request', ['body', 'control character']],
    ['a raw NUL', put, json('{"value":"a\u0000b"}'), 400, 'invalid_request', ['body', 'control character']],
    ['an unknown escape', put, json('{"value":"\\x41"}'), 400, 'invalid_request', ['body', 'escape']],
    ['half a surrogate pair', put, json('{"value":"\\ud800"}'), 400, 'invalid_request', ['value', 'surrogate', 'base64']],
    ['bytes that are not UTF-8', put, of([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400, 'invalid_request', ['body', 'UTF-8', 'base64']],
    ['overlong UTF-8', put, of([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d]), 400, 'invalid_request', ['body', 'UTF-8']],
    ['a key twice', put, json('{"value":"a","value":"b"}'), 400, 'invalid_request', ['value', 'twice', 'once']],
    ['a key twice by its escape', put, json('{"value":"a","\\u0076alue":"b"}'), 400, 'invalid_request', ['value', 'twice']],
    ['__proto__', put, json('{"value":"v","__proto__":{"admin":true}}'), 400, 'invalid_request', ['__proto__', 'refuses']],
    ['constructor in the depth', put, json('{"value":"v","tags":{"a":{"constructor":1}}}'), 400, 'invalid_request', ['tags.a.constructor', 'refuses']],
    ['prototype in a list', put, json('{"value":[{"prototype":1}]}'), 400, 'invalid_request', ['value[0].prototype', 'refuses']],
    ['an escaped __proto__', put, json('{"\\u005f_proto__":1}'), 400, 'invalid_request', ['__proto__', 'refuses']],
    ['seventeen levels', put, json(deep(17)), 400, 'invalid_request', ['16', 'levels', 'flatter']],
    ['ten thousand levels', put, json('['.repeat(10_000)), 400, 'invalid_request', ['body', 'JSON object']],
    ['ten thousand levels inside', put, json(`{"value":${'['.repeat(10_000)}`), 400, 'invalid_request', ['16', 'levels']],
    ['257 members', put, json(members(257)), 400, 'invalid_request', ['256', 'members', 'fewer']],
    ['a text of 4,097 characters', put, { body: { value: 'v', description: 'd'.repeat(4097) } }, 400, 'invalid_request', ['description', '4096', '4097']],
    ['a key of 4,097 characters', put, { body: { ['k'.repeat(4097)]: 'v' } }, 400, 'invalid_request', ['key', '4096']],
    ['an unknown field', put, { body: { value: 'v', ttl: 1 } }, 400, 'invalid_request', ['ttl', 'fields are']],
    ['a mistyped field', put, { body: { valeu: 'v' } }, 400, 'invalid_request', ['valeu', 'did you mean value', 'value: is required']],
    ['a value that is a number', put, { body: { value: 1 } }, 400, 'invalid_request', ['value', 'must be text']],
    ['a value that is null', put, { body: { value: null } }, 400, 'invalid_request', ['value', 'must be text']],
    ['an unknown encoding', put, { body: { value: 'v', encoding: 'hex' } }, 400, 'invalid_request', ['encoding', 'utf8, base64']],
    ['base64 that is none', put, { body: { value: 'a b!', encoding: 'base64' } }, 400, 'invalid_request', ['value', 'base64', 'padding']],
    ['base64 without its padding', put, { body: { value: 'YQ', encoding: 'base64' } }, 400, 'invalid_request', ['value', 'base64', 'padding']],
    ['eleven tags', put, { body: { value: 'v', tags: Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`t${index}`, 'x'])) } }, 400, 'invalid_request', ['tags', '10']],
    ['a tag of 257 characters', put, { body: { value: 'v', tags: { a: 'x'.repeat(257) } } }, 400, 'invalid_request', ['tags.a', '256']],
    ['a tag key of 129 characters', put, { body: { value: 'v', tags: { ['k'.repeat(129)]: 'x' } } }, 400, 'invalid_request', ['tags', '128']],
    ['a tag that is Latchkey\'s own', put, { body: { value: 'v', tags: { 'managed-by': 'me' } } }, 400, 'invalid_request', ['tags.managed-by', 'another key']],
    ['a tag that would make it a virtual key', put, { body: { value: 'v', tags: { 'latchkey-key-id': 'x' } } }, 400, 'invalid_request', ['tags.latchkey-key-id', 'another key']],
    ['a control character in a tag', put, { body: { value: 'v', tags: { a: 'x\u0000' } } }, 400, 'invalid_request', ['tags.a', 'control']],
    ['a control character in a description', put, { body: { value: 'v', description: 'a\nb' } }, 400, 'invalid_request', ['description', 'control']],
    ['adopt that is text', put, { body: { value: 'v', adopt: 'yes' } }, 400, 'invalid_request', ['adopt', 'true or false']],
    ['names that are no list', many, { body: { names: 'a' } }, 400, 'invalid_request', ['names', 'list']],
    ['no names', many, { body: { names: [] } }, 400, 'invalid_request', ['names', '1 to 100']],
    ['101 names', many, { body: { names: Array.from({ length: 101 }, () => 'a') } }, 400, 'invalid_request', ['names', '101', '1 to 100']],
    ['a name that is a number', many, { body: { names: ['a', 7] } }, 400, 'invalid_request', ['names[1]', 'text']],
    ['another field beside names', many, { body: { name: ['a'] } }, 400, 'invalid_request', ['name', 'did you mean names']],
  ])
})

describe('headers', () => {
  refuses([
    ['an If-Match of nothing', put, { body: { value: 'v' }, headers: { 'if-match': '*' } }, 400, 'invalid_request', ['if-match', 'ETag']],
    ['a weak If-Match', put, { body: { value: 'v' }, headers: { 'if-match': 'W/"1"' } }, 400, 'invalid_request', ['if-match', 'W/']],
    ['a list in If-Match', put, { body: { value: 'v' }, headers: { 'if-match': '"1", "2"' } }, 400, 'invalid_request', ['if-match', 'one version']],
    ['an If-Match of an absent secret', put, { body: { value: 'v' }, headers: { 'if-match': '"1"' } }, 412, 'precondition_failed', ['new']],
    ['an If-Match of another version', 'PUT /secrets/OPENAI_API_KEY', { body: { value: 'v' }, headers: { 'if-match': '"999"' } }, 412, 'precondition_failed', ['If-Match']],
    ['a delete with another version', 'DELETE /secrets/OPENAI_API_KEY', { headers: { 'if-match': '"999"' } }, 412, 'precondition_failed', ['If-Match']],
    ['an idempotency key of 15 characters', 'POST /key/generate', { body: {}, headers: { 'idempotency-key': 'a'.repeat(15) } }, 400, 'invalid_request', ['idempotency-key', '16 to 255']],
    ['an idempotency key of 256 characters', 'POST /key/generate', { body: {}, headers: { 'idempotency-key': 'a'.repeat(256) } }, 400, 'invalid_request', ['idempotency-key', '16 to 255']],
    ['an idempotency key outside ASCII', put, { body: { value: 'v' }, headers: { 'idempotency-key': 'caf\u00e9'.repeat(8) } }, 400, 'invalid_request', ['idempotency-key', 'ASCII']],
    ['a request whose time is over', 'GET /secrets/OPENAI_API_KEY', { deadline: 0 }, 504, 'deadline_exceeded', ['time', '"applied":"no"']],
  ])
})

describe('secrets as they stand', () => {
  refuses([
    ['an absent secret', 'GET /secrets/absent', {}, 404, 'not_found', ['absent', 'default']],
    ['the delete of an absent secret', 'DELETE /secrets/absent', {}, 404, 'not_found', ['absent']],
    ['the recover of an absent secret', 'POST /secrets/absent:recover', {}, 404, 'not_found', ['absent']],
    ['a write over a foreign secret', 'PUT /secrets/foreign', { body: { value: 'v' } }, 409, 'already_exists', ['foreign', 'managed-by=latchkey', 'adopt']],
    ['the delete of a foreign secret', 'DELETE /secrets/foreign', {}, 409, 'already_exists', ['foreign', 'managed-by=latchkey']],
    ['a write over a virtual key', 'PUT /secrets/litellm/taken', { body: { value: 'v', adopt: true } }, 403, 'forbidden', ['/key/']],
    ['the delete of a virtual key', 'DELETE /secrets/litellm/taken', {}, 403, 'forbidden', ['/key/']],
    ['a virtual key read with the master key', 'GET /secrets/litellm/taken', {}, 403, 'forbidden', ['keys:reveal']],
  ])

  refuses([['a name outside hosted_keys', 'GET /secrets/OTHER', {}, 403, 'forbidden', ['OTHER', 'hosted_keys']]], { policy: { hostedKeys: new Set(['OPENAI_API_KEY']) } })
  refuses([['a read of a write_only store', 'GET /secrets/OPENAI_API_KEY', {}, 403, 'forbidden', ['write_only', 'access_mode']]], { policy: { accessMode: 'write_only' } })
  refuses([['a write to a read_only store', 'PUT /secrets/new', { body: { value: 'v' } }, 403, 'forbidden', ['read_only', 'access_mode']]], { policy: { accessMode: 'read_only' } })
  refuses([['a key where none are stored', 'POST /key/generate', { body: { key_alias: 'a' } }, 403, 'forbidden', ['store_virtual_keys']]], { policy: { storeVirtualKeys: false } })
})

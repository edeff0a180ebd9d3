// `oidc/<provider>/<audience>`: LiteLLM's references to identity tokens, for every login that takes one. A token is fetched or read when it is asked for, never at open.
// Only `oidc/file` is held to the allowed folders: the other paths come from the operator's own environment or settings.
import { LatchkeyError } from '../core/errors.ts'
import type { HttpClient } from '../core/http-client.ts'
import { jsonOf } from '../core/http/answers.ts'
import { checkCall, type Call, type Env, type ProviderIo } from '../core/runtime.ts'
import { SecretValue } from '../core/secret.ts'
import { tokenSource, type Token } from './token.ts'

/** Where an identity token comes from. */
export interface IdentityTokens {
  /** A token that is good now. @throws misconfigured, provider_denied, provider_unavailable, deadline_exceeded; each names the setting */
  get(call: Call): Promise<SecretValue>
}

/** What `oidc/file` may read when `LITELLM_OIDC_ALLOWED_CREDENTIAL_DIRS` is not set; LiteLLM's default. */
export const defaultTokenFolders = '/var/run/secrets,/run/secrets'

const googleSeconds = 3540
const githubSeconds = 295
const awsSeconds = 300
const longestToken = 20_000
const largestFile = 65_536

const wrong = (setting: string, message: string): LatchkeyError => new LatchkeyError('misconfigured', `${setting}: ${message}`, { issues: [{ path: setting, message }] })
const given = (env: Env, name: string): string | undefined => env.get(name) || undefined

/** Whether a text is such a reference. */
export const isOidcReference = (text: string): boolean => text.startsWith('oidc/')

/** Whether a text is a token itself: three parts, the first of them a JSON header. */
export const isJwt = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text) && Buffer.from(text.split('.')[0] ?? '', 'base64url').toString('utf8').trimStart().startsWith('{')

/** When a token ends by its own word, in epoch milliseconds; nothing is verified. */
export const expiryOf = (token: SecretValue): number | undefined => {
  try {
    const { exp } = JSON.parse(Buffer.from(token.reveal().split('.')[1] ?? '', 'base64url').toString('utf8')) as { exp?: unknown }
    return typeof exp === 'number' ? exp * 1000 : undefined
  } catch {
    return undefined
  }
}

const tokenOf = (text: string, setting: string, from: string): SecretValue => {
  const token = text.trim()
  if (token.length < 4 || token.length > longestToken || /[^\x21-\x7e]/.test(token)) throw wrong(setting, `${from} holds no token: one has 4 to ${longestToken} printable characters.`)
  return SecretValue.of(token)
}

/** The token in a file, read again at every call; the space around it does not count. @throws misconfigured when there is no such file, or no token in it */
export const tokenFile = async (files: ProviderIo['files'], path: string, setting: string, from = 'the file that it names'): Promise<SecretValue> => {
  const bytes = await files.read(path).catch(() => {
    throw wrong(setting, `${from} cannot be read. Give the user that runs Latchkey the right to it.`)
  })
  if (bytes === undefined) throw wrong(setting, `${from} does not exist.`)
  if (bytes.byteLength > largestFile) throw wrong(setting, `${from} is longer than ${largestFile} bytes, so it is no token file.`)
  return tokenOf(Buffer.from(bytes).toString('utf8'), setting, from)
}

const variable = (env: Env, name: string, setting: string, message = `Environment variable ${name} not found.`): string => {
  const value = given(env, name)
  if (value === undefined) throw wrong(setting, message)
  return value
}

const isInside = (path: string, folder: string): boolean => path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)

/** The file, links followed, must lie in one of the allowed folders, links followed. What was checked is what is read. */
const allowedFile = async (io: ProviderIo, path: string, setting: string): Promise<SecretValue> => {
  if (!/^(\/|[A-Za-z]:[\\/])/.test(path)) throw wrong(setting, 'the path of oidc/file must be absolute: oidc/file//var/run/secrets/token, with two slashes.')
  const real = await io.files.realPath(path)
  if (real === undefined) throw wrong(setting, 'the file that oidc/file names does not exist.')
  const folders = (given(io.env, 'LITELLM_OIDC_ALLOWED_CREDENTIAL_DIRS') ?? defaultTokenFolders).split(',').map((folder) => folder.trim()).filter((folder) => folder !== '')
  for (const folder of folders) {
    const allowed = await io.files.realPath(folder)
    if (allowed !== undefined && isInside(real, allowed)) return tokenFile(io.files, real, setting, 'the file that oidc/file names')
  }
  throw wrong(setting, 'the file that oidc/file names is outside the allowed credential directories; LITELLM_OIDC_ALLOWED_CREDENTIAL_DIRS lists them, separated by commas.')
}

interface Issuer {
  /** For messages; LiteLLM's own word. */
  readonly title: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | readonly (string | SecretValue)[]>>
  tokenIn(answer: Awaited<ReturnType<HttpClient['send']>>): string | undefined
}

const ask = async ({ title, url, headers, tokenIn }: Issuer, setting: string, io: ProviderIo, call: Call): Promise<SecretValue> => {
  const failed = (code: 'provider_denied' | 'provider_unavailable', why: string, status?: number): LatchkeyError =>
    new LatchkeyError(code, `${title} OIDC provider failed: ${why}`, { issues: [{ path: setting, message: 'its identity token could not be had' }], ...(status !== undefined && { vendor: { status } }) })
  const { origin, pathname, search } = new URL(url)
  const client = await io.http.connect({ url: origin, title: `the identity tokens of ${title}`, setting })
  try {
    const answer = await client.send({ method: 'GET', path: pathname + search, headers }, call)
    if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) throw failed('provider_denied', `it refused a token for this audience. Check the audience in ${setting}, and that this workload has an identity.`, answer.status)
    if (answer.status !== 200) throw failed('provider_unavailable', 'it answered with a failure.', answer.status)
    const token = tokenIn(answer)
    if (token === undefined || !isJwt(token.trim())) throw failed('provider_unavailable', 'what it answered is no token.', answer.status)
    return tokenOf(token, setting, 'its answer')
  } catch (error) {
    throw error instanceof LatchkeyError && error.details.issues === undefined ? error.with({ issues: [{ path: setting, message: 'its identity token could not be had' }] }, `${title} OIDC provider failed. ${error.message}`) : error
  } finally {
    await client.close()
  }
}

const google = (audience: string, env: Env): Issuer => ({
  title: 'Google',
  url: `http://${given(env, 'GCE_METADATA_HOST') ?? 'metadata.google.internal'}/computeMetadata/v1/instance/service-accounts/default/identity?audience=${encodeURIComponent(audience)}`,
  headers: { 'metadata-flavor': 'Google' },
  tokenIn: ({ body }) => Buffer.from(body).toString('utf8'),
})

const github = (audience: string, env: Env, setting: string): Issuer => {
  const missing = 'ACTIONS_ID_TOKEN_REQUEST_URL or ACTIONS_ID_TOKEN_REQUEST_TOKEN not found in environment. The job needs the permission id-token: write.'
  const url = variable(env, 'ACTIONS_ID_TOKEN_REQUEST_URL', setting, missing)
  const bearer = SecretValue.of(variable(env, 'ACTIONS_ID_TOKEN_REQUEST_TOKEN', setting, missing))
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw wrong(setting, 'ACTIONS_ID_TOKEN_REQUEST_URL is no URL.')
  return {
    title: 'Github',
    url: `${url}${url.includes('?') ? '&' : '?'}audience=${encodeURIComponent(audience)}`,
    headers: { accept: 'application/json; api-version=2.0', authorization: ['Bearer ', bearer] },
    tokenIn: (answer) => {
      const { value } = (jsonOf(answer, 'Github') ?? {}) as { value?: unknown }
      return typeof value === 'string' ? value : undefined
    },
  }
}

/** Kept no longer than LiteLLM keeps it, and never beyond a minute before the token's own end. */
const kept = (value: SecretValue, seconds: number, now: number): Token => ({ value, useUntil: Math.min(now + seconds * 1000, (expiryOf(value) ?? Number.POSITIVE_INFINITY) - 60_000) })

/**
 * Tokens by reference: `google`, `github`, `circleci`, `circleci_v2`, `azure`, `file`, `env` and `env_path`, as LiteLLM reads them, and `aws`, which LiteLLM does not have. Makes no call.
 * `setting` is where the reference stands, for messages. @throws misconfigured when it is no such reference
 */
export const oidcTokens = (reference: string, setting: string, io: ProviderIo): IdentityTokens => {
  const { env, clock } = io
  const [, provider = '', audience = ''] = /^oidc\/([^/]*)\/?(.*)$/s.exec(reference) ?? []
  const cached = (seconds: number, fetched: (call: Call) => Promise<SecretValue>, check: () => unknown = () => undefined): IdentityTokens => {
    const source = tokenSource({ clock, login: async (call) => kept(await fetched(call), seconds, clock.now()) })
    return {
      get: async (call) => {
        checkCall(call, clock)
        check()
        return (await source.get(call)).value
      },
    }
  }
  const issued = (seconds: number, issuer: () => Issuer): IdentityTokens => cached(seconds, (call) => ask(issuer(), setting, io, call), issuer)
  const plain = (get: () => SecretValue | Promise<SecretValue>): IdentityTokens => ({ get: async () => get() })
  const ofVariable = (name: string) => plain(() => tokenOf(variable(env, name, setting, `${name} not found in environment.`), setting, `the variable ${name}`))
  const makers: Readonly<Record<string, () => IdentityTokens>> = {
    google: () => issued(googleSeconds, () => google(audience, env)),
    aws: () => cached(awsSeconds, async (call) => tokenOf(await (await import('./oidc/aws.ts')).outboundToken({ audience, setting }, io, call), setting, 'its answer')),
    github: () => issued(githubSeconds, () => github(audience, env, setting)),
    circleci: () => ofVariable('CIRCLE_OIDC_TOKEN'),
    circleci_v2: () => ofVariable('CIRCLE_OIDC_TOKEN_V2'),
    azure: () => {
      const missing = 'AZURE_FEDERATED_TOKEN_FILE not found in environment. Latchkey asks Entra for no token of its own here: use workload identity, which sets this variable.'
      return plain(() => tokenFile(io.files, variable(env, 'AZURE_FEDERATED_TOKEN_FILE', setting, missing), setting, 'the file that AZURE_FEDERATED_TOKEN_FILE names'))
    },
    file: () => plain(() => allowedFile(io, audience, setting)),
    env: () => plain(() => tokenOf(variable(env, audience, setting), setting, `the variable ${audience}`)),
    env_path: () => plain(() => tokenFile(io.files, variable(env, audience, setting), setting, `the file that ${audience} names`)),
  }
  const make = Object.hasOwn(makers, provider) ? makers[provider] : undefined
  if (make === undefined) throw wrong(setting, `Unsupported OIDC provider; there are ${Object.keys(makers).join(', ')}.`)
  if (audience === '' && !['circleci', 'circleci_v2', 'azure'].includes(provider)) throw wrong(setting, `oidc/${provider} needs more behind a slash: the audience, the path or the variable.`)
  if (['env', 'env_path'].includes(provider) && !/^\w{1,128}$/.test(audience)) throw wrong(setting, `oidc/${provider} needs the name of an environment variable.`)
  return make()
}

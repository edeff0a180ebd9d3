// AWS's own word on who this function is, for another cloud: a token of STS for one audience, asked for with the keys that the host put into the environment. Loaded by the first login
// that goes by `oidc/aws/<audience>`. The account must have switched its issuer on, once.
import { LatchkeyError, type ErrorCode } from '../../core/errors.ts'
import { encodePart, type HttpResponse } from '../../core/http-client.ts'
import type { Call, Env, ProviderIo } from '../../core/runtime.ts'
import { environmentKeys } from '../aws-keys.ts'
import { signer } from '../aws/signature.ts'
import { isOpenHttp } from '../plain-http.ts'

/** What a token is asked for, and where the reference to it stands, for messages. */
export interface OutboundToken {
  readonly audience: string
  readonly setting: string
}

/** What a function of ours may ask for at most, and all that a login needs. */
const seconds = 300
/** Entra takes no other. */
const algorithm = 'RS256'
const title = 'AWS STS'
const given = (env: Env, name: string): string | undefined => env.get(name) || undefined

const endpointOf = (env: Env, region: string): { readonly setting: string; readonly url: string } => {
  const setting = ['AWS_STS_ENDPOINT', 'AWS_ENDPOINT_URL_STS', 'AWS_ENDPOINT_URL'].find((name) => given(env, name) !== undefined)
  return { setting: setting ?? 'AWS_REGION', url: (setting === undefined ? undefined : given(env, setting)) ?? `https://sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}` }
}

interface Says {
  readonly code: ErrorCode
  readonly fix: (audience: string) => string
}

const disabled: Says = { code: 'misconfigured', fix: () => 'this account gives no tokens for other clouds yet: aws iam enable-outbound-web-identity-federation, once.' }
const credentials: Says = { code: 'provider_denied', fix: () => 'AWS does not accept the keys of the environment, or not any more.' }
const busy: Says = { code: 'provider_throttled', fix: () => 'AWS throttles.' }

/** What STS says, by its own names without `Exception`. */
const table: Readonly<Record<string, Says>> = {
  OutboundWebIdentityFederationDisabled: disabled,
  AccessDenied: { code: 'provider_denied', fix: (audience) => `AWS refused sts:GetWebIdentityToken. The role needs it for the audience ${audience}, ${seconds} seconds and ${algorithm}; the stack gives it for latchkey.deployment.federation.outbound_audiences.` },
  SessionDurationEscalation: { code: 'provider_denied', fix: () => `the session of this function ends before a token of ${seconds} seconds would.` },
  ValidationError: { code: 'misconfigured', fix: () => 'AWS does not take this audience.' },
  ExpiredToken: credentials,
  InvalidClientTokenId: credentials,
  SignatureDoesNotMatch: credentials,
  Throttling: busy,
  RequestLimitExceeded: busy,
}

const textOf = ({ body }: HttpResponse): string => Buffer.from(body).toString('utf8')
const nameOf = (answer: HttpResponse): string => (/<Code>(\w{1,64})<\/Code>/.exec(textOf(answer))?.[1] ?? '').replace(/Exception$/, '')

/** A token that is good for five minutes. @throws misconfigured, provider_denied, provider_throttled, provider_unavailable, deadline_exceeded; each names the setting */
export const outboundToken = async ({ audience, setting }: OutboundToken, { env, clock, http }: Pick<ProviderIo, 'env' | 'clock' | 'http'>, call: Call): Promise<string> => {
  const failed = (code: ErrorCode, why: string, vendor?: LatchkeyError['details']['vendor']): LatchkeyError =>
    new LatchkeyError(code, `AWS OIDC provider failed: ${why}`, { issues: [{ path: setting, message: 'its identity token could not be had' }], ...(vendor !== undefined && { vendor }), ...(code === 'provider_throttled' && { retryAfter: 1 }) })
  const keys = environmentKeys(env)
  const region = given(env, 'AWS_REGION') ?? given(env, 'AWS_DEFAULT_REGION')
  if (keys === undefined) throw failed('misconfigured', 'there are no AWS credentials in the environment. AWS Lambda gives them to every function.')
  if (region === undefined || !/^[a-z0-9-]{1,63}$/.test(region)) throw failed('misconfigured', 'AWS_REGION is not set to a region; the global endpoint of STS gives no such tokens.')
  const { setting: named, url } = endpointOf(env, region)
  if (isOpenHttp(url)) throw failed('misconfigured', `${named} is plain http and leads away from this machine.`)
  const body = Object.entries({ Action: 'GetWebIdentityToken', Version: '2011-06-15', 'Audience.member.1': audience, DurationSeconds: String(seconds), SigningAlgorithm: algorithm }).map(([key, value]) => `${key}=${encodePart(value)}`).join('&')
  const client = await http.connect({ url, title, setting: named })
  try {
    const at = new URL(`${url.replace(/\/+$/, '')}/`)
    const headers = signer({ region, service: 'sts' })({ url: at, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body }, keys, clock.now())
    const answer = await client.send({ method: 'POST', path: '/', headers, body, repeatable: true, repeatIf: (response) => table[nameOf(response)] === busy }, call)
    const [name, { status }] = [nameOf(answer), answer]
    const vendor = { ...(name !== '' && { name }), status }
    const says = Object.hasOwn(table, name) ? table[name] : undefined
    if (status !== 200 && says !== undefined) throw failed(says.code, says.fix(audience), vendor)
    if (status !== 200) throw failed('provider_unavailable', 'it answered with a failure.', vendor)
    const token = /<WebIdentityToken>(eyJ[\w-]*\.[\w-]+\.[\w-]+)<\/WebIdentityToken>/.exec(textOf(answer))?.[1]
    if (token === undefined) throw failed('provider_unavailable', 'what it answered is no token.', { status })
    return token
  } catch (error) {
    throw error instanceof LatchkeyError && error.details.issues === undefined ? error.with({ issues: [{ path: setting, message: 'its identity token could not be had' }] }, `AWS OIDC provider failed. ${error.message}`) : error
  } finally {
    await client.close()
  }
}

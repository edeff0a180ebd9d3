// How STS is called, and what is said when a step of a login fails: which hop, which setting, what to do; the principals only in the detail. The SDK's own
// credential providers send the requests, each over a handler that ends with the login, so that none outlives its deadline.
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { LatchkeyError, type ErrorCode } from '../../core/errors.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import type { AwsKeys } from '../aws-keys.ts'
import { vendorOf } from './failures.ts'
import { awsClientOptions, silent } from './sdk-client.ts'
import type { SecretValue } from '../../core/secret.ts'
import type { AwsLoginSettings, Hop, Plan, Start } from './plan.ts'

/** Keys, and when they end. */
export interface TimedKeys extends AwsKeys {
  readonly expiration?: Date
}

/** STS under one login. */
export interface Sts {
  /** What every SDK provider takes as `clientConfig`. */
  readonly config: Awaited<ReturnType<typeof configOf>>
  /** Where the login stands, for messages. */
  readonly waitsFor: { step: string }
  close(): void
}

/** Where in a plan a step stands. */
export interface Place {
  readonly hop: Hop
  readonly at: number
  readonly of: number
  readonly start: Start
  /** Who asks, where that is known. */
  readonly principal?: string
}

const requestTimeoutMs = 3000

const configOf = async (settings: AwsLoginSettings, { region, url }: Plan['sts'], io: ProviderIo, call: Call) => {
  const { NodeHttpHandler: Handler } = await import('@smithy/node-http-handler')
  const handler: NodeHttpHandler = new Handler({ connectionTimeout: 2000, requestTimeout: requestTimeoutMs, throwOnRequestTimeout: true, logger: silent })
  const handle = handler.handle.bind(handler)
  handler.handle = async (request, options) => {
    const left = call.deadline - io.clock.now()
    if (left <= 0) throw new LatchkeyError('deadline_exceeded', 'AWS STS did not answer within the time of a login.', { applied: 'no' })
    const answer = await handle(request, { ...options, requestTimeout: Math.min(requestTimeoutMs, left) })
    const { statusCode, headers, body } = answer.response
    if (statusCode >= 500 || /xml|json/.test(headers['content-type'] ?? '') || headers['x-amzn-requestid'] !== undefined) return answer
    ;(body as { destroy?(): void } | undefined)?.destroy?.()
    throw new Error('what answered is not AWS STS')
  }
  return {
    region,
    ...awsClientOptions(settings, url),
    requestHandler: handler,
  }
}

/** STS for one login. */
export const openSts = async (settings: AwsLoginSettings, sts: Plan['sts'], io: ProviderIo, call: Call): Promise<Sts> => {
  const config = await configOf(settings, sts, io, call)
  return { config, waitsFor: { step: 'its start' }, close: () => config.requestHandler.destroy() }
}

/** `arn:aws:sts::1:assumed-role/Name/session`: what people may know of it. */
const sayWho = (arn: string): string => {
  const [, , , , account = '', ...rest] = arn.split(':')
  const [kind = '', ...names] = rest.join(':').split('/')
  const name = kind === 'assumed-role' ? names[0] : names.at(-1)
  const what = kind === 'assumed-role' ? 'role' : /^[a-z-]{1,20}$/.test(kind) ? kind : 'an identity'
  return /^\d{12}$/.test(account) && /^[\w+=,.@-]{0,128}$/.test(name ?? '') ? `Account ${account}, ${what}${name === undefined ? '' : ` ${name}`}.` : 'Somebody whose name is no ARN.'
}

/** Who these keys are. @throws whatever the SDK throws */
export const callerOf = async (keys: AwsKeys, sts: Sts): Promise<{ readonly arn: string; readonly says: string }> => {
  const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts')
  const { Arn: arn = '' } = await new STSClient({ ...sts.config, credentials: keys }).send(new GetCallerIdentityCommand({}))
  return { arn, says: sayWho(arn) }
}

/** Whether a caller already is that role, in whatever session. */
export const isRole = (callerArn: string, role: string): boolean => {
  const [, partition = '', account = '', path = ''] = /^arn:([\w-]+):iam::(\d{12}):role\/(.+)$/.exec(role) ?? []
  return callerArn.startsWith(`arn:${partition}:sts::${account}:assumed-role/${path.split('/').at(-1) ?? ''}/`)
}

/** Keys of a role for those that we have. @throws whatever the SDK throws */
export const assumeRole = async ({ role, sessionName, externalId, sourceIdentity, tags, seconds }: Hop, keys: AwsKeys, sts: Sts): Promise<TimedKeys> => {
  const { fromTemporaryCredentials } = await import('@aws-sdk/credential-providers')
  const params = {
    RoleArn: role,
    RoleSessionName: sessionName,
    ...(externalId !== undefined && { ExternalId: externalId }),
    ...(sourceIdentity !== undefined && { SourceIdentity: sourceIdentity }),
    ...(tags !== undefined && { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }),
    ...(seconds !== undefined && { DurationSeconds: seconds }),
  }
  return fromTemporaryCredentials({ params, masterCredentials: keys, clientConfig: sts.config, logger: silent })()
}

/** Keys of a role for an identity token. @throws whatever the SDK throws */
export const assumeRoleWithToken = async ({ role, sessionName, seconds }: Hop, token: SecretValue, sts: Sts): Promise<TimedKeys> => {
  const { fromWebToken } = await import('@aws-sdk/credential-providers')
  return fromWebToken({ roleArn: role, roleSessionName: sessionName, webIdentityToken: token.reveal(), ...(seconds !== undefined && { durationSeconds: seconds }), clientConfig: sts.config, logger: silent })()
}

interface Says {
  readonly code: ErrorCode
  readonly setting: (place: Place) => string
  readonly fix: (place: Place) => string
}

const ofRole = ({ hop }: Place): string => hop.setting
const ofStart = ({ start, at }: Place): string => (at === 1 ? start.setting : 'AWS_ROLE_ARN')

const trust = ({ hop, start, at }: Place): string => {
  if (hop.call === 'AssumeRoleWithWebIdentity') return `Its trust policy must name the token's issuer as federated principal, allow sts:AssumeRoleWithWebIdentity, and fit the token's audience and subject.`
  const id = hop.externalId === undefined ? 'ask for no external id, because aws_external_id is not set' : 'ask for no other external id than that of aws_external_id'
  const more = [hop.tags !== undefined && 'sts:TagSession (aws_session_tags)', hop.sourceIdentity !== undefined && 'sts:SetSourceIdentity (aws_source_identity)'].filter((what) => what !== false)
  const from = at > 1 ? 'the role of the hop before' : `the identity of ${start.setting}`
  return `Its trust policy must name ${from}, allow sts:AssumeRole${more.map((what) => ` and ${what}`).join('')}, and ${id}; and ${from} needs the same permission${more.length > 0 ? 's' : ''} on it.`
}

/** What STS says, by its own names without `Exception`. */
const table: Readonly<Record<string, Says>> = {
  AccessDenied: { code: 'provider_denied', setting: ofRole, fix: trust },
  ExpiredToken: { code: 'provider_denied', setting: ofStart, fix: (place) => `The ${place.hop.call === 'AssumeRole' ? 'credentials' : 'token'} of ${ofStart(place)} ha${place.hop.call === 'AssumeRole' ? 've' : 's'} expired: see to what renews ${place.hop.call === 'AssumeRole' ? 'them' : 'it'}.` },
  InvalidIdentityToken: { code: 'provider_denied', setting: ofStart, fix: (place) => `AWS does not accept the token of ${ofStart(place)}: its issuer must be an identity provider in the account of the role, with the token's audience.` },
  IDPRejectedClaim: { code: 'provider_denied', setting: ofStart, fix: (place) => `The issuer of the token of ${ofStart(place)} rejects it.` },
  IDPCommunicationError: { code: 'provider_unavailable', setting: ofStart, fix: (place) => `AWS could not reach the issuer of the token of ${ofStart(place)}.` },
  PackedPolicyTooLarge: { code: 'misconfigured', setting: () => 'aws_session_tags', fix: () => 'aws_session_tags are too large for a session: use fewer or shorter ones.' },
  MalformedPolicyDocument: { code: 'misconfigured', setting: ofRole, fix: () => 'AWS takes the request for malformed.' },
  RegionDisabled: { code: 'misconfigured', setting: () => 'aws_region_name', fix: () => "STS is not active in this region for the role's account: activate it there, or set aws_sts_endpoint to the endpoint of another region." },
  ValidationError: { code: 'misconfigured', setting: () => 'aws_session_duration_seconds', fix: ({ hop }) => `AWS does not accept what ${hop.setting} and the settings beside it ask for: aws_session_duration_seconds must not be over the role's own limit, nor over 3600 where the role is assumed from another role.` },
  InvalidClientTokenId: { code: 'provider_denied', setting: ofStart, fix: (place) => `AWS does not know the credentials of ${ofStart(place)}, or not any more.` },
  UnrecognizedClient: { code: 'provider_denied', setting: ofStart, fix: (place) => `AWS does not know the credentials of ${ofStart(place)}, or not any more.` },
  SignatureDoesNotMatch: { code: 'provider_denied', setting: ofStart, fix: (place) => `The signature does not fit: the secret key of ${ofStart(place)} is wrong, or aws_sts_endpoint belongs to another region.` },
  Throttling: { code: 'provider_throttled', setting: ofRole, fix: () => 'AWS STS throttles.' },
}
const unreachable: Says = { code: 'provider_unavailable', setting: () => 'aws_sts_endpoint', fix: () => 'AWS STS could not be reached, or did not answer sensibly: check the network path to it; in a network without internet it needs a VPC endpoint (aws_sts_endpoint).' }

const same: Readonly<Record<string, string>> = { Validation: 'ValidationError', IDPCommunication: 'IDPCommunicationError', RequestLimitExceeded: 'Throttling', TooManyRequests: 'Throttling', ExpiredTokenException: 'ExpiredToken' }

/** The name of what the SDK threw, in the form of the table. */
export const stsNameOf = (error: unknown): string => {
  const name = (error instanceof Error ? error.name : '').replace(/Exception$/, '')
  return same[name] ?? name
}

/** One step of a login, for people. */
export const stepOf = ({ hop, at, of }: Place): string => `sts:${hop.call} into the role of ${hop.setting} (hop ${at} of ${of})`

/** The failure of one hop, in our words. */
export const hopFailure = (error: unknown, place: Place): LatchkeyError => {
  if (error instanceof LatchkeyError) return error
  const name = stsNameOf(error)
  const { code, setting, fix } = (Object.hasOwn(table, name) ? table[name] : undefined) ?? unreachable
  const { hop, principal } = place
  const message = fix(place)
  return new LatchkeyError(code, `The login to AWS failed at ${stepOf(place)}. ${message}`, {
    issues: [{ path: setting(place), message }],
    detail: `sts:${hop.call} on ${hop.role}${hop.call === 'AssumeRole' ? ` as ${principal ?? 'an unknown principal'}` : ''}`,
    vendor: vendorOf(error),
    ...(code === 'provider_throttled' && { retryAfter: 1 }),
  })
}

/** What the SDK's providers throw when there is simply nothing to find. */
const nothingFound: ReadonlySet<string> = new Set(['CredentialsProviderError', 'TokenProviderError', 'ProviderError'])

/** The failure of the very start of a login, in our words. */
export const startFailure = (error: unknown, { kind, setting }: Start): LatchkeyError => {
  if (error instanceof LatchkeyError) return error
  const name = stsNameOf(error)
  const refused = Object.hasOwn(table, name) ? table[name]?.code : undefined
  const code = nothingFound.has(name) ? 'misconfigured' : (refused ?? 'provider_unavailable')
  const profile = 'The profile of aws_profile_name gives no credentials'
  const why = code === 'misconfigured' ? 'check its entries in the shared AWS files, and what they refer to.' : refused === undefined ? 'what it refers to could not be reached.' : 'AWS refused what it asks for; check the role and the source that it names.'
  const message =
    kind === 'profile'
      ? `${profile}: ${why}`
      : code === 'misconfigured'
        ? 'No AWS credentials were found. Set aws_access_key_id and aws_secret_access_key, or run with an identity that the default credential chain finds.'
        : 'The default credential chain of AWS found a source that gives no credentials now. Check the identity of this machine, or set aws_access_key_id and aws_secret_access_key.'
  return new LatchkeyError(code, message, { issues: [{ path: setting, message }], vendor: vendorOf(error), ...(code === 'provider_throttled' && { retryAfter: 1 }) })
}

// AWS STS on loopback: the query protocol and its XML, Signature Version 4 on AssumeRole and GetCallerIdentity, none on AssumeRoleWithWebIdentity, and the rules
// of trust policies. Whoever it gives keys to is known to the other fakes that share `keys`, so that an assumed role can read a secret there.
import { createHmac } from 'node:crypto'
import { checkSignature, type FakeAccessKey } from './aws-signature.ts'
import { ServiceFailure } from './aws-secrets-manager-input.ts'
import { startFake, type RunningFake, type WireAnswer, type WireRequest, type WireService } from './wire.ts'

/** A role and its trust policy. */
export interface FakeRole {
  readonly arn: string
  /** Default: 3600. */
  readonly maxSeconds?: number
  /** ARNs of users or roles that may assume it. */
  readonly principals?: readonly string[]
  /** `StringEquals` on `sts:ExternalId`; without it the policy does not look at one. */
  readonly externalId?: string
  /** Whose tokens may go into it. */
  readonly web?: { readonly issuer: string; readonly audience: string; readonly subject: string }
  /** Whether the trust policy allows sts:TagSession and sts:SetSourceIdentity. */
  readonly tagSession?: boolean
  readonly setSourceIdentity?: boolean
}

/** A user with long-lived keys, or a session that was there before the test. */
export interface FakeCaller extends FakeAccessKey {
  readonly arn: string
}

/** One request as its form body says it. */
export interface StsForm {
  readonly action: string
  /** Every field but Action and Version. */
  readonly fields: Readonly<Record<string, string>>
  /** The access key that signed, or none. */
  readonly signedBy: string | undefined
}

/** What the account gives to other clouds: nothing while it is switched off. */
export interface FakeOutbound {
  on: boolean
  /** What the caller's policy lets it ask for; default: anything. */
  audiences?: readonly string[]
}

/** Who may do what here. */
export interface StsFakeOptions {
  readonly now: () => number
  readonly region?: string
  readonly callers?: readonly FakeCaller[]
  readonly roles: readonly FakeRole[]
}

/** The running fake. */
export interface StsFake extends RunningFake {
  readonly forms: StsForm[]
  /** Every good key, sessions included. A live array. */
  readonly keys: FakeAccessKey[]
  readonly roles: Map<string, FakeRole>
  /** Off at first, as in every account. */
  readonly outbound: FakeOutbound
  /** A token of an issuer that the accounts know. */
  token(claims?: Readonly<Record<string, unknown>>): string
  /** Ends every session now. */
  endSessions(): void
}

interface Session extends FakeCaller {
  readonly expires: number
  readonly role?: string
}

/** The issuer that the accounts of the fake know. */
export const fakeIssuer = { issuer: 'https://issuer.sample.example', audience: 'sts.amazonaws.com', subject: 'system:serviceaccount:gateway:latchkey' }
const issuerKey = 'the key of the fake issuer'
const words = /^[\w+=,.@-]{2,64}$/

const part = (content: unknown): string => Buffer.from(JSON.stringify(content)).toString('base64url')
const signed = (text: string): string => createHmac('sha256', issuerKey).update(text).digest('base64url')

const fail = (name: string, message: string, status = 400): never => {
  throw new ServiceFailure(name, message, status)
}
const invalid = (field: string): never => fail('ValidationError', `1 validation error detected: Value at '${field}' failed to satisfy constraint`)

const escaped = (text: string): string => text.replace(/[<>&]/g, (letter) => ({ '<': '&lt;', '>': '&gt;' })[letter] ?? '&amp;')
const xml = (status: number, body: string): WireAnswer => ({ status, headers: { 'content-type': 'text/xml', 'x-amzn-requestid': '00000000-fake-4000-8000-000000000000' }, body })
const answerOf = (action: string, result: string): WireAnswer => xml(200, `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>${result}</${action}Result><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></${action}Response>`)
const errorOf = (name: string, message: string, status: number): WireAnswer =>
  xml(status, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>${status < 500 ? 'Sender' : 'Receiver'}</Type><Code>${name}</Code><Message>${escaped(message)}</Message></Error><RequestId>0</RequestId></ErrorResponse>`)

/** STS's own names for what the shared signature check finds. */
const signatureNames: Readonly<Record<string, string>> = { MissingAuthenticationTokenException: 'MissingAuthenticationToken', UnrecognizedClientException: 'InvalidClientTokenId', InvalidSignatureException: 'SignatureDoesNotMatch' }

const claimsOf = (token: string, now: number): { iss?: unknown; aud?: unknown; sub?: unknown } => {
  const [header = '', payload = '', signature = ''] = token.split('.')
  if (signed(`${header}.${payload}`) !== signature) return fail('InvalidIdentityToken', "Couldn't retrieve verification key from your identity provider")
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { iss?: unknown; aud?: unknown; sub?: unknown; exp?: number }
  if ((claims.exp ?? 0) * 1000 <= now) return fail('ExpiredTokenException', 'Token expired: current date/time must be before the expiration date/time')
  if (claims.iss !== fakeIssuer.issuer) return fail('InvalidIdentityToken', 'No OpenIDConnect provider found in your account')
  if (claims.aud !== fakeIssuer.audience) return fail('InvalidIdentityToken', 'Incorrect token audience')
  return claims
}

/** Starts the fake on a free port of loopback. */
export const startStsFake = async ({ now, region = 'us-east-1', callers = [], roles: given }: StsFakeOptions): Promise<StsFake> => {
  const roles = new Map(given.map((role) => [role.arn, role]))
  const sessions: Session[] = callers.map((caller) => ({ ...caller, expires: Number.POSITIVE_INFINITY, ...(caller.arn.includes(':assumed-role/') && { role: caller.arn }) }))
  const keys: FakeAccessKey[] = [...callers]
  const forms: StsForm[] = []
  const outbound: FakeOutbound = { on: false }
  let issued = 0

  const formOf = ({ body, headers }: WireRequest): StsForm => {
    const fields = Object.fromEntries(new URLSearchParams(body.toString('utf8')))
    const { Action: action = '', Version: _, ...rest } = fields
    return { action, fields: rest, signedBy: /Credential=([^/]+)\//.exec(headers['authorization'] ?? '')?.[1] }
  }

  const callerOf = (request: WireRequest, form: StsForm): Session => {
    try {
      checkSignature(request, request.body, { region, service: 'sts', keys: sessions })
    } catch (error) {
      const { name, message } = error as ServiceFailure
      return fail(signatureNames[name] ?? name, message, 403)
    }
    const caller = sessions.find(({ accessKeyId }) => accessKeyId === form.signedBy)
    if (caller === undefined || caller.expires <= now()) return fail('ExpiredToken', 'The security token included in the request is expired', 403)
    return caller
  }

  const secondsOf = (fields: StsForm['fields'], role: FakeRole | undefined, chained: boolean): number => {
    const seconds = Number(fields['DurationSeconds'] ?? 3600)
    if (!Number.isInteger(seconds) || seconds < 900 || seconds > 43_200) return invalid('durationSeconds')
    if (chained && seconds > 3600) return fail('ValidationError', 'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining')
    if (seconds > (role?.maxSeconds ?? 3600)) return fail('ValidationError', 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.')
    return seconds
  }

  const checkFields = (fields: StsForm['fields']): void => {
    const { RoleArn = '', RoleSessionName = '', ExternalId, SourceIdentity } = fields
    if (RoleArn.length < 20 || RoleArn.length > 2048) invalid('roleArn')
    if (!words.test(RoleSessionName)) invalid('roleSessionName')
    if (ExternalId !== undefined && !/^[\w+=,.@:/-]{2,1224}$/.test(ExternalId)) invalid('externalId')
    if (SourceIdentity !== undefined && !words.test(SourceIdentity)) invalid('sourceIdentity')
    const tags = Object.entries(fields).filter(([name]) => name.startsWith('Tags.'))
    if (tags.length > 100) invalid('tags')
    for (const [name, text] of tags) if (text.length > (name.endsWith('.Key') ? 128 : 256) || (name.endsWith('.Key') && text === '')) invalid('tags')
    if (tags.reduce((sum, [, text]) => sum + text.length, 0) > 10_000) fail('PackedPolicyTooLarge', 'Packed size of session tags consumes 140% of allotted space.')
  }

  const sessionOf = (role: FakeRole, name: string, seconds: number): string => {
    issued += 1
    const [, , , , account = '', path = ''] = role.arn.split(':')
    const arn = `arn:aws:sts::${account}:assumed-role/${path.split('/').at(-1)}/${name}`
    const session: Session = {
      accessKeyId: `ASIAFAKESESSION${String(issued).padStart(5, '0')}`,
      secretAccessKey: `fake/secret/key/of/session/${issued}/${'x'.repeat(12)}`,
      sessionToken: `fake session token ${issued}`.replaceAll(' ', '/'),
      arn,
      role: role.arn,
      expires: now() + seconds * 1000,
    }
    sessions.push(session)
    keys.push(session)
    const credentials = `<Credentials><AccessKeyId>${session.accessKeyId}</AccessKeyId><SecretAccessKey>${session.secretAccessKey}</SecretAccessKey><SessionToken>${session.sessionToken}</SessionToken><Expiration>${new Date(session.expires).toISOString()}</Expiration></Credentials>`
    return `<AssumedRoleUser><AssumedRoleId>AROAFAKE:${name}</AssumedRoleId><Arn>${arn}</Arn></AssumedRoleUser>${credentials}`
  }

  const actions: Readonly<Record<string, (request: WireRequest, form: StsForm) => string>> = {
    GetCallerIdentity: (request, form) => {
      const { arn } = callerOf(request, form)
      return `<Arn>${arn}</Arn><UserId>AIDAFAKE</UserId><Account>${arn.split(':')[4] ?? ''}</Account>`
    },
    GetWebIdentityToken: (request, form) => {
      const { arn, role } = callerOf(request, form)
      const { fields } = form
      const audiences = Object.entries(fields).flatMap(([name, text]) => (/^Audience\.member\.\d+$/.test(name) ? [text] : []))
      const seconds = Number(fields['DurationSeconds'] ?? 300)
      if (audiences.length < 1 || audiences.length > 10 || audiences.some((text) => text.length < 1 || text.length > 1000)) return invalid('audience')
      if (!Number.isInteger(seconds) || seconds < 60 || seconds > 3600) return invalid('durationSeconds')
      if (!['RS256', 'ES384'].includes(fields['SigningAlgorithm'] ?? '')) return invalid('signingAlgorithm')
      if (audiences.some((text) => outbound.audiences?.includes(text) === false)) return fail('AccessDenied', `User: ${arn} is not authorized to perform: sts:GetWebIdentityToken`, 403)
      if (!outbound.on) return fail('OutboundWebIdentityFederationDisabledException', 'Outbound web identity federation is not enabled for this account.')
      const expires = Math.floor(now() / 1000) + seconds
      const text = `${part({ alg: fields['SigningAlgorithm'], typ: 'JWT' })}.${part({ iss: 'https://0a1b2c.tokens.sts.global.api.aws', sub: role ?? arn, aud: audiences.length === 1 ? audiences[0] : audiences, exp: expires })}`
      return `<WebIdentityToken>${text}.${signed(text)}</WebIdentityToken><Expiration>${new Date(expires * 1000).toISOString()}</Expiration>`
    },
    AssumeRole: (request, form) => {
      const caller = callerOf(request, form)
      const { fields } = form
      checkFields(fields)
      const role = roles.get(fields['RoleArn'] ?? '')
      const seconds = secondsOf(fields, role, caller.role !== undefined)
      const tagged = Object.keys(fields).some((name) => name.startsWith('Tags.'))
      const trusted =
        role?.principals?.includes(caller.role ?? caller.arn) === true &&
        (role.externalId === undefined || role.externalId === fields['ExternalId']) &&
        (!tagged || role.tagSession === true) &&
        (fields['SourceIdentity'] === undefined || role.setSourceIdentity === true)
      if (role === undefined || !trusted) return fail('AccessDenied', `User: ${caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${fields['RoleArn'] ?? ''}`, 403)
      return sessionOf(role, fields['RoleSessionName'] ?? '', seconds)
    },
    AssumeRoleWithWebIdentity: (_, { fields }) => {
      checkFields(fields)
      const token = fields['WebIdentityToken'] ?? ''
      if (token.length < 4 || token.length > 20_000) invalid('webIdentityToken')
      const role = roles.get(fields['RoleArn'] ?? '')
      const seconds = secondsOf(fields, role, false)
      const { sub } = claimsOf(token, now())
      if (role?.web === undefined || role.web.subject !== sub) return fail('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 403)
      return `<SubjectFromWebIdentityToken>${escaped(String(sub))}</SubjectFromWebIdentityToken>${sessionOf(role, fields['RoleSessionName'] ?? '', seconds)}`
    },
  }

  const service: WireService = {
    handle: (request) => {
      const form = formOf(request)
      try {
        if (request.method !== 'POST' || request.path !== '/' || !String(request.headers['content-type']).startsWith('application/x-www-form-urlencoded')) return fail('InvalidAction', 'Not a query request.', 400)
        const act = Object.hasOwn(actions, form.action) ? actions[form.action] : undefined
        if (act === undefined) return fail('InvalidAction', `Could not find operation ${form.action}`, 400)
        return answerOf(form.action, act(request, form))
      } catch (error) {
        const failure = error instanceof ServiceFailure ? error : new ServiceFailure('InternalFailure', 'The fake failed.', 500)
        return errorOf(failure.name, failure.message, failure.status)
      }
    },
    changes: (request) => !['GetCallerIdentity', 'GetWebIdentityToken'].includes(formOf(request).action),
    refuse: (refusal, echo) =>
      ({
        denied: errorOf('AccessDenied', `not authorized ${echo}`, 403),
        throttled: errorOf('Throttling', `Rate exceeded ${echo}`, 400),
        unavailable: errorOf('InternalFailure', `failed ${echo}`, 500),
        expired_credential: errorOf('ExpiredToken', `The security token included in the request is expired ${echo}`, 403),
      })[refusal],
  }
  const fake = await startFake({ ...service, handle: (request) => (forms.push(formOf(request)), service.handle(request)) })
  return {
    ...fake,
    forms,
    keys,
    roles,
    outbound,
    token: (claims = {}) => {
      const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ iss: fakeIssuer.issuer, aud: fakeIssuer.audience, sub: fakeIssuer.subject, exp: Math.floor(now() / 1000) + 3600, ...claims })}`
      return `${text}.${signed(text)}`
    },
    endSessions: () => {
      const lasting = sessions.filter(({ expires }) => expires === Number.POSITIVE_INFINITY)
      sessions.splice(0, sessions.length, ...lasting)
      keys.splice(0, keys.length, ...lasting)
    },
  }
}

// A login to AWS, hop by hop, and the keys that it gave: kept per settings, renewed before they end by our own clock, one login in flight. A renewal
// walks the whole way again, so that an expired token or session on it is never used twice.
import { hash } from 'node:crypto'
import { asLatchkeyError, isCode, LatchkeyError } from '../../core/errors.ts'
import type { Finding } from '../../core/provider.ts'
import type { Call, Env, ProviderIo, Random } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import type { AwsIdentity } from '../aws.ts'
import type { AwsKeys } from '../aws-keys.ts'
import { tokenSource, type Token, type TokenSource } from '../token.ts'
import { planOf, type AwsLoginSettings, type Hop, type Plan } from './plan.ts'
import { assumeRole, assumeRoleWithToken, callerOf, hopFailure, isRole, openSts, startFailure, stepOf, stsNameOf, type Place, type Sts, type TimedKeys } from './sts.ts'

/** Renewed this long before the end, as the SDK does; of short sessions the last third. */
const marginMs = 300_000
const shortestUseMs = 60_000
const keptIdentities = 64

/** What the start of a way gives, where it is no token. */
const startKeys = async ({ start }: Plan, sts: Sts): Promise<TimedKeys | undefined> => {
  if (start.kind === 'keys') return start.keys
  if (start.kind === 'token') return undefined
  const { fromIni, fromNodeProviderChain } = await import('@aws-sdk/credential-providers')
  const { region, requestHandler, logger } = sts.config
  const clients = { clientConfig: sts.config, parentClientConfig: { region, requestHandler }, logger }
  try {
    if (start.kind === 'chain') return await fromNodeProviderChain(clients)()
    const { profile, filepath, configFilepath } = start
    return await fromIni({ ...clients, profile, filepath, configFilepath, ignoreCache: true })()
  } catch (error) {
    throw startFailure(error, start)
  }
}

/** A token that AWS refuses is fetched or read once more: the file may have been renewed a moment ago. */
const withFreshToken = async (hop: Hop, plan: Plan, sts: Sts, call: Call): Promise<TimedKeys> => {
  if (plan.start.kind !== 'token') throw new LatchkeyError('internal', 'A web identity hop stands at the start of a way.')
  const first = await plan.start.tokens().get(call)
  try {
    return await assumeRoleWithToken(hop, first, sts)
  } catch (error) {
    if (!['ExpiredToken', 'InvalidIdentityToken'].includes(stsNameOf(error))) throw error
    const second = await plan.start.tokens().get(call)
    if (second.equals(first)) throw error
    return assumeRoleWithToken(hop, second, sts)
  }
}

/** One role on the keys that we have. */
const assume = (hop: Hop, place: Place, held: TimedKeys, sts: Sts): Promise<TimedKeys> =>
  assumeRole(hop, held, sts).catch(async (error: unknown) => {
    const principal = place.principal ?? (stsNameOf(error) === 'AccessDenied' ? (await callerOf(held, sts).catch(() => undefined))?.arn : undefined)
    throw hopFailure(error, { ...place, ...(principal !== undefined && { principal }) })
  })

const placeOf = (plan: Plan, at: number): Place => {
  const [hop, before] = [plan.hops[at - 1], plan.hops[at - 2]]
  if (hop === undefined) throw new LatchkeyError('internal', 'A way has no such hop.')
  return { hop, at, of: plan.hops.length, start: plan.start, ...(before !== undefined && { principal: `${before.role}/${before.sessionName}` }) }
}

/** One hop. A session that already is the role stays as it is: a role need not trust itself. */
const take = async (at: number, held: TimedKeys | undefined, plan: Plan, sts: Sts, call: Call): Promise<TimedKeys> => {
  const place = placeOf(plan, at)
  const { hop } = place
  sts.waitsFor.step = stepOf(place)
  if (held === undefined) return withFreshToken(hop, plan, sts, call).catch((error: unknown) => Promise.reject(hopFailure(error, place)))
  // A user's own keys have no session token, and the role of the hop before is another one.
  const caller = at === 1 && held.sessionToken !== undefined ? await callerOf(held, sts).catch(() => undefined) : undefined
  return caller !== undefined && isRole(caller.arn, hop.role) ? held : assume(hop, { ...place, ...(caller !== undefined && { principal: caller.arn }) }, held, sts)
}

const walk = async (plan: Plan, hops: number, sts: Sts, call: Call): Promise<TimedKeys> => {
  let held = await startKeys(plan, sts)
  for (let at = 1; at <= hops; at += 1) held = await take(at, held, plan, sts, call)
  if (held === undefined) throw new LatchkeyError('internal', 'A way without a start.')
  return held
}

/** Whatever a credential provider is waiting for, a login ends in time. */
const inTime = async <T>(io: ProviderIo, call: Call, sts: Sts, work: Promise<T>): Promise<T> => {
  const done = new AbortController()
  const late = io.clock.until(call.deadline, done.signal).then(() => {
    const message = `did not end in time; it waited for ${sts.waitsFor.step}.`
    throw new LatchkeyError('deadline_exceeded', `The login to AWS ${message}`, { applied: 'no', issues: [{ path: 'aws_sts_endpoint', message }] })
  })
  try {
    return await Promise.race([work, late])
  } finally {
    done.abort()
    late.catch(() => undefined)
    work.catch(() => undefined)
  }
}

const withSts = async <T>(settings: AwsLoginSettings, plan: Plan, io: ProviderIo, call: Call, act: (sts: Sts) => Promise<T>): Promise<T> => {
  const sts = await openSts(settings, plan.sts, io, call)
  try {
    return await inTime(io, call, sts, act(sts))
  } finally {
    sts.close()
  }
}

/** The end is AWS's, but never later than the session was asked for: this machine's clock may be wrong. */
const timed = (keys: TimedKeys, hop: Hop | undefined, now: number): Token<AwsKeys> => {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = keys
  const value = { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) }
  if (expiration === undefined) return { value }
  const life = Math.max(shortestUseMs, Math.min(expiration.getTime() - now, hop === undefined ? Number.POSITIVE_INFINITY : (hop.seconds ?? 3600) * 1000))
  return { value, useUntil: now + Math.max(shortestUseMs, life - Math.min(marginMs, life / 3)), endsAt: now + life }
}

/** One login and its keys. */
type Source = TokenSource<AwsKeys> & { held(): Token<AwsKeys> | undefined }

const sourceOf = (settings: AwsLoginSettings, plan: Plan, io: ProviderIo): Source => {
  let last: Token<AwsKeys> | undefined
  const source = tokenSource<AwsKeys>({
    clock: io.clock,
    login: (call) => withSts(settings, plan, io, call, (sts) => walk(plan, plan.hops.length, sts, call)).then((keys) => timed(keys, plan.hops.at(-1), io.clock.now())),
  })
  const remember = (token: Token<AwsKeys>): Token<AwsKeys> => (last = token)
  return { get: (call) => source.get(call).then(remember), refused: source.refused, held: () => last }
}

const ambient = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE', 'AWS_ROLE_ARN', 'AWS_ROLE_SESSION_NAME', 'AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE'] as const

const digestOf = (settings: AwsLoginSettings, env: Env): string => {
  const parts = Object.entries(settings).filter(([key]) => key.startsWith('aws_') && !/^aws_(?:kms|secretsmanager)_/.test(key))
  const texts = parts.map(([key, value]) => [key, (value as unknown) instanceof SecretValue ? (value as unknown as SecretValue).reveal() : (value as unknown)])
  return hash('sha256', JSON.stringify([texts.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)), ambient.map((name) => env.get(name) ?? null)]))
}

/** By the environment of a process, so that every store and service of one configuration shares a login. The one not used for longest goes first. */
const identities = new WeakMap<Env, Map<string, Source>>()

const sharedSource = (settings: AwsLoginSettings, plan: Plan, io: ProviderIo): Source => {
  const known = identities.get(io.env) ?? new Map<string, Source>()
  identities.set(io.env, known)
  const digest = digestOf(settings, io.env)
  const source = known.get(digest) ?? sourceOf(settings, plan, io)
  known.delete(digest)
  known.set(digest, source)
  for (const oldest of known.keys()) if (known.size > keptIdentities) known.delete(oldest)
  return source
}

const failing = (error: unknown, subject: string): Finding => {
  const failure = asLatchkeyError(error)
  const setting = failure.details.issues?.[0]?.path
  return { ok: false, subject, message: failure.message, ...(setting !== undefined && { setting }) }
}

const subject = 'sts:GetCallerIdentity'

/** Who these keys are, as far as STS can be reached: keys that work without it need no finding. */
export const checkKeys = async (settings: AwsLoginSettings, keys: AwsKeys, io: ProviderIo, call: Call): Promise<readonly Finding[]> => {
  try {
    return [{ ok: true, subject, message: (await withSts({ ...settings, aws_max_attempts: 1 }, await planOf(settings, io), io, call, (sts) => callerOf(keys, sts))).says }]
  } catch {
    return []
  }
}

/** An identity that needs a login. Makes no call. @throws misconfigured when the settings do not fit together */
export const chainedIdentity = async (settings: AwsLoginSettings, io: ProviderIo): Promise<AwsIdentity> => {
  const plan = await planOf(settings, io)
  const source = sharedSource(settings, plan, io)
  const patient = (): Call => ({ signal: new AbortController().signal, deadline: Number.POSITIVE_INFINITY })
  const credentials = async (): Promise<AwsKeys> => ({ ...(await source.get(patient())).value })
  return {
    credentials: Object.assign(credentials, { memoized: true as const }),
    notices: plan.notices,
    attempt: () => {
      const used = source.held()
      return () => {
        const refused = used ?? source.held()
        if (refused !== undefined) source.refused(refused)
        return refused !== undefined
      }
    },
    check: async (call) => {
      try {
        const { value } = await source.get(call)
        const says = await withSts(settings, plan, io, call, (sts) => callerOf(value, sts)).then((caller) => caller.says, () => 'The login succeeded; AWS STS did not say as whom.')
        return [{ ok: true, subject, message: says }]
      } catch (error) {
        return [failing(error, subject)]
      }
    },
  }
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** An external id that nobody can guess: 32 characters, 190 bits. */
export const newExternalId = (random: Random): string => {
  let id = ''
  // Bytes from 248 on would make the first letters likelier.
  while (id.length < 32) for (const byte of random.bytes(64)) if (byte < 248 && id.length < 32) id += letters[byte % 62]
  return id
}

/**
 * Whether the role really asks for its external id: with a random one it must be refused, and only then is the right one tried. Both sessions last 900 s and are not kept.
 * Answers, does not throw: whatever keeps it from knowing is a finding that is not ok.
 */
export const probeExternalId = async (settings: AwsLoginSettings, io: ProviderIo, call: Call): Promise<Finding> => {
  const subject = 'sts:ExternalId'
  try {
    const plan = await planOf(settings, io)
    const hop = plan.hops.at(-1)
    if (hop?.externalId === undefined || hop.call !== 'AssumeRole') throw new LatchkeyError('misconfigured', 'There is no external id to probe: set aws_role_name and aws_external_id.', { issues: [{ path: 'aws_external_id', message: 'is not set' }] })
    return await withSts(settings, plan, io, call, async (sts) => {
      const base = await walk(plan, plan.hops.length - 1, sts, call)
      const trial = (externalId: string) => assume({ ...hop, externalId, seconds: 900 }, placeOf(plan, plan.hops.length), base, sts)
      const open = await trial(newExternalId(io.random)).then(() => true, (error: unknown) => (isCode(error, 'provider_denied') && error.details.vendor?.name === 'AccessDenied' ? false : Promise.reject(error as Error)))
      if (open) return { ok: false, subject, message: "The role of aws_role_name can be assumed with any external id: its trust policy must ask for the one of aws_external_id (StringEquals on sts:ExternalId).", setting: 'aws_external_id' }
      await trial(hop.externalId ?? '')
      return { ok: true, subject, message: 'The role refuses a random external id and accepts that of aws_external_id.' }
    })
  } catch (error) {
    return failing(error, subject)
  }
}

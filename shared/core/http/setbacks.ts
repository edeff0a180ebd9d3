// What is said of an exchange that gave no answer, and whether it may be tried again. Loaded by the first of them.
import { LatchkeyError } from '../errors.ts'
import type { HttpPeer } from '../http-client.ts'
import type { Setback, WireFailure } from './exchange.ts'

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name has no address',
  EAI_AGAIN: 'its name could not be looked up',
  ECONNREFUSED: 'it refused the connection',
  EHOSTUNREACH: 'there is no way to its network',
  ENETUNREACH: 'there is no way to its network',
  ECONNRESET: 'the connection broke',
  EPIPE: 'the connection broke',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by an authority that is trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not signed by an authority that is trusted here',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by an authority that is trusted here',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by an authority that is trusted here',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  EPROTO: 'it does not speak TLS as expected',
}

/** A certificate that is not trusted now is not trusted a moment later. */
const lasting: ReadonlySet<string> = new Set(Object.keys(reasons).filter((code) => reasons[code]?.includes('certificate') === true))

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')

/** What the wire itself saw; the numbers of `large` are the peer's. */
const seen: Readonly<Record<Exclude<Setback['why'], 'left' | 'error' | 'large'>, string>> = {
  closed: 'the connection to it is closed',
  waiting: 'too many other requests to it wait',
  connecting: 'the connection took too long',
  answering: 'its answer took too long',
  upgrade: 'it wants to speak another protocol',
  redirect: 'it answered with a redirect, which is never followed; give the address that it leads to',
  compressed: 'its answer is compressed though that was not asked for',
  cut: 'its answer broke off',
}

/** What passes by itself, and may have been carried out if anything was sent. */
const passing: ReadonlySet<Setback['why']> = new Set(['waiting', 'connecting', 'answering', 'cut'])

/** The failure for one setback with this peer. */
export const failureOf = ({ why, sent, outOfTime, error, reused, closed, status }: Setback, { title, setting }: HttpPeer, maxBytes: number): WireFailure => {
  const unavailable = (reason: string): LatchkeyError =>
    new LatchkeyError('provider_unavailable', `${title} could not be reached, or did not answer sensibly: ${reason}. Check ${setting} and the way there.`, status === undefined ? {} : { vendor: { status } })
  const broken = sent ? 'broken' : 'unreached'
  if (why === 'left' || error instanceof LatchkeyError) return { failure: 'refused', error: error as Error }
  if (why === 'error') {
    const code = codeOf(error)
    const known = unavailable(reasons[code] ?? 'the exchange failed')
    if (reused === true && ['ECONNRESET', 'EPIPE'].includes(code)) return { failure: 'stale', error: known }
    return { failure: lasting.has(code) || closed === true ? 'refused' : broken, error: known }
  }
  if (outOfTime === true) return { failure: 'refused', error: new LatchkeyError('deadline_exceeded', `${title} did not answer within the time of this call.`, { applied: sent ? 'unknown' : 'no' }) }
  return { failure: passing.has(why) ? broken : 'refused', error: unavailable(why === 'large' ? `its answer is larger than ${maxBytes} bytes` : seen[why]) }
}

// LiteLLM's admin API as Latchkey speaks it: one call, and its answer or its refusal. Of what LiteLLM says only the status, the type and the name of a field that we sent
// are kept, because its texts repeat keys, hashes and aliases. What is no answer of LiteLLM's (a page, a proxy's refusal, a wrong address) is never taken for one.
import { LatchkeyError, type ErrorDetails } from '../core/errors.ts'
import type { HttpClient, HttpResponse } from '../core/http-client.ts'
import { jsonOf, retryAfterOf } from '../core/http/answers.ts'
import { checkCall, type Call, type Clock } from '../core/runtime.ts'
import { SecretValue } from '../core/secret.ts'
import { isMapping } from '../core/settings/mapping.ts'

/** The gateway's name in messages. */
export const title = 'The LLM gateway'

/** An object of LiteLLM's, or for it. */
export type Fields = Readonly<Record<string, unknown>>


/** One call. A SecretValue among the fields goes out as its text. */
export interface AdminCall {
  /** What is done, for messages: `the blocking of a key`. */
  readonly action: string
  readonly method: 'GET' | 'POST'
  /** A token never stands in it. */
  readonly path: string
  readonly fields?: Fields
}

/** A refusal: nothing was done. */
export interface Refusal {
  readonly status: number
  /** Whether LiteLLM itself refused; else something that stands before it. */
  readonly litellm: boolean
  readonly type?: string
  readonly param?: string
  /** The field of ours that LiteLLM means, as far as it says. */
  readonly field?: string
  says(words: RegExp): boolean
}

/** What a call came to. */
export type Outcome = { readonly answer: unknown } | { readonly refusal: Refusal }

/** What failed on the way to the gateway, as a failure of the gateway. A deadline stays what it is. */
const atGateway = (error: unknown): never => {
  if (!(error instanceof LatchkeyError)) throw error
  if (error.code === 'provider_denied') throw new LatchkeyError('gateway_denied', error.message, error.details)
  if (error.code.startsWith('provider_')) throw new LatchkeyError('gateway_unavailable', error.message, error.details)
  if (error.code === 'invalid_request') throw new LatchkeyError('gateway_denied', `A token, or Latchkey's master key there, holds characters that cannot be sent to ${title.toLowerCase()}.`)
  throw error
}

/** The failure for an answer that is none of what it should be; what was asked may have been done. */
export const nonsense = (action: string, status = 200, details: ErrorDetails = {}): LatchkeyError =>
  new LatchkeyError('gateway_unavailable', `${title} did not answer ${action} sensibly.`, { vendor: { status }, ...details })

/** The failure for a refusal. */
export const denied = ({ status, type, field, says }: Refusal, action: string): LatchkeyError => {
  const about = field === undefined ? '' : ` (${field})`
  const why =
    status === 401 ? ': it does not take the master key that Latchkey has. Check latchkey.gateway.master_key.'
    : says(licence) ? `${about}: that asks for a LiteLLM Enterprise licence there.`
    : field === undefined ? '.'
    : `: it does not take ${field}.`
  return new LatchkeyError('gateway_denied', `${title} refused ${action}${why}`, { ...(field !== undefined && { param: field }), vendor: { status, ...(type !== undefined && { name: type }) } })
}

const licence = /enterprise|premium/i

/** LiteLLM's own account of a refusal, its two shapes alike; nothing when the answer is not LiteLLM's. */
const accountOf = (response: HttpResponse): { readonly message: string; readonly type?: string; readonly param?: string } | undefined => {
  try {
    const body = jsonOf(response, title)
    const error = isMapping(body) ? body['error'] : undefined
    if (isMapping(error)) {
      const { message, type, param } = error
      return { message: String(message), ...(typeof type === 'string' && /^\w{1,64}$/.test(type) && { type }), ...(typeof param === 'string' && { param }) }
    }
    const details = isMapping(body) ? body['detail'] : undefined
    const [first] = response.status === 422 && Array.isArray(details) ? (details as readonly unknown[]) : []
    const place = isMapping(first) && Array.isArray(first['loc']) ? (first['loc'] as readonly unknown[]) : undefined
    return place === undefined ? undefined : { message: '', type: 'validation', param: String(place[1]) }
  } catch {
    return undefined
  }
}

const refusalOf = (response: HttpResponse, sent: readonly string[]): Refusal => {
  const account = accountOf(response)
  const named = sent.find((name) => name === account?.param) ?? sent.find((name) => name !== 'key' && new RegExp(`\\b${name}\\b`).test(account?.message ?? ''))
  return {
    status: response.status,
    litellm: account !== undefined,
    ...(account?.type !== undefined && { type: account.type }),
    ...(account?.param !== undefined && { param: account.param }),
    ...(named !== undefined && { field: named }),
    says: (words) => words.test(account?.message ?? ''),
  }
}

/** Whether nobody decided: the gateway is overloaded or broken, or it is not LiteLLM that answers. */
const isNoAnswer = ({ status, litellm, type, says }: Refusal): boolean => {
  if (type === 'budget_exceeded') return false
  if (status >= 500) return !says(licence)
  return status < 400 || status === 429 || type === 'no_db_connection' || (!litellm && (status === 404 || status === 405))
}

/**
 * Sends one call with `bearer` as credential. A change goes out once; only what is known not to have been done is sent again.
 * @throws gateway_unavailable, deadline_exceeded, the signal's reason
 */
export const askLitellm = async (client: HttpClient, clock: Clock, { action, method, path, fields }: AdminCall, bearer: SecretValue, call: Call): Promise<Outcome> => {
  checkCall(call, clock)
  const sent = Object.entries(fields ?? {})
  const body = fields === undefined ? undefined : SecretValue.of(JSON.stringify(Object.fromEntries(sent.map(([name, value]) => [name, value instanceof SecretValue ? value.reveal() : value]))))
  const headers = { authorization: ['Bearer ', bearer], ...(body !== undefined && { 'content-type': 'application/json' }) }
  const response = await client.send({ method, path, headers, ...(body !== undefined && { body }) }, call).catch(atGateway)
  if (response.status === 200) {
    try {
      return { answer: jsonOf(response, title) }
    } catch (error) {
      return atGateway(error)
    }
  }
  const refusal = refusalOf(response, sent.map(([name]) => name))
  const retryAfter = retryAfterOf(response)
  if (isNoAnswer(refusal)) throw nonsense(action, refusal.status, { ...(refusal.type !== undefined && { vendor: { status: refusal.status, name: refusal.type } }), ...(retryAfter !== undefined && { retryAfter }) })
  return { refusal }
}

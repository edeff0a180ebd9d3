// How Latchkey calls any Google API: one token, one way out, one reading of what a failure means. Plain requests go this way, and so do those of Google's
// own clients: their REST transport is handed an object whose `fetch` is ours, so that limits, repetitions and redirects are decided in one place.
// The name in `error.status` decides what a failure is, never the number: 400 alone means three things.
import type { CallOptions, GoogleAuth } from 'google-gax'
import { LatchkeyError, type ErrorCode } from '../core/errors.ts'
import { serviceFailure, type ServiceCall } from '../core/failure.ts'
import type { HttpRequest, HttpResponse } from '../core/http-client.ts'
import { jsonOf, retryAfterOf } from '../core/http/answers.ts'
import { checkCall, type Call, type ProviderIo } from '../core/runtime.ts'
import type { GoogleIdentity } from './google.ts'
import { withToken } from './token.ts'
import { isMapping } from '../core/settings/mapping.ts'

/** One Google API at one address. */
export interface GoogleService {
  readonly title: string
  readonly url: string
  /** The setting that holds the address. */
  readonly setting: string
}

/** What one call is about, for messages. `action` is the permission that it needs. */
export interface GoogleAction extends Omit<ServiceCall, 'title' | 'needs'> {
  /** What FAILED_PRECONDITION means here. Default: conflict. */
  readonly precondition?: ErrorCode
}

/** Any JSON object. */
export type Json = Readonly<Record<string, unknown>>

/** A connection to one Google API. */
export interface GoogleApi {
  /** Sends one request and gives the JSON of its success. @throws what the API's refusal means, provider_unavailable for nonsense, deadline_exceeded */
  send(action: GoogleAction, request: HttpRequest, call: Call): Promise<Json>
  /** For the constructor of one of Google's own clients, beside `fallback: true`. */
  readonly auth: GoogleAuth
  /** Runs one method of such a client: `options` go to it as they are. @throws as `send` */
  through<T>(action: GoogleAction, call: Call, act: (options: CallOptions) => Promise<T>): Promise<T>
  close(): Promise<void>
}

const codes: Readonly<Record<string, ErrorCode>> = {
  NOT_FOUND: 'not_found',
  ALREADY_EXISTS: 'already_exists',
  ABORTED: 'conflict',
  INVALID_ARGUMENT: 'invalid_request',
  OUT_OF_RANGE: 'invalid_request',
  UNAUTHENTICATED: 'provider_denied',
  PERMISSION_DENIED: 'provider_denied',
  RESOURCE_EXHAUSTED: 'provider_throttled',
}


/** The reasons that Google gives for machines, beside the words for people. */
const reasonsOf = (error: Json): readonly string[] => (Array.isArray(error['details']) ? error['details'].flatMap((detail: unknown) => (isMapping(detail) && typeof detail['reason'] === 'string' ? [detail['reason']] : [])) : [])

const callHeader = 'x-latchkey-call'
const attempts = 3

/** Where the transport of Google's clients is to send its requests; they leave by our own client all the same. */
export const addressOf = (service: GoogleService): { servicePath: string; port: number; protocol: string; universeDomain: string; fallback: true } => {
  const { hostname, port, protocol } = new URL(service.url)
  return { servicePath: hostname, port: port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port), protocol: protocol.slice(0, -1), universeDomain: 'googleapis.com', fallback: true }
}

/** Connects. Makes no call. @throws misconfigured */
export const googleApi = async (service: GoogleService, identity: GoogleIdentity, io: ProviderIo): Promise<GoogleApi> => {
  const { title } = service
  const client = await io.http.connect({ url: service.url, title, setting: service.setting, attempts })
  const running = new Map<string, { readonly action: GoogleAction; readonly call: Call }>()
  let begun = 0

  const nonsense = (action: GoogleAction, status?: number): LatchkeyError => serviceFailure('provider_unavailable', { title, ...action }, status === undefined ? {} : { vendor: { status } })

  const failureOf = (action: GoogleAction, answer: HttpResponse): LatchkeyError => {
    const said = jsonOf(answer, title)
    const error = isMapping(said) && isMapping(said['error']) ? said['error'] : {}
    const name = typeof error['status'] === 'string' && /^[A-Z_]{2,40}$/.test(error['status']) ? error['status'] : ''
    const vendor = { status: answer.status, ...(name !== '' && { name }) }
    const reasons = reasonsOf(error)
    if (reasons.includes('SERVICE_DISABLED')) return new LatchkeyError('misconfigured', `${title} is not enabled in this project. Enable its API there.`, { vendor })
    const quota = reasons.some((reason) => reason.endsWith('QUOTA_EXCEEDED'))
    const code = quota && name !== 'PERMISSION_DENIED' ? 'provider_quota' : name === 'FAILED_PRECONDITION' ? (action.precondition ?? 'conflict') : (codes[name] ?? 'provider_unavailable')
    const retryAfter = code === 'provider_throttled' ? retryAfterOf(answer) : undefined
    const denied = code === 'provider_denied' && { detail: `${action.action} on ${action.native ?? '*'}, as ${identity.who} of ${identity.setting}` }
    return serviceFailure(code, { title, ...action, needs: action.action }, { vendor, ...denied, ...(retryAfter !== undefined && { retryAfter: Math.max(1, retryAfter) }) })
  }

  const succeed = async (action: GoogleAction, request: HttpRequest, call: Call): Promise<HttpResponse> => {
    checkCall(call, io.clock)
    return withToken(
      identity.tokens,
      call,
      async ({ value }) => {
        const headers = { ...request.headers, authorization: ['Bearer ', value], ...(identity.quotaProject !== undefined && { 'x-goog-user-project': identity.quotaProject }) }
        const answer = await client.send({ ...request, headers }, call)
        if (answer.status !== 200) throw failureOf(action, answer)
        return answer
      },
      (error) => error instanceof LatchkeyError && error.details.vendor?.name === 'UNAUTHENTICATED',
    ).catch((error: unknown) => {
      call.signal.throwIfAborted()
      throw error
    })
  }

  const exchange = async (action: GoogleAction, request: HttpRequest, call: Call): Promise<{ readonly json: Json; readonly body: Uint8Array }> => {
    const answer = await succeed(action, request, call)
    const json = jsonOf(answer, title)
    if (!isMapping(json) || 'error' in json) throw nonsense(action, 200)
    return { json, body: answer.body }
  }

  /** What Google's REST transport takes for `fetch`. Which call a request belongs to travels in a header of ours, which goes no further. */
  const fetch = async (url: string, init: { readonly method: string; readonly headers: Iterable<readonly [string, string]>; readonly body?: string | Uint8Array }): Promise<object> => {
    const { [callHeader]: id = '', ...headers } = Object.fromEntries([...init.headers])
    const { action, call } = running.get(id) ?? { action: { action: 'a call' }, call: undefined }
    if (call === undefined) throw nonsense(action)
    const { pathname, search } = new URL(url)
    const { body } = await exchange(action, { method: init.method, path: pathname + search, headers, ...(init.body !== undefined && { body: init.body }) }, call)
    return { ok: true, status: 200, arrayBuffer: async () => body }
  }

  return {
    send: async (action, request, call) => (await exchange(action, request, call)).json,
    auth: { fetch, getRequestHeaders: () => undefined } as unknown as GoogleAuth,
    through: async (action, call, act) => {
      const id = String((begun += 1))
      running.set(id, { action, call })
      try {
        // No timeout and no repetitions of the transport's own: an infinite one arms no timer.
        return await act({ timeout: Number.POSITIVE_INFINITY, retry: null, autoPaginate: false, otherArgs: { headers: { [callHeader]: id } } })
      } catch (error) {
        call.signal.throwIfAborted()
        const cause: unknown = error instanceof Error ? error.cause : undefined
        throw error instanceof LatchkeyError ? error : cause instanceof LatchkeyError ? cause : nonsense(action)
      } finally {
        running.delete(id)
      }
    },
    close: async () => {
      await client.close()
      await identity.close()
    },
  }
}

// Azure's SDKs over our one way out: their pipeline hands every request to an `httpClient`, and ours is this. So limits, repetitions, redirects and proxies are
// decided in one place, and no request ever leaves for another host than the one that was configured, whatever an answer names as its next link.
import type { SecretClientOptions } from '@azure/keyvault-secrets'
import { LatchkeyError } from '../../core/errors.ts'
import type { HttpRequest, HttpResponse } from '../../core/http-client.ts'

/** What a pipeline of Azure's SDKs sends through. */
export type SdkClient = NonNullable<SecretClientOptions['httpClient']>
/** One request of it. */
export type SdkRequest = Parameters<SdkClient['sendRequest']>[0]
/** One answer for it. */
export type SdkResponse = Awaited<ReturnType<SdkClient['sendRequest']>>

/** The same address as the SDKs insist on it: they take tokens only over https. Only this machine may be dialled without, and is told apart when it is dialled. */
export const sdkOrigin = (origin: string): string => origin.replace(/^http:/, 'https:')

/** A request of an SDK as ours. @throws provider_unavailable when it leads to another host than `origin` */
export const requestOf = (request: SdkRequest, origin: string, title: string): HttpRequest => {
  const url = URL.canParse(request.url) ? new URL(request.url) : undefined
  if (url?.origin !== sdkOrigin(origin)) throw new LatchkeyError('provider_unavailable', `${title} named another host for its next answer, which is not followed.`)
  const { 'accept-encoding': _compressed, ...headers } = request.headers.toJSON()
  const { body } = request
  return { method: request.method, path: url.pathname + url.search, headers, ...(typeof body === 'string' && { body }) }
}

/** An answer of ours as the SDK takes it. */
export const responseOf = (request: SdkRequest, { status, headers, body }: HttpResponse): SdkResponse => {
  const held = new Map(Object.entries(headers))
  return {
    request,
    status,
    bodyAsText: Buffer.from(body).toString('utf8'),
    headers: {
      get: (name) => held.get(name.toLowerCase()),
      has: (name) => held.has(name.toLowerCase()),
      set: (name, value) => void held.set(name.toLowerCase(), String(value)),
      delete: (name) => void held.delete(name.toLowerCase()),
      toJSON: () => Object.fromEntries(held),
      [Symbol.iterator]: () => held.entries(),
    },
  }
}

// What every client of the AWS SDK is told, and what stands between it and the network. It repeats and signs; the deadline and what may count as an answer are ours.
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import type { ProviderIo } from '../../core/runtime.ts'
import { isOfAws, nonsense, outOfTime, type AwsClientSettings, type AwsService, type Patience } from '../aws-calls.ts'
import { refuseOpenHttp } from '../plain-http.ts'

const requestTimeoutMs = 3000
/** Providers do not log: neither does what they bring. */
export const silent = { trace: () => undefined, debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

/** No attempt begins after the deadline, none waits beyond it, and what neither calls itself JSON nor has AWS's request id is somebody else's answer. */
const guarded = (handler: NodeHttpHandler, service: AwsService, io: ProviderIo): NodeHttpHandler => {
  const handle = handler.handle.bind(handler)
  handler.handle = async (request, options) => {
    const patience = options as Patience
    const left = patience.deadline - io.clock.now()
    if (left <= 0) throw outOfTime(patience.sent)
    patience.abortSignal.throwIfAborted()
    patience.sent = true
    const answer = await handle(request, { abortSignal: patience.abortSignal, requestTimeout: Math.min(requestTimeoutMs, left) })
    const { statusCode, headers, body } = answer.response
    if (statusCode >= 500 || isOfAws(headers)) return answer
    ;(body as { destroy?(): void } | undefined)?.destroy?.()
    throw nonsense(service, 'the request')
  }
  return handler
}

/** What every client of the SDK is told, whatever its service. */
export const awsClientOptions = (settings: AwsClientSettings, url: string | undefined) => ({
  ...(url !== undefined && { endpoint: url }),
  useFipsEndpoint: settings.aws_use_fips_endpoint,
  useDualstackEndpoint: settings.aws_use_dualstack_endpoint,
  maxAttempts: settings.aws_max_attempts,
  retryMode: 'standard',
  logger: silent,
})

/** The configuration of a client. Makes no call. @throws misconfigured when the endpoint would carry secrets in the open */
export const awsClient = async (settings: AwsClientSettings, endpoint: { readonly setting: string; readonly url: string | undefined }, service: AwsService, io: ProviderIo) => {
  const { setting, url } = endpoint
  if (url !== undefined) refuseOpenHttp(setting, url, { setting: 'aws_allow_plain_http', value: settings.aws_allow_plain_http })
  const { NodeHttpHandler } = await import('@smithy/node-http-handler')
  return {
    ...awsClientOptions(settings, url),
    requestHandler: guarded(new NodeHttpHandler({ connectionTimeout: 2000, requestTimeout: requestTimeoutMs, throwOnRequestTimeout: true, logger: silent }), service, io),
  }
}

interface Retries {
  refreshRetryTokenForRetry(token: unknown, why: { readonly error?: unknown }): Promise<unknown>
}

const isQuota = ({ name }: Error): boolean => name === 'LimitExceededException'

/** The SDK counts a used-up quota among the throttled and would send it again: no more. `isUsedUp` tells a quota from a rate where a service has one name for both. */
export const withoutQuotaRetries = async (client: { readonly config: { retryStrategy(): Promise<object> } }, isUsedUp: (error: Error) => boolean = isQuota): Promise<void> => {
  const strategy = (await client.config.retryStrategy()) as Retries
  const again = strategy.refreshRetryTokenForRetry.bind(strategy)
  strategy.refreshRetryTokenForRetry = (token, why) => (why.error instanceof Error && isUsedUp(why.error) ? Promise.reject(why.error) : again(token, why))
}

// What is read of answers, the same way for every service.
import { LatchkeyError } from '../errors.ts'
import type { HttpResponse } from '../http-client.ts'

/** `Retry-After` in seconds, where an answer has one that makes sense. */
export const retryAfterOf = ({ headers }: HttpResponse): number | undefined => {
  const text = headers['retry-after']?.trim() ?? ''
  return /^\d{1,5}(\.\d+)?$/.test(text) && Number(text) <= 86_400 ? Math.ceil(Number(text)) : undefined
}

/** The JSON of an answer. @throws provider_unavailable when it does not call itself JSON or is none */
export const jsonOf = (response: HttpResponse, title: string): unknown => {
  try {
    if (response.headers['content-type']?.includes('json') === true) return JSON.parse(Buffer.from(response.body).toString('utf8')) as unknown
  } catch {
    // What JSON.parse says of it shows the beginning of the text.
  }
  throw new LatchkeyError('provider_unavailable', `${title} could not be reached, or what answered is not ${title}: its answer is no JSON.`, { vendor: { status: response.status } })
}

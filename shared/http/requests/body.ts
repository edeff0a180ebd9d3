// Bodies of requests: whether one is there where it should be and can be read. Loaded by the first request that has one, or should have.
import { LatchkeyError } from '../../core/errors.ts'
import type { ApiRequest, JsonObject, Route } from '../api.ts'
import { badField } from '../body.ts'
import { parseBody } from '../json-reader.ts'

const refuseType = (message: string): LatchkeyError => new LatchkeyError('unsupported_media_type', message, { hint: 'Send `Content-Type: application/json`.', param: 'content-type' })

/** @throws unsupported_media_type unless a body that is there is JSON in UTF-8, sent as it is */
export const checkContentType = ({ headers, body }: ApiRequest, route: Route): void => {
  if (route.body === undefined || body.byteLength === 0) return
  const [type = '', ...parameters] = (headers['content-type'] ?? '').split(';').map((part) => part.trim().toLowerCase())
  if (type !== 'application/json') throw refuseType('content-type: must be application/json.')
  if (parameters.some((parameter) => !/^charset="?utf-8"?$/.test(parameter))) throw refuseType('content-type: the only parameter allowed is charset=utf-8.')
  if (!['', 'identity'].includes((headers['content-encoding'] ?? '').trim().toLowerCase())) throw refuseType('content-encoding: the body must be sent uncompressed.')
}

/** The body as an object, which is empty where none is needed. @throws invalid_request */
export const bodyOf = ({ body }: ApiRequest, route: Route): JsonObject => {
  if (body.byteLength > 0 && route.body === undefined) throw badField('body', 'must be empty on this route; the limit is 0 bytes', 'Send no body.')
  if (body.byteLength === 0 && route.body === 'required') throw badField('body', 'must not be empty', 'Send a JSON object with `Content-Type: application/json`.')
  return body.byteLength === 0 ? {} : parseBody(body)
}

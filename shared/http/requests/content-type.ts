// Whether a body that is there is one that can be read. Loaded by the first request that has a body.
import { LatchkeyError } from '../../core/errors.ts'

const refuseType = (message: string): LatchkeyError => new LatchkeyError('unsupported_media_type', message, { hint: 'Send `Content-Type: application/json`.', param: 'content-type' })

/** @throws unsupported_media_type unless a body that is there is JSON in UTF-8, sent as it is */
export const checkContentType = (headers: Readonly<Record<string, string>>): void => {
  const [type = '', ...parameters] = (headers['content-type'] ?? '').split(';').map((part) => part.trim().toLowerCase())
  if (type !== 'application/json') throw refuseType('content-type: must be application/json.')
  if (parameters.some((parameter) => !/^charset="?utf-8"?$/.test(parameter))) throw refuseType('content-type: the only parameter allowed is charset=utf-8.')
  if (!['', 'identity'].includes((headers['content-encoding'] ?? '').trim().toLowerCase())) throw refuseType('content-encoding: the body must be sent uncompressed.')
}

// The answer in place of one that is longer than Lambda gives back.
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { ApiResponse } from '../../shared/http/api.ts'
import { constantHeaders } from '../../shared/http/app.ts'
import { failure } from '../../shared/http/failures.ts'

/** `too_large`, with the headers that every answer has. */
export const tooLong = (requestId: string): ApiResponse => {
  const answer = failure(new LatchkeyError('too_large', 'body: the answer would be longer than 6 MiB, all that Lambda gives back.', { hint: 'Ask for fewer names at once.' }), 'problem', requestId)
  return { ...answer, headers: { ...answer.headers, ...constantHeaders(requestId) } }
}

// Request bodies before they are read: how large one may be, of which type, and how a field that does not fit is refused.
import { LatchkeyError } from '../core/errors.ts'

/** What one body may hold. `value` and all of `metadata` are free of the string limit; the byte limit still bounds them. */
export const bodyLimits = { bytes: 65_536, secretWriteBytes: 524_288, depth: 16, members: 256, stringLength: 4096 } as const

/** How many bytes a host reads of a body before it may stop: one more is answered 413. */
export const maxBodyBytes = (method: string, path: string): number => (method === 'PUT' && path.startsWith('/secrets/') ? bodyLimits.secretWriteBytes : bodyLimits.bytes)

/** The failure for one field, with what is wrong and what to do. */
export const badField = (path: string, message: string, hint?: string): LatchkeyError =>
  new LatchkeyError('invalid_request', `${path}: ${message}`, { param: path, issues: [{ path, message }], ...(hint === undefined ? {} : { hint }) })

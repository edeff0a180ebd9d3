// What is asked of a request that would change something, before anything does.
import { asLatchkeyError } from '../../core/errors.ts'
import type { AuditEvent, AuditReceipt } from '../../core/runtime.ts'
import type { ApiRequest } from '../api.ts'
import type { Progress } from '../app.ts'
import { badField } from '../body.ts'

/** The audit of one application: whether its last line was lost, and how the next is written. */
export interface Trail {
  readonly trail: { readonly broken: boolean }
  record(event: Partial<AuditEvent> & Pick<AuditEvent, 'decision'>): Promise<AuditReceipt>
}

/** After a line was lost, nothing more is changed until a line can be written again. @throws invalid_request (Idempotency-Key), audit_unavailable */
export const readyToChange = async (request: ApiRequest, progress: Progress, { trail, record }: Trail): Promise<void> => {
  const key = request.headers['idempotency-key']
  if (key !== undefined && !/^[\x20-\x7e]{16,255}$/.test(key)) throw badField('idempotency-key', 'must be 16 to 255 printable ASCII characters', 'Send a fresh UUID for each intent.')
  if (!trail.broken) return
  await record({ action: 'audit:resume', decision: 'allowed' }).catch((error: unknown) => {
    throw asLatchkeyError(error).with({ applied: 'no' })
  })
  progress.lines = 0
}

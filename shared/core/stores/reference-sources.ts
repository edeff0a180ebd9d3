// Where each reference of a configuration is held, for the start's report and for whoever checks a file. Apart from what reads secrets, because no request needs it.
import { isCode, LatchkeyError, type ErrorCode } from '../errors.ts'
import type { SecretRef } from '../secret.ts'
import type { Reference } from '../configuration/references.ts'

/** Where one reference of the configuration is held. `failed` carries the code; a failure stops nothing but the master key. */
export interface ReferenceSource {
  readonly path: string
  readonly reference: string
  readonly source: 'manager' | 'environment' | 'absent' | 'refused' | 'failed'
  readonly code?: ErrorCode
}

/** Every reference with its source; `resolve` asks the stores as a read would. Never throws. */
export const referenceSources = (references: readonly Reference[], resolve: (ref: SecretRef, managerFirst: boolean) => Promise<{ readonly source: 'manager' | 'environment' }>): Promise<readonly ReferenceSource[]> =>
  Promise.all(
    references.map(async ({ path, reference, ref, source }): Promise<ReferenceSource> => {
      try {
        return { path, reference, source: (await resolve(ref, source === 'manager')).source }
      } catch (error) {
        if (isCode(error, 'not_found')) return { path, reference, source: 'absent' }
        return { path, reference, source: isCode(error, 'provider_denied', 'forbidden') ? 'refused' : 'failed', code: error instanceof LatchkeyError ? error.code : 'internal' }
      }
    }),
  )

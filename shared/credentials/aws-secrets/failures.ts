// What AWS Secrets Manager means by its names for failures.
import type { AwsMeanings } from '../aws-calls.ts'

/** By the service's own names. */
export const meanings: AwsMeanings = {
  codes: {
    ResourceNotFoundException: 'not_found',
    ResourceExistsException: 'already_exists',
    InvalidRequestException: 'provider_denied',
    InvalidParameterException: 'invalid_request',
    InvalidNextTokenException: 'invalid_request',
    DecryptionFailure: 'provider_denied',
    EncryptionFailure: 'provider_denied',
    PreconditionNotMetException: 'provider_denied',
  },
  // Two of the service's names mean two things each; only the text tells which.
  refine: (name, message) =>
    name === 'InvalidRequestException' && /delet/i.test(message) ? 'soft_deleted' : name === 'InvalidParameterException' && /RemoveFromVersionId|staging label/i.test(message) ? 'conflict' : undefined,
}

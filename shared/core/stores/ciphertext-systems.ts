// The systems that decrypt environment variables; what those hold is never used as it is.

/** By LiteLLM's names. */
export const ciphertextSystems: ReadonlySet<string> = new Set(['aws_kms', 'google_kms'])

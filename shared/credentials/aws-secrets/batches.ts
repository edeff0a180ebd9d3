// The answer to BatchGetSecretValue, as the SDK has it.
import type { BatchGetSecretValueResponse } from '@aws-sdk/client-secrets-manager'
import { isMapping } from '../../core/settings/mapping.ts'
import { valueOf, type Fields } from '../aws/signed-reads.ts'

const listOf = (value: unknown): readonly Fields[] | undefined => (Array.isArray(value) ? value.filter(isMapping) : undefined)

/** What is no such thing is left out. */
export const batchOf = (fields: Fields): BatchGetSecretValueResponse => {
  const [values, errors] = [listOf(fields['SecretValues']), listOf(fields['Errors'])]
  return {
    ...(values !== undefined && { SecretValues: values.map(valueOf) }),
    ...(errors !== undefined && { Errors: errors.map(({ SecretId, ErrorCode, Message }) => Object.fromEntries(Object.entries({ SecretId, ErrorCode, Message }).filter(([, value]) => typeof value === 'string'))) }),
  }
}

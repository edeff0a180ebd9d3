// A provider of your own in twenty lines: it reads Azure Key Vault through a ready SecretClient. examples/custom.yaml names this file.
// Answer text, or nothing for an absent secret; throw an error with one of Latchkey's codes, and whatever else you throw is `provider_unavailable`.
import { DefaultAzureCredential } from '@azure/identity'
import { SecretClient } from '@azure/keyvault-secrets'
import type { PlainProvider } from '../shared/providers/custom.ts'

const codes: Readonly<Record<number, string>> = { 401: 'provider_denied', 403: 'provider_denied', 404: 'not_found', 429: 'provider_throttled' }

/** The provider around a client. */
export const around = (client: Pick<SecretClient, 'getSecret'>): PlainProvider => {
  const get = async (name: string, abortSignal: AbortSignal): Promise<string | undefined> => {
    const { value } = await client.getSecret(name.replaceAll(/[^0-9A-Za-z]/g, '-'), { abortSignal }).catch((error: { readonly statusCode?: number }) => {
      throw Object.assign(new Error('the vault refused'), { code: codes[error.statusCode ?? 0] ?? 'provider_unavailable' })
    })
    return value
  }
  return {
    read: ({ text }, _at, { signal }) => get(text, signal),
    check: async (_depth, { signal }) => {
      const ok = await get('latchkey-check', signal).then(() => true, (error: { readonly code: string }) => error.code === 'not_found')
      return [{ ok, subject: 'the vault', message: ok ? 'Secrets can be read.' : 'The vault cannot be read with this identity.' }]
    },
  }
}

export default { open: ({ vault_uri = '' }: Record<string, string>): PlainProvider => around(new SecretClient(vault_uri, new DefaultAzureCredential())) }

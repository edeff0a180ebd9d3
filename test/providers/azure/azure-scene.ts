// What the tests of the Azure fakes share: a vault with its directory behind TLS, and Microsoft's own clients as they are, with their own way out.
import { readFileSync } from 'node:fs'
import { ClientSecretCredential, type TokenCredential } from '@azure/identity'
import { SecretClient } from '@azure/keyvault-secrets'
import { fakeApplication, fakeVault } from '../../conformance/harnesses/azure-key-vault.ts'
import type { KeyVault, VaultOptions } from '../../fakes/azure/key-vault.ts'
import { startFake, type RunningFake } from '../../fakes/wire.ts'
import { authority } from '../../support/certificates.ts'

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/azure/${name}`, import.meta.url), 'utf8')
/** The certificate that the fake directory knows, with its key. */
export const knownCertificate = fixture('test-only-client.pem')
/** One that it does not know. */
export const strangeCertificate = fixture('test-only-stranger.pem')

/** A fake behind TLS, as Microsoft's clients insist on it. */
export interface Scene {
  readonly vault: KeyVault
  readonly fake: RunningFake
  /** PEM of who vouches for it. */
  readonly ca: string
  /** Moves the fake's clock. */
  pass(ms: number): void
  /** What an identity of @azure/identity needs to sign in here. */
  readonly signIn: { readonly authorityHost: string; readonly disableInstanceDiscovery: true; readonly tlsOptions: { readonly ca: string }; readonly retryOptions: { readonly maxRetries: 0 } }
  client(credential?: TokenCredential): SecretClient
  close(): Promise<void>
}

let scenes = 0

/** Starts one; the fake's clock is the machine's, until it is moved. */
export const scene = async (options: Partial<VaultOptions> = {}): Promise<Scene> => {
  let moved = 0
  const vault = fakeVault({ now: () => Date.now() + moved, settleMs: 0, ...options })
  // A client that trusts several tells them apart by name.
  const root = authority(`authority ${(scenes += 1)} of the Azure tests`)
  const fake = await startFake(vault, { tls: root.signs({ subject: '127.0.0.1', names: ['127.0.0.1'] }) })
  const signIn = { authorityHost: fake.url, disableInstanceDiscovery: true, tlsOptions: { ca: root.cert }, retryOptions: { maxRetries: 0 } } as const
  return {
    vault,
    fake,
    ca: root.cert,
    pass: (ms) => void (moved += ms),
    signIn,
    client: (credential = new ClientSecretCredential(fakeApplication.tenantId, fakeApplication.clientId, fakeApplication.secret, signIn)) =>
      new SecretClient(fake.url, credential, { disableChallengeResourceVerification: true, tlsOptions: { ca: root.cert }, retryOptions: { maxRetries: 0 } }),
    close: () => fake.close(),
  }
}

/** What a call of a vendor's client fails with: status and the vendor's own names, the inner one last. */
export const refusalOf = async (call: Promise<unknown>): Promise<readonly unknown[]> => {
  const error = (await call.then(() => ({}), (thrown: unknown) => thrown)) as { statusCode?: number; code?: string; details?: { error?: { innerError?: { code?: string } } } }
  return [error.statusCode, error.code, error.details?.error?.innerError?.code].filter((part) => part !== undefined)
}

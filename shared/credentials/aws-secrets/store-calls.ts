// Everything that a store of AWS Secrets Manager does beside reading one secret as it is now. Loaded by the first who asks for any of it; the SDK only by what it is needed for.
import type { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { isCode } from '../../core/errors.ts'
import type { OpenedProvider, SecretProvider } from '../../core/provider.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import type { SecretName, SecretRecord } from '../../core/secret.ts'
import type { AwsIdentity } from '../aws.ts'
import { absent, pendingLabels, type Ask, type AwsSecretsManagerSettings, type SecretReads } from '../aws/secrets-manager.ts'

/** What they are made of. `signed`: the reads that need no SDK, where there are any; `url`: another endpoint than the SDK's own. */
export interface StoreCallsOptions {
  readonly settings: AwsSecretsManagerSettings
  readonly io: ProviderIo
  readonly identity: AwsIdentity
  readonly region: string
  readonly url?: string
  readonly signed?: SecretReads
  readonly ask: Ask
  readonly read: SecretProvider['read']
  readonly readLabel: (name: SecretName, label: string, version: string | undefined, call: Call) => Promise<SecretRecord>
}

/** The calls of one store. */
export interface StoreCalls extends SecretReads, Pick<Required<OpenedProvider>, 'readMany' | 'list' | 'describe' | 'write' | 'promote' | 'annotate' | 'discard' | 'remove' | 'recover' | 'locate' | 'stepRotation' | 'check'> {
  /** The version that is about to become current. @throws not_found */
  readPending(name: SecretName, version: string | undefined, call: Call): Promise<SecretRecord>
  close(): Promise<void>
}

/** The first asks for it, everybody gets the same. */
const once = <T>(make: () => Promise<T>): (() => Promise<T>) => {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

/** Makes no call. */
export const storeCalls = ({ settings, io, identity, region, url, signed, ask, read, readLabel }: StoreCallsOptions): StoreCalls => {
  let loaded: SecretsManager | undefined
  const sdk = once(async () => (loaded = await (await import('../aws/secrets-sdk.ts')).openSecretsManager(settings, url, identity, io)))
  const changes = once(async () => (await import('../aws/secret-changes.ts')).changesOf(await sdk(), settings, ask))
  const steps = once(async () => (await import('../aws/step-rotation.ts')).stepRotation(await sdk(), region, ask))
  const throughSdk: SecretReads = {
    getSecretValue: async (input, patience) => (await sdk()).getSecretValue(input, patience),
    batchGetSecretValue: async (input, patience) => (await sdk()).batchGetSecretValue(input, patience),
  }
  const reads = signed ?? throughSdk
  return {
    ...throughSdk,
    readPending: async (name, version, call) => {
      for (const label of pendingLabels) {
        const record = await readLabel(name, label, version, call).catch((error: unknown) => {
          if (!isCode(error, 'not_found')) throw error
        })
        if (record?.version?.stages.includes('pending') === true) return record
      }
      throw absent(name, 'pending version of the secret')
    },
    readMany: async (names, call) => (await import('../aws/secret-batches.ts')).readInBatches(names, call, { ask, reads, read }),
    list: async (query, call) => (await changes()).list(query, call),
    describe: async (name, call) => (await changes()).describe(name, call),
    write: async (request, call) => (await changes()).write(request, call),
    promote: async (name, move, call) => (await changes()).promote(name, move, call),
    annotate: async (name, change, call) => (await changes()).annotate(name, change, call),
    discard: async (name, version, call) => (await changes()).discard(name, version, call),
    remove: async (name, how, call) => (await changes()).remove(name, how, call),
    recover: async (name, call) => (await changes()).recover(name, call),
    locate: async (resource, call) => (await steps()).locate(resource, call),
    stepRotation: {
      describe: async (resource, version, call) => (await steps()).rotation.describe(resource, version, call),
      read: async (name, version, call) => (await steps()).rotation.read(name, version, call),
      write: async (name, version, call) => (await steps()).rotation.write(name, version, call),
      finish: async (name, move, call) => (await steps()).rotation.finish(name, move, call),
    },
    check: async (depth, call, prefix = '') => (await import('../aws/secret-check.ts')).checkSecretsManager(depth, call, prefix, { identity, ask, reads, random: io.random, sdk }),
    close: async () => loaded?.destroy(),
  }
}

// Storage of a function app: its code, what the platform keeps of its own there, and queues. Only identities open it.
import { format, parameter, variable, type Resource } from './arm.ts'
import type { FunctionName } from '../names.ts'

const location = parameter('location')

/** Storage that no key opens and nobody reads unnamed. */
export const storageOf = (name: FunctionName): Resource => ({
  type: 'Microsoft.Storage/storageAccounts',
  apiVersion: '2025-08-01',
  name: [format(`lk${name}{0}`, variable('unique'))],
  body: {
    location,
    kind: 'StorageV2',
    sku: { name: parameter('storageSku') },
    properties: {
      allowSharedKeyAccess: false,
      allowBlobPublicAccess: false,
      allowCrossTenantReplication: false,
      defaultToOAuthAuthentication: true,
      minimumTlsVersion: 'TLS1_2',
      supportsHttpsTrafficOnly: true,
      // Its address is public, because the functions' own are not known; its data is for identities only.
      networkAcls: { bypass: 'AzureServices', defaultAction: 'Allow' },
    },
  },
})

const childOf = ({ type, apiVersion, name }: Resource, suffix: string, child: string, body: Resource['body'] = {}, after: readonly Resource[] = []): Resource => ({ type: `${type}/${suffix}`, apiVersion, name: [...name, 'default', child], body, after })

/** A container of it that nobody reads unnamed. */
export const containerOf = (storage: Resource, name: string): Resource => childOf(storage, 'blobServices/containers', name, { properties: { publicAccess: 'None' } }, [storage])
/** A queue of it. */
export const queueOf = (storage: Resource, name: string): Resource => childOf(storage, 'queueServices/queues', name, { properties: {} }, [storage])

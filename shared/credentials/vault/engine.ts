// One KV version 2 engine as the provider asks it: reads, the one conditional write, metadata, deletions by number, lists. Every answer is held against what the engine
// must say, because an engine of version 1 answers some of these paths too, and a Vault without namespaces takes a namespace's header and forgets it.
import { LatchkeyError, refuse, type ErrorCode } from '../../core/errors.ts'
import { serviceFailure } from '../../core/failure.ts'
import { verbatimCodec, type NameCodec } from '../../core/names.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import { SecretValue, type SecretName } from '../../core/secret.ts'
import type { SettingsTable } from '../../core/settings.ts'
import { isMapping } from '../../core/settings/mapping.ts'
import { connectVault, encodePath, vaultSettings, type VaultAnswer, type VaultConnection, type VaultSettings } from './connection.ts'
import { placeOf } from './login.ts'
import { entriesOf, type Fields, type MapEntry } from './value-map.ts'

/** Settings of the engine and the way to it. */
export interface VaultEngineSettings extends VaultSettings {
  readonly vault_mount_name: string
  readonly vault_path_prefix?: string
}

/** The rows of the settings table. */
export const vaultEngineSettings: SettingsTable<VaultEngineSettings> = {
  ...vaultSettings,
  vault_mount_name: { type: 'string', default: 'secret', env: ['HCP_VAULT_MOUNT_NAME'], text: 'Where the KV version 2 engine is mounted.' },
  vault_path_prefix: { type: 'string', env: ['HCP_VAULT_PATH_PREFIX'], text: 'Path below the engine that stands before every name.' },
}

/** What a path shows: a value map (names only where only they were asked for), a deletion that can be taken back, or nothing, on top of which `number` versions were written. */
export interface Seen {
  readonly state: 'there' | 'deleted' | 'absent'
  readonly number: number
  readonly fields: Fields
  readonly entries: readonly MapEntry[]
  readonly metadata: Readonly<Record<string, string>>
}

/** A soft delete of Vault has no end. */
export const recoverableForEver = new Date('9999-12-31T23:59:59.000Z')

const nothing: Seen = { state: 'absent', number: 0, fields: {}, entries: [], metadata: {} }
const bodyOf = (body: unknown): SecretValue => SecretValue.of(JSON.stringify(body))

const legal = verbatimCodec(/^(?!.*\.\.)[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u, 512, 'printable characters without ".."')

/** Names as they are, below the prefix; `native` ones are whole paths below the engine. */
const codecBelow = (prefix: string): NameCodec => ({
  ...legal,
  encode: (name) => {
    const text = legal.encode(name)
    if (/[\p{Cc}\u2028\u2029]/u.test(text) || text.endsWith('.') || text.split('/').some((segment) => ['', '.', '..'].includes(segment))) throw refuse('name', 'must have no empty or dot segment, no control character and no dot at its end')
    return name.place === 'native' || prefix === '' ? text : `${prefix}/${text}`
  },
})

/** The engine. Every method is one request, but for the first change in a namespace that goes by header. */
export interface VaultEngine {
  readonly connection: VaultConnection
  readonly mount: string
  readonly prefix: string
  readonly names: NameCodec
  nativeOf(name: SecretName): string
  /** A failure about one secret, worded. */
  failure(code: ErrorCode, name: SecretName): LatchkeyError
  /** The newest version. */
  look(name: SecretName, call: Call): Promise<Seen>
  /** One version by its number. */
  lookAt(name: SecretName, version: string, call: Call): Promise<Seen>
  /** The newest version without a value. */
  lookAtNames(name: SecretName, call: Call): Promise<Seen>
  /** Writes version `number + 1` if `number` is the newest. */
  put(name: SecretName, number: number, fields: Fields, call: Call): Promise<boolean>
  /** Merges pairs into the metadata, `null` takes one off; `whole` puts them in place of all. @throws not_found */
  annotate(name: SecretName, pairs: Readonly<Record<string, string | null>>, whole: boolean, call: Call): Promise<void>
  /** The numbers of the versions that are not destroyed. @throws not_found */
  numbers(name: SecretName, call: Call): Promise<readonly number[]>
  act(action: 'delete' | 'undelete' | 'destroy', name: SecretName, versions: readonly number[], call: Call): Promise<void>
  /** Names that begin with `begin` and come after `after`, in order. */
  walk(begin: string, after: string, call: Call): AsyncGenerator<string>
}

/** Opens the engine. Makes no call. @throws misconfigured naming the setting */
export const openVaultEngine = async (settings: VaultEngineSettings, io: ProviderIo): Promise<VaultEngine> => {
  const mount = placeOf('vault_mount_name', settings.vault_mount_name)
  if (mount === '') throw new LatchkeyError('misconfigured', 'vault_mount_name must not be empty.', { issues: [{ path: 'vault_mount_name', message: 'must not be empty' }] })
  const prefix = placeOf('vault_path_prefix', settings.vault_path_prefix)
  const vault = await connectVault(settings, io)
  const names = codecBelow(prefix)
  const pathOf = (kind: string, name: SecretName): string => `${encodePath(mount)}/${kind}/${encodePath(names.encode(name))}`
  const nativeOf = (name: SecretName): string => `${mount}/${names.encode(name)}`
  const about = (action: string, name: SecretName, capabilities: string, kind: string) => ({ action, name: name.text, native: nativeOf(name), needs: `the ${capabilities.includes(',') ? 'capabilities' : 'capability'} ${capabilities} on ${mount}/${kind}/…` })
  const nonsense = (name?: SecretName): LatchkeyError => new LatchkeyError('misconfigured', 'What answers at vault_mount_name is no KV version 2 engine. Check vault_mount_name and the version of the engine.', name === undefined ? {} : { detail: nativeOf(name) })

  const seenIn = ({ kind, data }: VaultAnswer, part: 'data' | 'subkeys', name: SecretName): Seen => {
    if (kind === 'absent') return nothing
    const { metadata, [part]: fields } = data
    if (!isMapping(metadata) || typeof metadata['version'] !== 'number') throw nonsense(name)
    const common = { number: metadata['version'], fields: {}, entries: [], metadata: isMapping(metadata['custom_metadata']) ? (metadata['custom_metadata'] as Record<string, string>) : {} }
    if (kind === 'gone') return { ...common, state: metadata['destroyed'] === true ? 'absent' : 'deleted' }
    if (!isMapping(fields)) throw nonsense(name)
    return { ...common, state: 'there', fields, entries: entriesOf(fields, common.number, Date.parse(String(metadata['created_time'])) || 0) }
  }
  const readAs = (part: 'data' | 'subkeys') => async (name: SecretName, query: string, call: Call): Promise<Seen> =>
    seenIn(await vault.ask({ method: 'GET', path: pathOf(part, name) + query }, about(part === 'data' ? 'reading' : 'describing', name, 'read', part), call), part, name)
  const [data, subkeys] = [readAs('data'), readAs('subkeys')]

  let proved = vault.namespace === '' || !settings.vault_namespace_header
  /** A Vault without namespaces ignores the header and would write into its root: only one that has them knows the namespace as a path. */
  const proveNamespace = async (call: Call): Promise<void> => {
    if (proved) return
    const { kind } = await vault.ask({ method: 'GET', path: `sys/internal/ui/mounts/${encodePath(mount)}`, within: 'path' }, { action: 'proving the namespace', needs: `access to the engine ${mount} in the namespace ${vault.namespace}` }, call)
    if (kind !== 'done') throw new LatchkeyError('misconfigured', 'This Vault has no such namespace, or ignores its header. Check vault_secret_namespace; where there are no namespaces, leave it and vault_namespace_header out.')
    proved = true
  }

  /** `folder` is empty or ends in a slash. A folder's own name with its slash sorts where its content does. */
  const walkFolder = async function* (folder: string, begin: string, after: string, call: Call): AsyncGenerator<string> {
    const below = prefix === '' ? folder : `${prefix}/${folder}`
    const answer = await vault.ask({ method: 'GET', path: `${encodePath(mount)}/metadata/${encodePath(below)}?list=true` }, { action: 'listing', native: `${mount}/${below}`, needs: `the capability list on ${mount}/metadata/…` }, call)
    if (answer.kind === 'absent') return
    const keys = answer.data['keys']
    if (!Array.isArray(keys)) throw nonsense()
    for (const key of keys.map(String).toSorted()) {
      const name = folder + key
      if (!key.endsWith('/')) {
        if (name.startsWith(begin) && name > after) yield name
      } else if ((name.startsWith(begin) || begin.startsWith(name)) && (name > after || after.startsWith(name))) yield* walkFolder(name, begin, after, call)
    }
  }

  return {
    connection: vault,
    mount,
    prefix,
    names,
    nativeOf,
    failure: (code, name) =>
      serviceFailure(code, { title: 'Vault', action: 'this', name: name.text, native: nativeOf(name) }, { ...(code === 'soft_deleted' && { recoverableUntil: recoverableForEver }), ...(code === 'conflict' && { retryAfter: 1 }) }),
    look: (name, call) => data(name, '', call),
    lookAt: (name, version, call) => data(name, `?version=${version}`, call),
    lookAtNames: (name, call) => subkeys(name, '', call),
    put: async (name, number, fields, call) => {
      await proveNamespace(call)
      const answer = await vault.ask({ method: 'POST', path: pathOf('data', name), body: bodyOf({ options: { cas: number }, data: fields }), repeatable: true }, about('writing', name, 'create, update', 'data'), call)
      if (answer.kind === 'done' && answer.data['version'] !== number + 1) throw nonsense(name)
      return answer.kind === 'done'
    },
    annotate: async (name, pairs, whole, call) => {
      await proveNamespace(call)
      const custom_metadata = whole ? Object.fromEntries(Object.entries(pairs).filter(([, value]) => value !== null)) : pairs
      const how = whole ? { method: 'POST' } : { method: 'PATCH', contentType: 'application/merge-patch+json' }
      const { kind } = await vault.ask({ ...how, path: pathOf('metadata', name), body: bodyOf({ custom_metadata }), repeatable: true }, about('annotating', name, 'create, update, patch', 'metadata'), call)
      if (kind !== 'done') throw serviceFailure('not_found', { title: 'Vault', action: 'annotating', name: name.text })
    },
    numbers: async (name, call) => {
      const answer = await vault.ask({ method: 'GET', path: pathOf('metadata', name) }, about('reading the versions', name, 'read', 'metadata'), call)
      if (answer.kind !== 'done') throw serviceFailure('not_found', { title: 'Vault', action: 'reading the versions', name: name.text })
      const { versions } = answer.data
      if (!isMapping(versions)) throw nonsense(name)
      return Object.entries(versions).flatMap(([number, version]) => (isMapping(version) && version['destroyed'] !== true ? [Number(number)] : []))
    },
    act: async (action, name, versions, call) => {
      await proveNamespace(call)
      const { kind } = await vault.ask({ method: action === 'destroy' ? 'PUT' : 'POST', path: pathOf(action, name), body: bodyOf({ versions }), repeatable: true }, about(`${action} of versions`, name, 'update', action), call)
      if (kind !== 'done') throw serviceFailure('not_found', { title: 'Vault', action, name: name.text })
    },
    walk: (begin, after, call) => walkFolder(begin.slice(0, begin.lastIndexOf('/') + 1), begin, after, call),
  }
}

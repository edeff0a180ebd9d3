// What a provider file must give. A provider knows one service and nothing else: no cache, no policy, no ownership, no log.
// The optional methods are the capabilities: a method that is not there is a thing the service cannot do.
import type { LatchkeyError } from './errors.ts'
import { verbatimCodec, type NameCodec } from './names.ts'
import type { Call, ProviderIo } from './runtime.ts'
import type { SecretFacts, SecretName, SecretRecord, SecretValue, Stage, Version } from './secret.ts'
import type { SettingsTable } from './settings.ts'

/** Which value of a secret. `whole` asks for the secret as JSON text where the service holds a map (Vault). */
export interface ReadAt {
  readonly version?: string
  readonly stage?: Stage
  readonly whole?: boolean
}

/**
 * One write of one value. `operation` is 32 to 64 characters and names it for ever: a write that meets a version of its own operation answers
 * `same_operation`, whatever the value. `expect: 'absent'` never overwrites and never recovers. `stage: 'pending'` is the claim of `epoch`: it
 * meets `conflict` while another operation's pending version stands.
 */
export interface WriteRequest {
  readonly name: SecretName
  readonly value: SecretValue
  readonly expect: 'absent' | 'any' | { readonly version: string }
  readonly operation: string
  readonly epoch?: number
  /** The id of the version that this value is based on; kept where the service can. */
  readonly before?: string
  readonly stage: 'current' | 'pending'
  /** Merged over the labels that the secret has. A pending write leaves the secret's labels alone. */
  readonly labels?: Readonly<Record<string, string>>
  readonly description?: string
  readonly expires?: Date
}

/** What became of a write: made now, or made before by the same operation. */
export interface WriteOutcome {
  readonly outcome: 'written' | 'same_operation'
  readonly version?: Version
}

/** Which names to list. */
export interface ListQuery {
  /** Of our names, not of the service's; by characters, as the caller wrote it. */
  readonly prefix: string
  readonly label?: readonly [key: string, value: string]
  readonly cursor?: string
  readonly limit: number
}

/** A page may be short, or empty with a cursor. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly cursor?: string
}

/** `null` takes a label, or the expiry, off. With `etag` the change happens only if the secret still has it (`conflict` otherwise). */
export interface Annotation {
  readonly labels?: Readonly<Record<string, string | null>>
  readonly description?: string
  readonly expires?: Date | null
  readonly etag?: string
}

/** One thing `check` found. `setting` names what to change. */
export interface Finding {
  readonly ok: boolean
  readonly subject: string
  readonly message: string
  readonly setting?: string
}

/** A rotation that the service itself began, as it stands. */
export interface StepRotationState {
  readonly facts: SecretFacts
  /** Whether the service rotates this secret at all. */
  readonly enabled: boolean
  /** The function that the service calls for it. */
  readonly handler?: string
  /** Where the version of this rotation stands; `absent`: the service does not know it. */
  readonly stage: Stage | 'none' | 'absent'
}

/**
 * A rotation that the service drives by steps, with a version that it has reserved: AWS Secrets Manager. It needs what the other methods do not have: whether the
 * service rotates at all and by whom, a write under the service's own version id, and a promotion that leaves the service's own mark alone.
 */
export interface StepRotation {
  /** @throws provider_…; nothing for what is of another account or region, or not there */
  describe(resource: string, version: string, call: Call): Promise<StepRotationState | undefined>
  /** The reserved version's value; nothing while none was put. */
  read(name: SecretName, version: string, call: Call): Promise<SecretValue | undefined>
  /** Puts the reserved version's value. `operation` claims the epoch of a key with it. A version that has a value keeps it. @throws conflict while another claim stands */
  write(name: SecretName, put: { readonly version: string; readonly value: SecretValue; readonly operation?: string; readonly rotationToken?: string }, call: Call): Promise<'written' | 'same_operation'>
  /** Makes the version current if `from` still is; already there is success. @throws conflict */
  finish(name: SecretName, move: { readonly to: string; readonly from: string }, call: Call): Promise<void>
}

/** One opened service. `read` and `check` are required; every other method that is there is a capability. */
export interface SecretProvider {
  /** Facts of this opened provider: settings may take methods away. */
  readonly traits: ProviderTraits
  /** What the operator should know of these settings before anything goes wrong; the start prints them. Names of settings, never values. */
  readonly notices?: readonly string[]
  /** @throws not_found when the secret, version or stage is confirmed absent, soft-deleted included; version_disabled; provider_… */
  read(name: SecretName, at: ReadAt, call: Call): Promise<SecretRecord>
  /** Finds out whether the service can be reached, read or written with these settings, without writing. Keys are kept below `prefix`: an identity may be allowed to write there only. Answers, does not throw. */
  check(depth: 'reach' | 'read' | 'write', call: Call, prefix?: string): Promise<readonly Finding[]>
  /** Facts without the value. After a soft delete: `recoverableUntil` and no `current`. @throws not_found */
  describe?(name: SecretName, call: Call): Promise<SecretFacts>
  /** In the order asked; each item succeeds or fails by itself. */
  readMany?(names: readonly SecretName[], call: Call): Promise<readonly (SecretRecord | LatchkeyError)[]>
  list?(query: ListQuery, call: Call): Promise<Page<SecretFacts>>
  /** @throws already_exists (`expect: 'absent'` and it is there), soft_deleted, conflict (another version or another claim), not_found (`expect` names a version of nothing), too_large */
  write?(write: WriteRequest, call: Call): Promise<WriteOutcome>
  /** Makes the pending version `to` current if `from` still is, and ends the pending stage. `to` already current is success. @throws conflict */
  promote?(name: SecretName, move: { readonly to: string; readonly from: string }, call: Call): Promise<void>
  annotate?(name: SecretName, change: Annotation, call: Call): Promise<void>
  /** Ends a pending or previous version for good: it can no longer be read by its stage, nor promoted where the service can forbid it. An absent version is success. @throws conflict when it is current */
  discard?(name: SecretName, version: string, call: Call): Promise<void>
  setEnabled?(name: SecretName, version: string, enabled: boolean, call: Call): Promise<void>
  /** The service's own delete, of every version. @throws not_found, conflict */
  remove?(name: SecretName, how: { readonly expect: 'any' | { readonly version: string }; readonly final: boolean }, call: Call): Promise<{ readonly recoverableUntil?: Date }>
  /** Takes a soft delete back. Not deleted is success. @throws not_found */
  recover?(name: SecretName, call: Call): Promise<void>
  /**
   * The secret that the service's own name for it means (an ARN, a vault's URL, a project's path), under our name; nothing for what is of another account, region, vault or
   * project, or not there. This is how an event is told from a foreign or forged one: by asking the service, not by believing the event.
   */
  locate?(resource: string, call: Call): Promise<SecretFacts | undefined>
  readonly stepRotation?: StepRotation
  close?(): Promise<void>
}

/** The name of an optional method. What only events need is none: whoever lacks it is told of rotations by name. */
export type Capability = Exclude<keyof SecretProvider, 'traits' | 'notices' | 'read' | 'check' | 'locate' | 'stepRotation'>

/** Facts about an opened provider that are not methods; the store refuses early by them, and the exam adapts to them. */
export interface ProviderTraits {
  readonly names: NameCodec
  /** How long after a write other readers, and lists, may still see what was before. */
  readonly settleMs: number
  readonly versions: 'none' | 'numbered' | 'opaque'
  /** How long a value is fresh where the provider's own settings say so (LiteLLM's refresh variables); 0: nothing of it is ever kept. Default: the configuration's. */
  readonly cacheTtlMs?: number
  readonly value: { readonly maxBytes: number; readonly empty: boolean; readonly bytes: 'any' | 'text' | 'trimmed_text' }
  readonly write?: {
    readonly guarantee: 'atomic' | 'cooperating' | 'detected'
    readonly softDelete: boolean
    /**
     * `travel: 'always'`: labels change in the same step as the value; `on_create`: only when the secret is made; `apart`: by a call of their own. `filter`: `list` can select by one.
     * `lateOnVersion`: a change of them replaces all that lie on a version, without a condition, so that one that is still on its way may undo a later one. Default: false.
     */
    readonly labels: 'none' | { readonly travel: 'always' | 'on_create' | 'apart'; readonly lateOnVersion?: boolean; readonly pairs: number; readonly keyBytes: number; readonly valueBytes: number; readonly filter: boolean }
  }
}

/** Who stands behind a provider's settings. All of a call's endpoint, credential and role come from this one source. */
export interface Origin {
  readonly kind: 'operator'
}

/** Loads a settings table that is kept apart from its provider. */
export type TableLoader<S> = () => Promise<SettingsTable<S>>

/** What a provider file exports: a name, a settings table (or what loads it: a function whose build has read the settings does not need it), and how to open it. */
export interface ProviderDefinition<S = Record<string, unknown>, Table extends SettingsTable<S> | TableLoader<S> = SettingsTable<S>> {
  /** LiteLLM's `key_management_system`. */
  readonly name: string
  /** The service's own name, for people. */
  readonly title: string
  readonly settings: Table
  /** Makes no network call. @throws misconfigured naming the setting */
  open(settings: S, io: ProviderIo, origin: Origin): Promise<SecretProvider>
}

/** What `open` in a provider file returns: traits that are left out take the safe defaults. */
export type OpenedProvider = Omit<SecretProvider, 'traits'> & { readonly traits?: Partial<ProviderTraits> }

const defaultTraits: ProviderTraits = {
  names: verbatimCodec(),
  settleMs: 0,
  versions: 'none',
  value: { maxBytes: 24_576, empty: true, bytes: 'text' },
}

/** Makes a provider of what a file gives, so that one of your own takes twenty lines. Without `traits.write` it counts as read only, whatever methods it has. */
export const defineProvider = <S, Table extends SettingsTable<S> | TableLoader<S> = SettingsTable<S>>(file: Omit<ProviderDefinition<S, Table>, 'open'> & { open(settings: S, io: ProviderIo, origin: Origin): Promise<OpenedProvider> | OpenedProvider }): ProviderDefinition<S, Table> => ({
  ...file,
  open: async (settings, io, origin) => {
    const opened = await file.open(settings, io, origin)
    return { ...opened, traits: { ...defaultTraits, ...opened.traits } }
  },
})

// What changes secrets of AWS Secrets Manager, through AWS's own SDK: every condition is a label move that names its present holder. Every write looks first, because AWS
// answers a repeated token with an equal value like a first one, although another version may be current by then.
import type { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { isCode, LatchkeyError, refuse, type ErrorDetails } from '../../core/errors.ts'
import type { SecretProvider, WriteRequest } from '../../core/provider.ts'
import type { Call } from '../../core/runtime.ts'
import type { SecretName, SecretValue, Version } from '../../core/secret.ts'
import { nonsense } from '../aws-calls.ts'
import { holderOf, sightOf, softDeleted, type Seen, type Sight } from './secret-sight.ts'
import { absent, claimLabel, codec, pendingLabels, service, sharedLabel, stagesOf, tagLimits, valueBytes, versionOf, type Ask, type AwsSecretsManagerSettings } from './secrets-manager.ts'
import { awsTagChange, awsTags, checkAwsTags } from './tags.ts'

/** The methods of a provider that need the SDK. */
export type Changes = Required<Pick<SecretProvider, 'describe' | 'list' | 'write' | 'remove' | 'promote' | 'annotate' | 'discard' | 'recover'>>

const raise = (error: unknown): never => { throw error }

/** What is there is not what the condition says. `more`: what whoever asked does about it. */
export const notAsNamed = (name: SecretName, more: Pick<ErrorDetails, 'hint' | 'retryAfter'>): LatchkeyError => new LatchkeyError('conflict', `${name.text} has another current version than the one named, or another operation on it is in progress.`, more)
const conflict = (name: SecretName): LatchkeyError => notAsNamed(name, { hint: 'Read it again and decide again.' })

/** A value as a request takes it. */
export const bodyOf = (value: SecretValue): { SecretString: string } | { SecretBinary: Uint8Array } => (value.isText ? { SecretString: value.reveal() } : { SecretBinary: value.bytes() })

/** Moves one label of a secret's versions, or takes it off. @throws the refusal that its maker gives */
export type MoveLabel = (name: SecretName, label: string, from: string | undefined, to: string | undefined, call: Call) => Promise<void>

/** Moves labels through one client. A lost answer makes the SDK ask twice, so a refusal is a conflict only if the label is not where it should be. */
export const labelMover = (api: SecretsManager, ask: Ask, look: Sight['live'], conflict: (name: SecretName) => LatchkeyError): MoveLabel => async (name, VersionStage, from, to, call) => {
  const input = { SecretId: codec.encode(name), VersionStage, ...(to !== undefined && { MoveToVersionId: to }), ...(from !== undefined && { RemoveFromVersionId: from }) }
  await ask('UpdateSecretVersionStage', name, call, (patience) => api.updateSecretVersionStage(input, patience)).catch(async (error: unknown) => {
    if (!isCode(error, 'conflict', 'invalid_request')) throw error
    if (holderOf(await look(name, call), VersionStage) !== to) throw conflict(name)
  })
}

/** Changes through one client of the SDK. */
export const changesOf = (api: SecretsManager, settings: AwsSecretsManagerSettings, ask: Ask): Changes => {
  const sight = sightOf(api, ask)
  const { look, found, live } = sight
  const moveLabel = labelMover(api, ask, live, conflict)

  /** Whether the version has this value. A token that is taken is our own: another instance of this operation was faster, and its value counts. Unless that version has been ended since. */
  const put = async ({ name, value, operation }: WriteRequest, label: string, call: Call): Promise<boolean> => {
    let ours = true
    const input = { SecretId: codec.encode(name), ClientRequestToken: operation, VersionStages: [label], ...bodyOf(value) }
    const answer = await ask('PutSecretValue', name, call, (patience) => api.putSecretValue(input, patience)).catch(async (error: unknown) => {
      if (!isCode(error, 'already_exists')) throw error
      if (!(await live(name, call)).versions.has(operation)) throw conflict(name)
      ours = false
      return { VersionId: operation }
    })
    if (answer.VersionId !== operation) throw nonsense(service, 'PutSecretValue')
    return ours
  }

  const tag = async (name: SecretName, seen: Seen | undefined, labels: Readonly<Record<string, string | null>>, description: string | undefined, call: Call): Promise<void> => {
    const SecretId = codec.encode(name)
    const { Tags, TagKeys } = awsTagChange(labels, seen?.labels)
    if (Tags.length > 0) await ask('TagResource', name, call, (patience) => api.tagResource({ SecretId, Tags }, patience))
    if (TagKeys.length > 0) await ask('UntagResource', name, call, (patience) => api.untagResource({ SecretId, TagKeys }, patience))
    if (description !== undefined && description !== seen?.answer.Description) await ask('UpdateSecret', name, call, (patience) => api.updateSecret({ SecretId, Description: description }, patience))
  }

  const create = async ({ name, value, operation, labels = {}, description }: WriteRequest, call: Call): Promise<Version> => {
    const more = { ...(description !== undefined && { Description: description }), ...(settings.kms_key_id !== undefined && { KmsKeyId: settings.kms_key_id }) }
    const input = { Name: codec.encode(name), ClientRequestToken: operation, ...bodyOf(value), ...more, ...(Object.keys(labels).length > 0 && { Tags: awsTags(labels) }) }
    const { VersionId } = await ask('CreateSecret', name, call, (patience) => api.createSecret(input, patience))
    if (typeof VersionId !== 'string') throw nonsense(service, 'CreateSecret')
    const AddReplicaRegions = (settings.replica_regions ?? []).map((Region) => ({ Region }))
    // Best effort: the secret is stored whether or not its replicas are.
    if (AddReplicaRegions.length > 0) await ask('ReplicateSecretToRegions', name, call, (patience) => api.replicateSecretToRegions({ SecretId: input.Name, AddReplicaRegions }, patience)).catch(() => undefined)
    return { ...versionOf(operation, ['AWSCURRENT']), id: VersionId }
  }

  /** The value under a label of its own, then one label more, from whoever left it there; if another has it meanwhile, nothing stays. */
  const putThenMove = async (request: WriteRequest, seen: Seen, label: string, from: string | undefined, call: Call): Promise<{ readonly ours: boolean; readonly endOwn: () => Promise<void> }> => {
    const { name, operation } = request
    const endOwn = (): Promise<void> => moveLabel(name, claimLabel(operation), operation, undefined, call).catch(() => undefined)
    const putOwn = (): Promise<boolean> => put(request, claimLabel(operation), call)
    let ours = false
    if (!seen.versions.has(operation)) {
      ours = await putOwn().catch(async (error: unknown) => {
        // Labels that broken operations have left may fill the quota of twenty; a version that is at no stage needs none.
        const left = [...seen.versions].filter(([id, labels]) => stagesOf(labels).length === 0 && labels.includes(claimLabel(id)))
        if (!isCode(error, 'provider_quota') || left.length === 0) throw error
        for (const [id] of left) await moveLabel(name, claimLabel(id), id, undefined, call)
        return putOwn()
      })
    }
    await moveLabel(name, label, from, operation, call).catch(async (error: unknown) => {
      if (isCode(error, 'conflict', 'provider_quota')) await endOwn()
      throw error
    })
    return { ours, endOwn }
  }

  /** Without a condition one call makes the value current. Labels go before it, so that a version never stands without them, and back if it is refused. */
  const overwrite = async (request: WriteRequest, seen: Seen, call: Call): Promise<boolean> => {
    const { name, labels = {}, description } = request
    await tag(name, seen, labels, description, call)
    return put(request, 'AWSCURRENT', call).catch(async (error: unknown) => {
      const before = Object.fromEntries(Object.keys(labels).map((key) => [key, seen.labels[key] ?? null]))
      if (!isCode(error, 'provider_unavailable', 'deadline_exceeded')) await tag(name, undefined, before, description === undefined ? undefined : (seen.answer.Description ?? ''), call).catch(() => undefined)
      throw error
    })
  }

  const write: Changes['write'] = async (request, call) => {
    const { name, value, expect, operation, stage, labels = {}, description } = request
    if (value.byteLength > valueBytes) throw refuse('value', `is ${value.byteLength} bytes long; AWS Secrets Manager holds at most ${valueBytes}`, 'too_large')
    if (value.byteLength === 0) throw refuse('value', 'must not be empty; AWS Secrets Manager cannot hold an empty value')
    checkAwsTags(service, tagLimits, labels)
    let seen = await look(name, call)
    if (seen === undefined && stage === 'current' && typeof expect === 'string') {
      const created = await create(request, call).catch((error: unknown) => (isCode(error, 'already_exists', 'soft_deleted') ? undefined : raise(error)))
      if (created !== undefined) return { outcome: 'written', version: created }
      seen = await look(name, call)
    }
    if (seen === undefined) throw absent(name)
    if (seen.deleted !== undefined) throw softDeleted(name, seen.deleted)
    const mine = seen.versions.get(operation)
    const halfway = mine?.includes(claimLabel(operation)) === true && !mine.some((label) => ['AWSCURRENT', 'AWSPREVIOUS', ...(stage === 'pending' ? [sharedLabel] : [])].includes(label))
    if (mine !== undefined && !halfway) return { outcome: 'same_operation', version: versionOf(operation, mine) }
    if (expect === 'absent') throw new LatchkeyError('already_exists', `There is a secret of that name already: ${name.text}.`)
    if (typeof expect === 'object' && holderOf(seen, 'AWSCURRENT') !== expect.version) throw conflict(name)
    let ours: boolean
    if (stage === 'pending') {
      const holders = pendingLabels.map((label) => holderOf(seen, label))
      if (holders.some((id) => id !== undefined && id !== operation && stagesOf(seen.versions.get(id) ?? []).includes('pending'))) throw conflict(name)
      ours = (await putThenMove(request, seen, sharedLabel, holders[0], call)).ours
    } else if (typeof expect === 'object') {
      const moved = await putThenMove(request, seen, 'AWSCURRENT', expect.version, call)
      ours = moved.ours
      await moved.endOwn()
      await tag(name, seen, labels, description, call)
    } else ours = await overwrite(request, seen, call)
    return { outcome: ours && mine === undefined ? 'written' : 'same_operation', version: versionOf(operation, [stage === 'pending' ? sharedLabel : 'AWSCURRENT']) }
  }

  const remove: Changes['remove'] = async (name, { expect, final }, call) => {
    const seen = await found(name, call)
    if (seen.deleted !== undefined && !final) throw absent(name)
    if (typeof expect === 'object' && holderOf(seen, 'AWSCURRENT') !== expect.version) throw conflict(name)
    const input = { SecretId: codec.encode(name), ...(final ? { ForceDeleteWithoutRecovery: true } : { RecoveryWindowInDays: settings.recovery_window_days }) }
    // It was there a moment ago: if it is not now, somebody, perhaps our own unanswered attempt, has deleted it since.
    const until = await ask('DeleteSecret', name, call, (patience) => api.deleteSecret(input, patience)).then(
      ({ DeletionDate }) => DeletionDate ?? raise(nonsense(service, 'DeleteSecret')),
      async (error: unknown) => (isCode(error, 'not_found', 'soft_deleted') ? (await look(name, call))?.deleted : raise(error)),
    )
    return final || until === undefined ? {} : { recoverableUntil: until }
  }

  const promote: Changes['promote'] = async (name, { to, from }, call) => {
    const seen = await live(name, call)
    const labels = seen.versions.get(to)
    if (labels === undefined) throw absent(name, 'version of the secret')
    if (!labels.includes('AWSCURRENT')) {
      if (!stagesOf(labels).includes('pending') || holderOf(seen, 'AWSCURRENT') !== from) throw conflict(name)
      await moveLabel(name, 'AWSCURRENT', from, to, call)
    }
    for (const label of labels) if (label === claimLabel(to) || pendingLabels.includes(label)) await moveLabel(name, label, to, undefined, call)
  }

  const annotate: Changes['annotate'] = async (name, { labels = {}, description, etag }, call) => {
    checkAwsTags(service, tagLimits, labels)
    // The service has no etag for a secret, so `describe` gives none, and one that is asked for cannot be ours.
    if (etag !== undefined) throw conflict(name)
    if (description === undefined && Object.keys(labels).length === 0) await live(name, call)
    await tag(name, undefined, labels, description, call)
  }

  const discard: Changes['discard'] = async (name, version, call) => {
    const labels = (await live(name, call)).versions.get(version) ?? []
    if (labels.includes('AWSCURRENT')) throw conflict(name)
    for (const label of labels) await moveLabel(name, label, version, undefined, call)
  }

  const recover: Changes['recover'] = (name, call) =>
    ask('RestoreSecret', name, call, (patience) => api.restoreSecret({ SecretId: codec.encode(name) }, patience)).then(() => undefined, async (error: unknown) => {
      if (!isCode(error, 'provider_denied', 'soft_deleted') || error.details.vendor?.name !== 'InvalidRequestException' || (await found(name, call)).deleted !== undefined) throw error
    })

  return { describe: sight.describe, list: sight.list, write, remove, promote, annotate, discard, recover }
}

// AWS Secrets Manager, through AWS's own SDK. The version id of what we write is the operation id, and the service's labels are the stages: every
// condition is a label move that names its present holder. Every write looks first, because AWS answers a repeated token with an equal value like a
// first one, although another version may be current by then.
import type { DescribeSecretResponse, GetSecretValueResponse, SecretListEntry, SecretValueEntry } from '@aws-sdk/client-secrets-manager'
import { awsIdentity, awsIdentitySettings, awsRegion, type AwsIdentitySettings } from '../credentials/aws.ts'
import { awsCall, awsClient, awsClientSettings, awsFailure, awsLabels, awsTagChange, awsTags, checkAwsTags, nonsense, withoutQuotaRetries, type AwsClientSettings, type AwsService, type Patience } from '../credentials/aws-calls.ts'
import { claimLabel, pendingLabels, sharedLabel, stagesOf, versionOf } from '../credentials/aws/stages.ts'
import { stepRotation } from '../credentials/aws/step-rotation.ts'
import { asLatchkeyError, isCode, LatchkeyError, refuse } from '../core/errors.ts'
import { createdName, hostedName, verbatimCodec } from '../core/names.ts'
import { defineProvider, type Finding, type OpenedProvider, type SecretProvider, type WriteRequest } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName, type SecretRecord, type Version } from '../core/secret.ts'

interface AwsSecretsManagerSettings extends AwsIdentitySettings, AwsClientSettings {
  readonly kms_key_id?: string
  readonly replica_regions?: readonly string[]
  readonly recovery_window_days: number
  readonly aws_secretsmanager_endpoint?: string
}

const tagLimits = { pairs: 50, keyBytes: 127, valueBytes: 255 }
const limits = { valueBytes: 65_536, batch: 20, singleReadsAtOnce: 8 }
const legal = /^[A-Za-z0-9/_+=.@-]{1,512}$/
const codec = verbatimCodec(legal, 512, '1 to 512 of A-Z a-z 0-9 / _ + = . @ -')

const service: AwsService = {
  title: 'AWS Secrets Manager',
  prefix: 'secretsmanager',
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

const raise = (error: unknown): never => { throw error }
const absent = (name: SecretName, what = 'secret'): LatchkeyError => new LatchkeyError('not_found', `There is no such ${what}: ${name.text}.`)
const conflict = (name: SecretName): LatchkeyError => new LatchkeyError('conflict', `${name.text} has another current version than the one named, or another operation on it is in progress.`, { hint: 'Read it again and decide again.' })
const softDeleted = (name: SecretName, until: Date): LatchkeyError => new LatchkeyError('soft_deleted', `${name.text} is deleted and can be recovered until ${until.toISOString()}.`, { recoverableUntil: until })

/** One secret without its value, as DescribeSecret or ListSecrets shows it. */
interface Seen {
  readonly native: string
  readonly versions: ReadonlyMap<string, readonly string[]>
  readonly labels: Readonly<Record<string, string>>
  readonly answer: DescribeSecretResponse | SecretListEntry
  readonly deleted: Date | undefined
}

const seenOf = (answer: DescribeSecretResponse | SecretListEntry, stages: Record<string, string[]> | undefined, action: string): Seen => {
  if (typeof answer.Name !== 'string') throw nonsense(service, action)
  const labels = awsLabels(answer.Tags)
  return { native: answer.Name, versions: new Map(Object.entries(stages ?? {})), labels, answer, deleted: answer.DeletedDate }
}

const holderOf = (seen: Seen, label: string): string | undefined => [...seen.versions].find(([, labels]) => labels.includes(label))?.[0]

const factsOf = (name: SecretName, seen: Seen, versions?: readonly Version[]): SecretFacts => {
  const { Description: description, CreatedDate: created, NextRotationDate: nextRotation } = seen.answer
  const id = holderOf(seen, 'AWSCURRENT')
  return {
    name,
    nativeName: seen.native,
    labels: seen.labels,
    ...(versions !== undefined && { versions }),
    ...(description !== undefined && description !== '' && { description }),
    ...(created !== undefined && { created }),
    ...(nextRotation !== undefined && { nextRotation }),
    ...(seen.deleted !== undefined ? { recoverableUntil: seen.deleted } : id !== undefined && { current: versions?.find((version) => version.id === id) ?? versionOf(id, ['AWSCURRENT']) }),
  }
}

const bodyOf = (value: SecretValue): { SecretString: string } | { SecretBinary: Uint8Array } => (value.isText ? { SecretString: value.reveal() } : { SecretBinary: value.bytes() })

const recordOf = ({ SecretString: text, SecretBinary: bytes, VersionId: id, VersionStages, CreatedDate }: GetSecretValueResponse | SecretValueEntry, action: string): Omit<SecretRecord, 'name'> => {
  if (typeof id !== 'string' || (typeof text !== 'string' && !(bytes instanceof Uint8Array))) throw nonsense(service, action)
  return { value: typeof text === 'string' ? SecretValue.of(text) : SecretValue.ofBytes(bytes ?? new Uint8Array()), version: versionOf(id, VersionStages ?? [], CreatedDate) }
}

const connect = async (settings: AwsSecretsManagerSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const identity = await awsIdentity(settings, io)
  const config = { region: awsRegion(settings), credentials: identity.credentials, ...(await awsClient(settings, { setting: 'aws_secretsmanager_endpoint', url: settings.aws_secretsmanager_endpoint }, service, io)) }
  const { SecretsManager } = await import('@aws-sdk/client-secrets-manager')
  const api = new SecretsManager(config)
  await withoutQuotaRetries(api)

  const ask = <Answer>(action: string, name: SecretName | undefined, call: Call, send: (patience: Patience) => Promise<Answer>): Promise<Answer> => awsCall(service, io, action, name && { text: name.text, native: codec.encode(name) }, call, send, identity)

  const look = async (name: SecretName, call: Call): Promise<Seen | undefined> => {
    const answer = await ask('DescribeSecret', name, call, (patience) => api.describeSecret({ SecretId: codec.encode(name) }, patience)).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : raise(error)))
    return answer && seenOf(answer, answer.VersionIdsToStages, 'DescribeSecret')
  }
  const found = async (name: SecretName, call: Call): Promise<Seen> => (await look(name, call)) ?? raise(absent(name))
  const live = (name: SecretName, call: Call): Promise<Seen> => found(name, call).then((seen) => (seen.deleted === undefined ? seen : raise(softDeleted(name, seen.deleted))))

  const datesOf = async (name: SecretName, call: Call): Promise<ReadonlyMap<string, Date>> => {
    // At most twenty labels means at most twenty versions: one page.
    const { Versions = [] } = await ask('ListSecretVersionIds', name, call, (patience) => api.listSecretVersionIds({ SecretId: codec.encode(name), MaxResults: 100 }, patience))
    return new Map(Versions.flatMap(({ VersionId, CreatedDate }) => (VersionId !== undefined && CreatedDate !== undefined ? [[VersionId, CreatedDate] as const] : [])))
  }

  /** Oldest first. Dates are a call of their own with a small quota: it is made only where epochs do not settle the order, or a claim's age matters. */
  const versionsOf = async (name: SecretName, seen: Seen, call: Call): Promise<readonly Version[]> => {
    const bare = [...seen.versions].map(([id, labels]) => versionOf(id, labels))
    const settled = bare.length < 2 || (bare.every(({ epoch, stages }) => epoch !== undefined && !stages.includes('pending')) && new Set(bare.map(({ epoch }) => epoch)).size === bare.length)
    const dates = settled || seen.deleted !== undefined ? new Map<string, Date>() : await datesOf(name, call)
    const rank = ({ stages }: Version): number => ['previous', 'current', 'pending'].indexOf(stages[0] ?? 'previous')
    return bare
      .map(({ id }) => versionOf(id, seen.versions.get(id) ?? [], dates.get(id)))
      .sort((a, b) => (a.created?.getTime() ?? 0) - (b.created?.getTime() ?? 0) || (a.epoch ?? 0) - (b.epoch ?? 0) || rank(a) - rank(b) || (a.id < b.id ? -1 : 1))
  }

  const readLabel = async (name: SecretName, VersionStage: string | undefined, VersionId: string | undefined, call: Call): Promise<SecretRecord> => {
    const input = { SecretId: codec.encode(name), ...(VersionId !== undefined && { VersionId }), ...(VersionStage !== undefined && { VersionStage }) }
    const answer = await ask('GetSecretValue', name, call, (patience) => api.getSecretValue(input, patience)).catch((error: unknown) => raise(isCode(error, 'soft_deleted') ? absent(name) : error))
    return { name, ...recordOf(answer, 'GetSecretValue') }
  }

  const read: SecretProvider['read'] = async (name, { version, stage }, call) => {
    // No version has such an id, and AWS would call the request malformed.
    if (version !== undefined && !/^[\x21-\x7e]{32,64}$/.test(version)) throw absent(name, 'version of the secret')
    if (stage !== 'pending') return readLabel(name, stage === 'previous' ? 'AWSPREVIOUS' : version === undefined || stage === 'current' ? 'AWSCURRENT' : undefined, version, call)
    for (const label of pendingLabels) {
      const record = await readLabel(name, label, version, call).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : raise(error)))
      if (record?.version?.stages.includes('pending') === true) return record
    }
    throw absent(name, 'pending version of the secret')
  }

  type Settled = Map<string, (name: SecretName) => SecretRecord | LatchkeyError>

  /** One batch of at most twenty. What its answer does not settle (no word, a next page, throttled, not the current version) is left for a read of its own. */
  const readBatch = async (SecretIdList: string[], settled: Settled, call: Call): Promise<void> => {
    const { SecretValues, Errors } = await ask('BatchGetSecretValue', undefined, call, (patience) => api.batchGetSecretValue({ SecretIdList }, patience))
    if (SecretValues === undefined && Errors === undefined) throw nonsense(service, 'BatchGetSecretValue')
    for (const entry of SecretValues?.filter(({ VersionStages }) => VersionStages?.includes('AWSCURRENT')) ?? []) {
      const record = recordOf(entry, 'BatchGetSecretValue')
      for (const id of [entry.Name, entry.ARN]) if (id !== undefined) settled.set(id, (name) => ({ name, ...record }))
    }
    for (const { SecretId = '', ErrorCode = '', Message = '' } of Errors ?? []) {
      const failure = awsFailure(service, Object.assign(new Error(Message), { name: ErrorCode }), 'GetSecretValue', { text: SecretId, native: SecretId })
      if (failure.code !== 'provider_throttled') settled.set(SecretId, (name) => (isCode(failure, 'soft_deleted', 'not_found') ? absent(name) : failure))
    }
  }

  const readMany: SecretProvider['readMany'] = async (names, call) => {
    const settled: Settled = new Map()
    const ids = [...new Set(names.filter((name) => name.place === 'native' || legal.test(name.text)).map((name) => name.text))]
    const batches = Array.from({ length: Math.ceil(ids.length / limits.batch) }, (_, index) => ids.slice(index * limits.batch, (index + 1) * limits.batch))
    const work = batches.map((batch) =>
      readBatch(batch, settled, call).catch((error: unknown) => {
        call.signal.throwIfAborted()
        if (!isCode(error, 'provider_denied', 'provider_throttled')) for (const id of batch) if (!settled.has(id)) settled.set(id, () => asLatchkeyError(error))
      }),
    )
    await Promise.all(work)
    const rest = names.filter((name) => !settled.has(name.text)).values()
    const readRest = async (): Promise<void> => {
      for (const name of rest) {
        const answer = await read(name, {}, call).catch(asLatchkeyError)
        call.signal.throwIfAborted()
        settled.set(name.text, () => answer)
      }
    }
    await Promise.all(Array.from({ length: limits.singleReadsAtOnce }, readRest))
    return names.map((name) => settled.get(name.text)?.(name) ?? absent(name))
  }

  const list: SecretProvider['list'] = async ({ prefix, label, cursor, limit }, call) => {
    if (prefix !== '' && !legal.test(prefix)) return { items: [] }
    // The service filters by prefixes, and a name and a value need not be of one tag: what it finds is looked at again.
    const wanted = [['name', prefix], ['tag-key', label?.[0]], ['tag-value', label?.[1]]] as const
    const Filters = wanted.flatMap(([Key, text]) => (text !== undefined && /^[A-Za-z0-9 :_@/+=.-]{1,512}$/.test(text) ? [{ Key, Values: [text] }] : []))
    const input = { Filters, MaxResults: Math.min(Math.max(limit, 1), 100), SortBy: 'name', SortOrder: 'asc', ...(cursor !== undefined && { NextToken: cursor }) } as const
    const page = await ask('ListSecrets', undefined, call, (patience) => api.listSecrets(input, patience)).catch((error: unknown) =>
      raise(isCode(error, 'invalid_request') && cursor !== undefined ? refuse('cursor', 'is not one that this list gave; begin again without it') : error),
    )
    if (page.SecretList === undefined) throw nonsense(service, 'ListSecrets')
    const items = page.SecretList.flatMap((entry) => {
      const seen = seenOf(entry, entry.SecretVersionsToStages, 'ListSecrets')
      const fits = seen.deleted === undefined && seen.native.startsWith(prefix) && (label === undefined || seen.labels[label[0]] === label[1])
      // A name that no request could say stays the service's own.
      return fits && !/(^|\/)\.{0,2}(\/|$)/.test(seen.native) ? [factsOf(hostedName(seen.native), seen)] : []
    })
    return { items, ...(page.NextToken !== undefined && { cursor: page.NextToken }) }
  }

  /** Moves one label, or takes it off. A lost answer makes the SDK ask twice, so a refusal is a conflict only if the label is not where it should be. */
  const moveLabel = async (name: SecretName, VersionStage: string, from: string | undefined, to: string | undefined, call: Call): Promise<void> => {
    const input = { SecretId: codec.encode(name), VersionStage, ...(to !== undefined && { MoveToVersionId: to }), ...(from !== undefined && { RemoveFromVersionId: from }) }
    await ask('UpdateSecretVersionStage', name, call, (patience) => api.updateSecretVersionStage(input, patience)).catch(async (error: unknown) => {
      if (!isCode(error, 'conflict', 'invalid_request')) throw error
      if (holderOf(await live(name, call), VersionStage) !== to) throw conflict(name)
    })
  }

  /** A token that is taken is our own: another instance of this operation was faster. Unless that version has been ended since. */
  const put = async ({ name, value, operation }: WriteRequest, label: string, call: Call): Promise<void> => {
    const input = { SecretId: codec.encode(name), ClientRequestToken: operation, VersionStages: [label], ...bodyOf(value) }
    const answer = await ask('PutSecretValue', name, call, (patience) => api.putSecretValue(input, patience)).catch(async (error: unknown) => {
      if (!isCode(error, 'already_exists')) throw error
      if (!(await live(name, call)).versions.has(operation)) throw conflict(name)
      return { VersionId: operation }
    })
    if (answer.VersionId !== operation) throw nonsense(service, 'PutSecretValue')
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
  const putThenMove = async (request: WriteRequest, seen: Seen, label: string, from: string | undefined, call: Call): Promise<() => Promise<void>> => {
    const { name, operation } = request
    const endOwn = (): Promise<void> => moveLabel(name, claimLabel(operation), operation, undefined, call).catch(() => undefined)
    const putOwn = (): Promise<void> => put(request, claimLabel(operation), call)
    if (!seen.versions.has(operation)) {
      await putOwn().catch(async (error: unknown) => {
        // Labels that broken operations have left may fill the quota of twenty; a version that is at no stage needs none.
        const left = [...seen.versions].filter(([id, labels]) => stagesOf(labels).length === 0 && labels.includes(claimLabel(id)))
        if (!isCode(error, 'provider_quota') || left.length === 0) throw error
        for (const [id] of left) await moveLabel(name, claimLabel(id), id, undefined, call)
        await putOwn()
      })
    }
    await moveLabel(name, label, from, operation, call).catch(async (error: unknown) => {
      if (isCode(error, 'conflict', 'provider_quota')) await endOwn()
      throw error
    })
    return endOwn
  }

  /** Without a condition one call makes the value current. Labels go before it, so that a version never stands without them, and back if it is refused. */
  const overwrite = async (request: WriteRequest, seen: Seen, call: Call): Promise<void> => {
    const { name, labels = {}, description } = request
    await tag(name, seen, labels, description, call)
    await put(request, 'AWSCURRENT', call).catch(async (error: unknown) => {
      const before = Object.fromEntries(Object.keys(labels).map((key) => [key, seen.labels[key] ?? null]))
      if (!isCode(error, 'provider_unavailable', 'deadline_exceeded')) await tag(name, undefined, before, description === undefined ? undefined : (seen.answer.Description ?? ''), call).catch(() => undefined)
      throw error
    })
  }

  const write: SecretProvider['write'] = async (request, call) => {
    const { name, value, expect, operation, stage, labels = {}, description } = request
    if (value.byteLength > limits.valueBytes) throw refuse('value', `is ${value.byteLength} bytes long; AWS Secrets Manager holds at most ${limits.valueBytes}`, 'too_large')
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
    if (stage === 'pending') {
      const holders = pendingLabels.map((label) => holderOf(seen, label))
      if (holders.some((id) => id !== undefined && id !== operation && stagesOf(seen.versions.get(id) ?? []).includes('pending'))) throw conflict(name)
      await putThenMove(request, seen, sharedLabel, holders[0], call)
    } else if (typeof expect === 'object') {
      const endOwn = await putThenMove(request, seen, 'AWSCURRENT', expect.version, call)
      await endOwn()
      await tag(name, seen, labels, description, call)
    } else await overwrite(request, seen, call)
    return { outcome: mine === undefined ? 'written' : 'same_operation', version: versionOf(operation, [stage === 'pending' ? sharedLabel : 'AWSCURRENT']) }
  }

  const remove: SecretProvider['remove'] = async (name, { expect, final }, call) => {
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

  /** Every probe names a secret that does not exist: whoever may is told so, and nothing is changed. */
  const check: SecretProvider['check'] = async (depth, call, prefix = '') => {
    const who = depth === 'reach' ? [] : await identity.check(call)
    const hosted = `latchkey-check-${Buffer.from(io.random.bytes(8)).toString('hex')}`
    const SecretId = prefix === '' ? hosted : `${prefix}/${hosted}`
    const probes: Readonly<Record<string, (patience: Patience) => Promise<unknown>>> = {
      GetSecretValue: (patience) => api.getSecretValue({ SecretId: hosted, VersionStage: 'AWSCURRENT' }, patience),
      ...(depth === 'write' && {
        PutSecretValue: (patience) => api.putSecretValue({ SecretId, SecretString: 'probe' }, patience),
        UpdateSecretVersionStage: (patience) => api.updateSecretVersionStage({ SecretId, VersionStage: sharedLabel }, patience),
        TagResource: (patience) => api.tagResource({ SecretId, Tags: [{ Key: 'managed-by', Value: 'latchkey' }] }, patience),
      }),
    }
    const probe = async ([action, send]: [string, (patience: Patience) => Promise<unknown>]): Promise<Finding> => {
      const failure = await ask(action, createdName(action === 'GetSecretValue' ? hosted : SecretId), call, send).then(() => undefined, asLatchkeyError)
      const ok = failure === undefined || failure.code === 'not_found' || (depth === 'reach' && failure.details.vendor?.name === 'AccessDeniedException')
      const setting = failure?.details.issues?.[0]?.path ?? (isCode(failure, 'provider_denied', 'misconfigured') ? 'aws_access_key_id' : 'aws_region_name')
      return { ok, subject: `secretsmanager:${action}`, message: ok ? 'Allowed.' : failure.message, ...(!ok && { setting }) }
    }
    return who.some(({ ok }) => !ok) ? who : [...who, ...(await Promise.all(Object.entries(probes).map(probe)))]
  }

  const describe = async (name: SecretName, call: Call): Promise<SecretFacts> => {
    const seen = await found(name, call)
    return factsOf(name, seen, await versionsOf(name, seen, call))
  }
  const steps = stepRotation({ api, region: awsRegion(settings), ask, body: bodyOf, facts: describe })
  const parts = { notices: identity.notices, read, readMany, list, write, remove, check, describe, locate: steps.locate, stepRotation: steps.rotation }
  return {
    ...parts,
    promote: async (name, { to, from }, call) => {
      const seen = await live(name, call)
      const labels = seen.versions.get(to)
      if (labels === undefined) throw absent(name, 'version of the secret')
      if (!labels.includes('AWSCURRENT')) {
        if (!stagesOf(labels).includes('pending') || holderOf(seen, 'AWSCURRENT') !== from) throw conflict(name)
        await moveLabel(name, 'AWSCURRENT', from, to, call)
      }
      for (const label of labels) if (label === claimLabel(to) || pendingLabels.includes(label)) await moveLabel(name, label, to, undefined, call)
    },
    annotate: async (name, { labels = {}, description, etag }, call) => {
      checkAwsTags(service, tagLimits, labels)
      // The service has no etag for a secret, so `describe` gives none, and one that is asked for cannot be ours.
      if (etag !== undefined) throw conflict(name)
      if (description === undefined && Object.keys(labels).length === 0) await live(name, call)
      await tag(name, undefined, labels, description, call)
    },
    discard: async (name, version, call) => {
      const labels = (await live(name, call)).versions.get(version) ?? []
      if (labels.includes('AWSCURRENT')) throw conflict(name)
      for (const label of labels) await moveLabel(name, label, version, undefined, call)
    },
    recover: (name, call) =>
      ask('RestoreSecret', name, call, (patience) => api.restoreSecret({ SecretId: codec.encode(name) }, patience)).then(() => undefined, async (error: unknown) => {
        if (!isCode(error, 'provider_denied', 'soft_deleted') || error.details.vendor?.name !== 'InvalidRequestException' || (await found(name, call)).deleted !== undefined) throw error
      }),
    close: async () => api.destroy(),
    traits: {
      names: codec,
      // A list may lack what the last five minutes brought.
      settleMs: 300_000,
      versions: 'opaque',
      value: { maxBytes: limits.valueBytes, empty: false, bytes: 'any' },
      write: { guarantee: 'atomic', softDelete: true, labels: { travel: 'on_create', ...tagLimits, filter: true } },
    },
  }
}

/** AWS Secrets Manager. */
export const awsSecretsManager = defineProvider<AwsSecretsManagerSettings>({
  name: 'aws_secret_manager',
  title: 'AWS Secrets Manager',
  settings: {
    ...awsIdentitySettings,
    ...awsClientSettings,
    aws_secretsmanager_endpoint: { type: 'url', env: ['AWS_ENDPOINT_URL_SECRETS_MANAGER', 'AWS_ENDPOINT_URL'], text: "Another endpoint than the region's own, for example of a VPC endpoint or an emulator." },
    kms_key_id: { type: 'string', text: "Customer managed KMS key for secrets that Latchkey creates. Default: the account's `aws/secretsmanager` key." },
    replica_regions: { type: 'string_list', text: 'Regions that a new secret is replicated to; best effort.' },
    recovery_window_days: { type: 'integer', default: 7, min: 7, max: 30, text: 'How long a deleted secret can be recovered, in days.' },
  },
  open: connect,
})

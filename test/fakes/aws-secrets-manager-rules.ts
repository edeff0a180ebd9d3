// What AWS Secrets Manager does with a request, by its documentation and its API model: the state, the quotas and the refusals of one account in one region.
// It knows no HTTP and nothing of Latchkey. The wire around it is in aws-secrets-manager.ts.

import { constraint, countOf, invalid, listOf, needed, notFound, quota, refused, ServiceFailure, tagsOf, textOf, valueOf, type HeldValue, type Input } from './aws-secrets-manager-input.ts'

type Output = Record<string, unknown>

interface HeldVersion {
  readonly id: string
  /** Nothing while a rotation has only reserved it. */
  value: HeldValue | undefined
  readonly labels: Set<string>
  readonly created: number
  readonly kmsKeyId: string
}

/** One secret as the service holds it; tests read it directly. */
export interface HeldSecret {
  readonly arn: string
  readonly name: string
  readonly created: number
  changed: number
  description: string | undefined
  kmsKeyId: string | undefined
  readonly tags: Map<string, string>
  readonly versions: Map<string, HeldVersion>
  readonly replicas: string[]
  deletionDate: number | undefined
  nextRotation: number | undefined
  /** The function that rotates it, once rotation is configured. */
  rotationLambda: string | undefined
}

const dayMs = 86_400_000
const seconds = (ms: number): number => ms / 1000

const sameValue = (a: HeldValue | undefined, b: HeldValue): boolean => JSON.stringify(a) === JSON.stringify(b)

export interface RulesOptions {
  readonly region?: string
  readonly account?: string
  /** Milliseconds since the epoch. Default: this machine's clock. */
  readonly now?: () => number
  /** KMS keys that are disabled: nothing is encrypted or decrypted under them. */
  readonly disabledKeys?: ReadonlySet<string>
}

/** The service: one function for each operation, and the secrets themselves. */
export const secretsManagerRules = ({ region = 'us-east-1', account = '123456789012', now = Date.now, disabledKeys = new Set() }: RulesOptions = {}): { readonly secrets: Map<string, HeldSecret>; readonly operations: Readonly<Record<string, (input: Input) => Output>> } => {
  const secrets = new Map<string, HeldSecret>()
  let made = 0

  const uuid = (): string => `00000000-0000-4000-8000-${String((made += 1)).padStart(12, '0')}`
  const suffix = (): string => String((made += 1)).padStart(6, 'x')

  const sweep = (): void => {
    for (const secret of secrets.values()) if (secret.deletionDate !== undefined && secret.deletionDate <= now()) secrets.delete(secret.name)
  }

  /** By name, by ARN, or by an ARN without its random end. */
  const find = (input: Input): HeldSecret | undefined => {
    const id = needed(textOf(input, 'SecretId', 1, 2048), 'secretId')
    sweep()
    if (!id.startsWith('arn:')) return secrets.get(id)
    return [...secrets.values()].find(({ arn }) => arn === id || arn.replace(/-[^-]{6}$/, '') === id)
  }

  const held = (input: Input): HeldSecret => {
    const secret = find(input)
    if (secret === undefined) throw notFound()
    return secret
  }

  const live = (input: Input): HeldSecret => {
    const secret = held(input)
    if (secret.deletionDate !== undefined) throw refused("You can't perform this operation on the secret because it was marked for deletion.")
    return secret
  }

  const holder = (secret: HeldSecret, label: string): HeldVersion | undefined => [...secret.versions.values()].find((version) => version.labels.has(label))
  const labelCount = (secret: HeldSecret): number => [...secret.versions.values()].reduce((sum, version) => sum + version.labels.size, 0)

  const attach = (secret: HeldSecret, label: string, version: HeldVersion): void => {
    const before = holder(secret, label)
    if (before === version) return
    before?.labels.delete(label)
    version.labels.add(label)
    if (label !== 'AWSCURRENT' || before === undefined) return
    holder(secret, 'AWSPREVIOUS')?.labels.delete('AWSPREVIOUS')
    before.labels.add('AWSPREVIOUS')
  }

  const addVersion = (secret: HeldSecret, token: string, value: HeldValue, labels: readonly string[]): HeldVersion => {
    const there = secret.versions.get(token)
    if (there !== undefined && there.value === undefined) {
      if (labelCount(secret) + labels.filter((label) => holder(secret, label) === undefined).length > quota.labels) throw new ServiceFailure('LimitExceededException', 'The request failed because it would exceed the staging label quota.')
      there.value = value
      for (const label of labels) attach(secret, label, there)
      secret.changed = now()
      return there
    }
    if (there !== undefined) {
      if (!sameValue(there.value, value)) throw new ServiceFailure('ResourceExistsException', `You can't use ClientRequestToken ${token} because that value is already in use for a version of secret ${secret.arn}.`)
      return there
    }
    if (disabledKeys.has(secret.kmsKeyId ?? '')) throw new ServiceFailure('EncryptionFailure', 'Secrets Manager can\'t encrypt the protected secret text using the provided KMS key.')
    const wanted = holder(secret, 'AWSCURRENT') === undefined ? [...new Set([...labels, 'AWSCURRENT'])] : labels
    if (labelCount(secret) + wanted.filter((label) => holder(secret, label) === undefined).length > quota.labels) throw new ServiceFailure('LimitExceededException', 'The request failed because it would exceed the staging label quota.')
    for (const old of secret.versions.values()) if (secret.versions.size >= quota.versions && old.labels.size === 0 && now() - old.created > dayMs) secret.versions.delete(old.id)
    if (secret.versions.size >= 2 * quota.versions) throw new ServiceFailure('LimitExceededException', 'The request failed because it would exceed the version quota.')
    const version: HeldVersion = { id: token, value, labels: new Set(), created: now(), kmsKeyId: secret.kmsKeyId ?? 'DefaultEncryptionKey' }
    secret.versions.set(token, version)
    for (const label of wanted) attach(secret, label, version)
    secret.changed = now()
    return version
  }

  const valueAnswer = (secret: HeldSecret, version: HeldVersion): Output => {
    if (version.value === undefined) throw notFound(`the specified secret value for VersionId: ${version.id}`)
    if (disabledKeys.has(version.kmsKeyId)) throw new ServiceFailure('DecryptionFailure', 'Secrets Manager can\'t decrypt the protected secret text using the provided KMS key.')
    return { ARN: secret.arn, Name: secret.name, VersionId: version.id, ...version.value, VersionStages: [...version.labels], CreatedDate: seconds(version.created) }
  }

  const stagesOf = (secret: HeldSecret): Record<string, string[]> => Object.fromEntries([...secret.versions.values()].filter((version) => version.labels.size > 0).map((version) => [version.id, [...version.labels]]))

  const facts = (secret: HeldSecret): Output => ({
    ARN: secret.arn,
    Name: secret.name,
    ...(secret.description !== undefined && { Description: secret.description }),
    ...(secret.kmsKeyId !== undefined && { KmsKeyId: secret.kmsKeyId }),
    ...(secret.nextRotation !== undefined && { RotationEnabled: true, NextRotationDate: seconds(secret.nextRotation) }),
    ...(secret.rotationLambda !== undefined && { RotationLambdaARN: secret.rotationLambda }),
    ...(secret.deletionDate !== undefined && { DeletedDate: seconds(secret.deletionDate) }),
    CreatedDate: seconds(secret.created),
    LastChangedDate: seconds(secret.changed),
    Tags: [...secret.tags].map(([Key, Value]) => ({ Key, Value })),
  })

  /** A page of a list, and the token of the next one: opaque, bound to what was listed. */
  const page = <T>(items: readonly T[], input: Input, kind: string, least: number, most: number): { readonly items: readonly T[]; readonly next: Output } => {
    const token = textOf(input, 'NextToken', 1, 4096)
    const size = countOf(input, 'MaxResults', least, most) ?? most
    const text = token === undefined ? `${kind}:0` : Buffer.from(token, 'base64url').toString()
    const start = Number(new RegExp(`^${kind}:(\\d{1,9})$`).exec(text)?.[1] ?? Number.NaN)
    if (Number.isNaN(start)) throw new ServiceFailure('InvalidNextTokenException', 'The NextToken value is invalid.')
    const end = start + size
    return { items: items.slice(start, end), next: end < items.length ? { NextToken: Buffer.from(`${kind}:${end}`).toString('base64url') } : {} }
  }

  const filtered = (input: Input): HeldSecret[] => {
    const filters = listOf(input, 'Filters') ?? []
    if (filters.length > 10) throw constraint('filters', 'have length less than or equal to 10')
    const tests = filters.map((item) => {
      const key = textOf(item as Input, 'Key', 1, 64) ?? ''
      const values = (listOf(item as Input, 'Values') ?? []) as string[]
      if (values.length > 10) throw constraint('filters.values', 'have length less than or equal to 10')
      for (const value of values) if (!/^!?[a-zA-Z0-9 :_@/+=.\-!]{0,512}$/.test(value)) throw constraint('filters.values', 'satisfy regular expression pattern: ^\\!?[a-zA-Z0-9 :_@\\/\\+\\=\\.\\-\\!]*$')
      const fields: Record<string, (secret: HeldSecret) => readonly string[]> = {
        name: (secret) => [secret.name],
        description: (secret) => [secret.description ?? ''],
        'tag-key': (secret) => [...secret.tags.keys()],
        'tag-value': (secret) => [...secret.tags.values()],
        'primary-region': () => [region],
        'owning-service': () => [],
        all: (secret) => [secret.name, secret.description ?? '', ...secret.tags.keys(), ...secret.tags.values()],
      }
      const field = fields[key]
      if (field === undefined) throw constraint('filters.key', 'satisfy enum value set: [description, name, tag-key, tag-value, primary-region, owning-service, all]')
      const fold = (text: string): string => (key === 'description' || key === 'all' ? text.toLowerCase() : text)
      return (secret: HeldSecret): boolean => values.length === 0 || values.some((value) => {
        const negated = value.startsWith('!')
        return field(secret).some((text) => fold(text).startsWith(fold(negated ? value.slice(1) : value))) !== negated
      })
    })
    sweep()
    return [...secrets.values()].filter((secret) => tests.every((test) => test(secret)))
  }

  const operations: Record<string, (input: Input) => Output> = {
    CreateSecret: (input) => {
      const name = needed(textOf(input, 'Name', 1, 512), 'name')
      if (!/^[A-Za-z0-9/_+=.@-]+$/.test(name)) throw invalid('Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@')
      const token = textOf(input, 'ClientRequestToken', 32, 64) ?? uuid()
      const value = valueOf(input)
      const tags = tagsOf(input)
      const description = textOf(input, 'Description', 0, 2048)
      const kmsKeyId = textOf(input, 'KmsKeyId', 0, 2048)
      if (tags.size > quota.tags) throw constraint('tags', `have length less than or equal to ${quota.tags}`)
      const there = find({ SecretId: name })
      if (there?.deletionDate !== undefined) throw refused("You can't create this secret because a secret with this name is already scheduled for deletion.")
      if (there !== undefined) {
        const version = there.versions.get(token)
        if (version === undefined || value === undefined || !sameValue(version.value, value)) throw new ServiceFailure('ResourceExistsException', `The operation failed because the secret ${name} already exists.`)
        return { ARN: there.arn, Name: name, VersionId: token }
      }
      if (value !== undefined && disabledKeys.has(kmsKeyId ?? '')) throw new ServiceFailure('EncryptionFailure', 'Secrets Manager can\'t encrypt the protected secret text using the provided KMS key.')
      const arn = `arn:aws:secretsmanager:${region}:${account}:secret:${name}-${suffix()}`
      const secret: HeldSecret = { arn, name, created: now(), changed: now(), description, kmsKeyId, tags, versions: new Map(), replicas: [], deletionDate: undefined, nextRotation: undefined, rotationLambda: undefined }
      secrets.set(name, secret)
      return { ARN: arn, Name: name, ...(value !== undefined && { VersionId: addVersion(secret, token, value, ['AWSCURRENT']).id }) }
    },

    PutSecretValue: (input) => {
      const token = textOf(input, 'ClientRequestToken', 32, 64) ?? uuid()
      const labels = (listOf(input, 'VersionStages') ?? ['AWSCURRENT']) as string[]
      if (labels.length === 0 || labels.length > quota.labels) throw constraint('versionStages', `have length between 1 and ${quota.labels}`)
      for (const label of labels) if (label.length === 0 || label.length > 256) throw constraint('versionStages.member', 'have length between 1 and 256')
      const value = valueOf(input)
      const secret = live(input)
      if (value === undefined) throw invalid('You must provide either SecretString or SecretBinary.')
      const version = addVersion(secret, token, value, labels)
      return { ARN: secret.arn, Name: secret.name, VersionId: version.id, VersionStages: [...version.labels] }
    },

    UpdateSecret: (input) => {
      const token = textOf(input, 'ClientRequestToken', 32, 64) ?? uuid()
      const description = textOf(input, 'Description', 0, 2048)
      const kmsKeyId = textOf(input, 'KmsKeyId', 0, 2048)
      const value = valueOf(input)
      const secret = live(input)
      const version = value === undefined ? undefined : addVersion(secret, token, value, ['AWSCURRENT'])
      secret.description = description ?? secret.description
      secret.kmsKeyId = kmsKeyId ?? secret.kmsKeyId
      secret.changed = now()
      return { ARN: secret.arn, Name: secret.name, ...(version !== undefined && { VersionId: version.id }) }
    },

    UpdateSecretVersionStage: (input) => {
      const label = needed(textOf(input, 'VersionStage', 1, 256), 'versionStage')
      const moveTo = textOf(input, 'MoveToVersionId', 32, 64)
      const removeFrom = textOf(input, 'RemoveFromVersionId', 32, 64)
      const secret = live(input)
      const before = holder(secret, label)
      const target = moveTo === undefined ? undefined : secret.versions.get(moveTo)
      if (moveTo === undefined && removeFrom === undefined) throw invalid('You must provide MoveToVersionId or RemoveFromVersionId.')
      if (moveTo !== undefined && target === undefined) throw notFound(`the specified secret version: ${moveTo}.`)
      if (moveTo === undefined && label === 'AWSCURRENT') throw invalid("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
      if (removeFrom === undefined && before !== undefined && before !== target) throw invalid(`The parameter RemoveFromVersionId can't be empty. Staging label ${label} is currently attached to version ${before.id}, so you must explicitly reference that version in RemoveFromVersionId.`)
      if (removeFrom !== undefined && before?.id !== removeFrom) throw invalid(`The parameter RemoveFromVersionId is not valid. Staging label ${label} is ${before === undefined ? 'not attached to any version' : `currently attached to version ${before.id}`}.`)
      if (target === undefined) before?.labels.delete(label)
      else {
        if (before === undefined && labelCount(secret) >= quota.labels) throw new ServiceFailure('LimitExceededException', 'The request failed because it would exceed the staging label quota.')
        attach(secret, label, target)
      }
      secret.changed = now()
      return { ARN: secret.arn, Name: secret.name }
    },

    GetSecretValue: (input) => {
      const id = textOf(input, 'VersionId', 32, 64)
      const label = textOf(input, 'VersionStage', 1, 256) ?? (id === undefined ? 'AWSCURRENT' : undefined)
      const secret = live(input)
      const version = id === undefined ? holder(secret, label ?? 'AWSCURRENT') : secret.versions.get(id)
      if (version === undefined) throw notFound(`the specified secret value for ${id === undefined ? `staging label: ${label ?? ''}` : `VersionId: ${id}`}`)
      if (label !== undefined && !version.labels.has(label)) throw notFound(`the specified secret value: VersionStage ${label} is not attached to VersionId ${version.id}.`)
      return valueAnswer(secret, version)
    },

    BatchGetSecretValue: (input) => {
      const ids = listOf(input, 'SecretIdList') as readonly string[] | undefined
      if ((ids === undefined) === (listOf(input, 'Filters') === undefined)) throw invalid('You must provide either SecretIdList or Filters, but not both.')
      if (ids !== undefined && (ids.length === 0 || ids.length > quota.batch)) throw constraint('secretIdList', `have length between 1 and ${quota.batch}`)
      if (ids !== undefined && input['MaxResults'] !== undefined) throw invalid('MaxResults is only for Filters.')
      const pages = ids === undefined ? page(filtered(input).filter((secret) => secret.deletionDate === undefined), input, 'batch', 1, quota.batch) : { items: [], next: {} }
      const SecretValues: Output[] = []
      const Errors: Output[] = []
      for (const SecretId of ids ?? pages.items.map((secret) => secret.arn)) {
        try {
          SecretValues.push(operations['GetSecretValue']?.({ SecretId, VersionStage: 'AWSCURRENT' }) ?? {})
        } catch (error) {
          if (!(error instanceof ServiceFailure)) throw error
          Errors.push({ SecretId, ErrorCode: error.name, Message: error.message })
        }
      }
      return { SecretValues, Errors, ...pages.next }
    },

    DescribeSecret: (input) => {
      const secret = held(input)
      const replicas = secret.replicas.map((Region) => ({ Region, Status: 'InSync' }))
      return { ...facts(secret), VersionIdsToStages: stagesOf(secret), ...(replicas.length > 0 && { PrimaryRegion: region, ReplicationStatus: replicas }) }
    },

    ListSecrets: (input) => {
      const sorts: Record<string, (a: HeldSecret, b: HeldSecret) => number> = {
        name: (a, b) => (a.name < b.name ? -1 : 1),
        'created-date': (a, b) => a.created - b.created,
        'last-changed-date': (a, b) => a.changed - b.changed,
        'last-accessed-date': (a, b) => a.created - b.created,
      }
      const sort = sorts[textOf(input, 'SortBy', 1, 32) ?? 'created-date']
      const order = textOf(input, 'SortOrder', 1, 4) ?? 'desc'
      if (sort === undefined || !['asc', 'desc'].includes(order)) throw constraint('sortBy', 'satisfy enum value set')
      const found = filtered(input).filter((secret) => secret.deletionDate === undefined || input['IncludePlannedDeletion'] === true)
      const sorted = found.sort((a, b) => (order === 'asc' ? sort(a, b) : sort(b, a)))
      const { items, next } = page(sorted, input, 'secrets', 1, 100)
      return { SecretList: items.map((secret) => ({ ...facts(secret), SecretVersionsToStages: stagesOf(secret) })), ...next }
    },

    ListSecretVersionIds: (input) => {
      const secret = live(input)
      const versions = [...secret.versions.values()].filter((version) => version.labels.size > 0 || input['IncludeDeprecated'] === true)
      const { items, next } = page(versions, input, 'versions', 1, 100)
      return { ARN: secret.arn, Name: secret.name, Versions: items.map((version) => ({ VersionId: version.id, VersionStages: [...version.labels], CreatedDate: seconds(version.created), KmsKeyIds: [version.kmsKeyId] })), ...next }
    },

    DeleteSecret: (input) => {
      const force = input['ForceDeleteWithoutRecovery'] === true
      const days = countOf(input, 'RecoveryWindowInDays', -1_000_000, 1_000_000)
      if (force && days !== undefined) throw invalid("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
      if (days !== undefined && (days < 7 || days > 30)) throw invalid('The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).')
      const secret = find(input)
      if (secret === undefined) {
        if (!force) throw notFound()
        const name = String(input['SecretId'])
        return { ARN: `arn:aws:secretsmanager:${region}:${account}:secret:${name}-${suffix()}`, Name: name, DeletionDate: seconds(now()) }
      }
      if (force) {
        secrets.delete(secret.name)
        return { ARN: secret.arn, Name: secret.name, DeletionDate: seconds(now()) }
      }
      if (secret.deletionDate !== undefined) throw refused("You can't perform this operation on the secret because it was already scheduled for deletion.")
      secret.deletionDate = now() + (days ?? 30) * dayMs
      return { ARN: secret.arn, Name: secret.name, DeletionDate: seconds(secret.deletionDate) }
    },

    RestoreSecret: (input) => {
      const secret = held(input)
      secret.deletionDate = undefined
      return { ARN: secret.arn, Name: secret.name }
    },

    TagResource: (input) => {
      const tags = tagsOf(input)
      const secret = live(input)
      if (new Set([...secret.tags.keys(), ...tags.keys()]).size > quota.tags) throw invalid(`You can have at most ${quota.tags} tags on a secret.`)
      for (const [key, value] of tags) secret.tags.set(key, value)
      return {}
    },

    UntagResource: (input) => {
      const keys = needed(listOf(input, 'TagKeys'), 'tagKeys') as readonly string[]
      const secret = live(input)
      for (const key of keys) secret.tags.delete(key)
      return {}
    },

    ReplicateSecretToRegions: (input) => {
      const regions = needed(listOf(input, 'AddReplicaRegions'), 'addReplicaRegions').map((item) => (item as { Region: string }).Region)
      const secret = live(input)
      if (regions.includes(region)) throw invalid('Invalid replica region.')
      secret.replicas.push(...regions.filter((name) => !secret.replicas.includes(name)))
      return { ARN: secret.arn, ReplicationStatus: secret.replicas.map((Region) => ({ Region, Status: 'InProgress' })) }
    },

    // It reserves a version and calls the function; that the function is called is the test's part.
    RotateSecret: (input) => {
      const token = textOf(input, 'ClientRequestToken', 32, 64) ?? uuid()
      const lambda = textOf(input, 'RotationLambdaARN', 0, 2048)
      const rules = input['RotationRules'] as { readonly AutomaticallyAfterDays?: number } | undefined
      const secret = live(input)
      secret.rotationLambda = lambda ?? secret.rotationLambda
      if (secret.rotationLambda === undefined) throw refused('No Lambda rotation function ARN is associated with this secret.')
      secret.nextRotation = now() + (rules?.AutomaticallyAfterDays ?? 30) * dayMs
      if (input['RotateImmediately'] === false) return { ARN: secret.arn, Name: secret.name }
      const pending = holder(secret, 'AWSPENDING')
      if (pending !== undefined && pending.id !== token && !pending.labels.has('AWSCURRENT')) throw refused("A previous rotation isn't complete. That rotation will be reattempted.")
      if (!secret.versions.has(token)) secret.versions.set(token, { id: token, value: undefined, labels: new Set(), created: now(), kmsKeyId: secret.kmsKeyId ?? 'DefaultEncryptionKey' })
      attach(secret, 'AWSPENDING', secret.versions.get(token) as HeldVersion)
      return { ARN: secret.arn, Name: secret.name, VersionId: token }
    },

    CancelRotateSecret: (input) => {
      const secret = live(input)
      secret.nextRotation = undefined
      return { ARN: secret.arn, Name: secret.name }
    },
  }
  return { secrets, operations }
}

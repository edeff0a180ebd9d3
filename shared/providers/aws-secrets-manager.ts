// AWS Secrets Manager, through AWS's own SDK, which signs, retries and follows nothing. The version id of what we write is the operation id, and the
// service's labels are the stages: every condition is a label move that names its present holder. Every write looks first, because AWS answers a
// repeated token with an equal value like a first one, although another version may be current by then.
import type { DescribeSecretResponse, SecretListEntry, SecretsManagerServiceException, Tag } from '@aws-sdk/client-secrets-manager'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { awsCredentials, awsIdentitySettings, awsRegion, type AwsIdentitySettings } from '../credentials/aws.ts'
import { asLatchkeyError, isCode, LatchkeyError, type ErrorCode } from '../core/errors.ts'
import { createdName, hostedName, verbatimCodec } from '../core/names.ts'
import { defineProvider, type Finding, type OpenedProvider, type SecretProvider, type WriteRequest } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName, type SecretRecord, type Stage, type Version } from '../core/secret.ts'

interface AwsSecretsManagerSettings extends AwsIdentitySettings {
  readonly kms_key_id?: string
  readonly replica_regions?: readonly string[]
  readonly recovery_window_days: number
  readonly aws_secretsmanager_endpoint?: string
  readonly aws_secretsmanager_plain_http: boolean
  readonly aws_use_fips_endpoint: boolean
  readonly aws_use_dualstack_endpoint: boolean
  readonly aws_max_attempts: number
}

const maxBytes = 65_536
const pairs = 50
const keyBytes = 127
const valueBytes = 255
const batchSize = 20
const requestTimeoutMs = 3000
const singleReadsAtOnce = 8
const sharedLabel = 'latchkey-next'
const claimLabel = (operation: string): string => `latchkey-claim-${operation}`
const pendingLabels: readonly string[] = [sharedLabel, 'AWSPENDING']
const codec = verbatimCodec(/^[A-Za-z0-9/_+=.@-]{1,512}$/, 512, '1 to 512 of A-Z a-z 0-9 / _ + = . @ -')

/** What AWS calls a failure, and what it is here. The name decides, never the status: nearly every failure of this service is a 400. */
const codeOf: Readonly<Record<string, ErrorCode>> = {
  ResourceNotFoundException: 'not_found',
  ResourceExistsException: 'already_exists',
  InvalidRequestException: 'provider_denied', // or a scheduled deletion: `toFailure`
  InvalidParameterException: 'invalid_request', // or a lost label move: `toFailure`
  ValidationException: 'invalid_request',
  InvalidNextTokenException: 'invalid_request',
  LimitExceededException: 'provider_quota',
  DecryptionFailure: 'provider_denied',
  EncryptionFailure: 'provider_denied',
  PreconditionNotMetException: 'provider_denied',
  AccessDeniedException: 'provider_denied',
  AccessDenied: 'provider_denied',
  UnrecognizedClientException: 'provider_denied',
  InvalidClientTokenId: 'provider_denied',
  ExpiredTokenException: 'provider_denied',
  ExpiredToken: 'provider_denied',
  RequestExpired: 'provider_denied',
  InvalidSignatureException: 'provider_denied',
  SignatureDoesNotMatch: 'provider_denied',
  IncompleteSignature: 'provider_denied',
  IncompleteSignatureException: 'provider_denied',
  MissingAuthenticationToken: 'provider_denied',
  MissingAuthenticationTokenException: 'provider_denied',
  OptInRequired: 'provider_denied',
  CredentialsProviderError: 'misconfigured',
  ThrottlingException: 'provider_throttled',
  Throttling: 'provider_throttled',
  TooManyRequestsException: 'provider_throttled',
  RequestLimitExceeded: 'provider_throttled',
}

const says: Partial<Record<ErrorCode, (action: string, name: string) => string>> = {
  not_found: (_, name) => `There is no such secret, or no such version of it: ${name}.`,
  already_exists: (_, name) => `There is a secret of that name already: ${name}.`,
  conflict: (_, name) => `${name} has another current version than the one named, or another operation on it is in progress.`,
  soft_deleted: (_, name) => `${name} is deleted and can still be recovered.`,
  invalid_request: (action, name) => `AWS Secrets Manager does not accept what ${action} sent for ${name}.`,
  provider_denied: (action) => `AWS refused secretsmanager:${action}. Check Latchkey's credentials, its permission for this action and, with a customer managed key, kms:Decrypt and kms:GenerateDataKey.`,
  provider_throttled: (action) => `AWS throttles secretsmanager:${action}.`,
  provider_quota: (action) => `A quota of AWS Secrets Manager (secrets, versions or labels) is used up; secretsmanager:${action} was refused.`,
  misconfigured: () => 'No AWS credentials were found. Set aws_access_key_id and aws_secret_access_key, or run with an identity that the default credential chain finds.',
}

/** Keeps of what the SDK threw its name, status and request id; the rest may hold anything. */
const toFailure = (error: unknown, action: string, name?: SecretName): LatchkeyError => {
  if (error instanceof LatchkeyError) return error.with({})
  const thrown: Partial<SecretsManagerServiceException> = error instanceof Error ? error : {}
  const code = refined(thrown.name ?? '', thrown.message ?? '')
  const { httpStatusCode: status, requestId } = thrown.$metadata ?? {}
  const seconds = Number(thrown.$response?.headers?.['retry-after'])
  const vendor = { ...(/^\w{1,64}$/.test(thrown.name ?? '') && { name: thrown.name ?? '' }), ...(status !== undefined && { status }), ...(/^[\w-]{1,128}$/.test(requestId ?? '') && { requestId: requestId ?? '' }) }
  return new LatchkeyError(code, (says[code] ?? (() => `AWS Secrets Manager could not be reached, or did not answer ${action} sensibly.`))(action, name?.text ?? 'this store'), {
    vendor,
    ...(code === 'provider_denied' && { detail: `secretsmanager:${action} on ${name === undefined ? '*' : codec.encode(name)}` }),
    ...(code === 'provider_throttled' && { retryAfter: seconds >= 1 && seconds <= 3600 ? Math.ceil(seconds) : 1 }),
    ...(thrown.name === 'InvalidNextTokenException' && { param: 'cursor' }),
  })
}

/** Two of the service's names mean two things each; only the text tells which. */
const refined = (name: string, message: string): ErrorCode => {
  if (name === 'InvalidRequestException' && /delet/i.test(message)) return 'soft_deleted'
  if (name === 'InvalidParameterException' && /RemoveFromVersionId|staging label/i.test(message)) return 'conflict'
  return Object.hasOwn(codeOf, name) ? (codeOf[name] ?? 'provider_unavailable') : 'provider_unavailable'
}

const nonsense = (action: string): LatchkeyError => new LatchkeyError('provider_unavailable', `AWS Secrets Manager did not answer ${action} sensibly.`)
const outOfTime = (sent: boolean): LatchkeyError =>
  new LatchkeyError('deadline_exceeded', sent ? 'AWS Secrets Manager did not answer within the time of this call.' : 'The time for this call had run out before it was made.', { applied: sent ? 'unknown' : 'no' })
const absent = (name: SecretName, what = 'secret'): LatchkeyError => new LatchkeyError('not_found', `There is no such ${what}: ${name.text}.`)
const conflict = (name: SecretName): LatchkeyError => new LatchkeyError('conflict', `${name.text} has another current version than the one named, or another operation on it is in progress.`, { hint: 'Read it again and decide again.' })
const softDeleted = (name: SecretName, until: Date): LatchkeyError => new LatchkeyError('soft_deleted', `${name.text} is deleted and can be recovered until ${until.toISOString()}.`, { recoverableUntil: until })

/** Labels to stages: a label of a claim on a version that is or was current is left over, not pending. */
const stagesOf = (labels: readonly string[]): Stage[] => {
  if (labels.includes('AWSCURRENT')) return ['current']
  if (labels.includes('AWSPREVIOUS')) return ['previous']
  return labels.some((label) => pendingLabels.includes(label)) ? ['pending'] : []
}

const versionOf = (id: string, labels: readonly string[], created?: Date): Version => {
  const epoch = /^(\d{1,15})-[a-z]+-[0-9a-f]+$/.exec(id)?.[1]
  return { id, stages: stagesOf(labels), enabled: true, operation: id, ...(epoch !== undefined && { epoch: Number(epoch) }), ...(created !== undefined && { created }) }
}

/** One secret as DescribeSecret or ListSecrets shows it. */
interface Seen {
  readonly native: string
  readonly versions: ReadonlyMap<string, readonly string[]>
  readonly labels: Readonly<Record<string, string>>
  readonly answer: DescribeSecretResponse | SecretListEntry
}

const seenOf = (answer: DescribeSecretResponse | SecretListEntry, stages: Record<string, string[]> | undefined, action: string): Seen => {
  if (typeof answer.Name !== 'string') throw nonsense(action)
  return { native: answer.Name, versions: new Map(Object.entries(stages ?? {})), labels: Object.fromEntries((answer.Tags ?? []).map((tag) => [tag.Key ?? '', tag.Value ?? ''])), answer }
}

const holderOf = (seen: Seen, label: string): string | undefined => [...seen.versions].find(([, labels]) => labels.includes(label))?.[0]
const tagsOf = (labels: Readonly<Record<string, string>>): Tag[] => Object.entries(labels).map(([Key, Value]) => ({ Key, Value }))

const factsOf = (name: SecretName, seen: Seen, versions: readonly Version[] | undefined): SecretFacts => {
  const { Description: description, CreatedDate: created, NextRotationDate: nextRotation, DeletedDate: recoverableUntil } = seen.answer
  const currentId = holderOf(seen, 'AWSCURRENT')
  const current = currentId === undefined ? undefined : (versions?.find((version) => version.id === currentId) ?? versionOf(currentId, ['AWSCURRENT']))
  return {
    name,
    nativeName: seen.native,
    labels: seen.labels,
    ...(versions !== undefined && { versions }),
    ...(description !== undefined && description !== '' && { description }),
    ...(created !== undefined && { created }),
    ...(nextRotation !== undefined && { nextRotation }),
    ...(recoverableUntil !== undefined ? { recoverableUntil } : current !== undefined && { current }),
  }
}

const listedName = (native: string): SecretName | undefined => {
  for (const place of [createdName, hostedName]) {
    try {
      return place(native)
    } catch {
      continue
    }
  }
  return undefined
}

const bodyOf = (value: SecretValue): { SecretString: string } | { SecretBinary: Uint8Array } => (value.isText ? { SecretString: value.reveal() } : { SecretBinary: value.bytes() })

const valueOf = (answer: { SecretString?: string | undefined; SecretBinary?: Uint8Array | undefined; VersionId?: string | undefined }, action: string): SecretValue => {
  if (typeof answer.VersionId !== 'string') throw nonsense(action)
  if (typeof answer.SecretString === 'string') return SecretValue.of(answer.SecretString)
  if (answer.SecretBinary instanceof Uint8Array) return SecretValue.ofBytes(answer.SecretBinary)
  throw nonsense(action)
}

const refuseLabels = (labels: Readonly<Record<string, string | null>>): void => {
  const refuse = (message: string): never => {
    throw new LatchkeyError('invalid_request', `tags: ${message}`, { param: 'tags', issues: [{ path: 'tags', message }] })
  }
  if (Object.keys(labels).length > pairs) refuse(`there are ${Object.keys(labels).length}; AWS Secrets Manager holds ${pairs}`)
  for (const [key, value] of Object.entries(labels)) {
    if (key === '' || key.length > keyBytes || (value ?? '').length > valueBytes) refuse(`a name has 1 to ${keyBytes} characters and a value at most ${valueBytes} on AWS Secrets Manager`)
    if (/^aws:/i.test(key)) refuse('names that begin with "aws:" belong to AWS')
    if (![key, value ?? ''].every((text) => /^[\p{L}\p{N}\p{Zs}+\-=._:/@]*$/u.test(text))) refuse('AWS Secrets Manager allows letters, digits, spaces and + - = . _ : / @')
  }
}

/** What travels with one request through the SDK to our handler. */
interface Patience {
  readonly abortSignal: AbortSignal
  readonly deadline: number
  sent: boolean
}

/** No attempt begins after the deadline, none waits beyond it, and what is not JSON is not an answer. */
const guard = (handler: NodeHttpHandler, io: ProviderIo): NodeHttpHandler => {
  const handle = handler.handle.bind(handler)
  handler.handle = async (request, options) => {
    const patience = options as Patience
    const left = patience.deadline - io.clock.now()
    if (left <= 0) throw outOfTime(patience.sent)
    patience.abortSignal.throwIfAborted()
    patience.sent = true
    const answer = await handle(request, { abortSignal: patience.abortSignal, requestTimeout: Math.min(requestTimeoutMs, left) })
    const type = Object.entries(answer.response.headers).find(([key]) => key.toLowerCase() === 'content-type')?.[1] ?? ''
    if (answer.response.statusCode < 500 && !type.includes('json')) {
      answer.response.body?.destroy?.()
      throw nonsense('the request')
    }
    return answer
  }
  return handler
}

const connect = async (settings: AwsSecretsManagerSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const region = awsRegion(settings)
  const endpoint = settings.aws_secretsmanager_endpoint
  if (endpoint?.startsWith('http://') === true && !settings.aws_secretsmanager_plain_http && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(endpoint).hostname)) {
    throw new LatchkeyError('misconfigured', 'aws_secretsmanager_endpoint must begin with https:// unless it is on this machine; set aws_secretsmanager_plain_http to true to send secrets unencrypted.')
  }
  const credentials = await awsCredentials(settings, io.env)
  const [{ SecretsManager }, { NodeHttpHandler }] = await Promise.all([import('@aws-sdk/client-secrets-manager'), import('@smithy/node-http-handler')])
  const api = new SecretsManager({
    region,
    credentials,
    ...(endpoint !== undefined && { endpoint }),
    useFipsEndpoint: settings.aws_use_fips_endpoint,
    useDualstackEndpoint: settings.aws_use_dualstack_endpoint,
    maxAttempts: settings.aws_max_attempts,
    retryMode: 'standard',
    requestHandler: guard(new NodeHttpHandler({ connectionTimeout: 2000, requestTimeout: requestTimeoutMs, throwOnRequestTimeout: true }), io),
  })
  const strategy = await api.config.retryStrategy()
  if ('refreshRetryTokenForRetry' in strategy) {
    const again = strategy.refreshRetryTokenForRetry.bind(strategy)
    // The SDK counts a used-up quota among the throttled and would try again.
    strategy.refreshRetryTokenForRetry = (token, why) => (why.error instanceof Error && why.error.name === 'LimitExceededException' ? Promise.reject(why.error) : again(token, why))
  }

  /** One call of the API: under the caller's signal and deadline, with every failure turned into ours. */
  const ask = async <Answer>(action: string, name: SecretName | undefined, call: Call, send: (patience: Patience) => Promise<Answer>): Promise<Answer> => {
    call.signal.throwIfAborted()
    const left = call.deadline - io.clock.now()
    if (left <= 0) throw outOfTime(false)
    const own = new AbortController()
    const done = new AbortController()
    const patience: Patience = { abortSignal: own.signal, deadline: call.deadline, sent: false }
    const ended = new Promise<never>((_, reject) => own.signal.addEventListener('abort', () => reject(own.signal.reason), { once: true }))
    call.signal.addEventListener('abort', () => own.abort(call.signal.reason), { once: true, signal: done.signal })
    io.clock.sleep(left, done.signal).then(() => own.abort(outOfTime(patience.sent)), () => undefined)
    try {
      return await Promise.race([send(patience), ended])
    } catch (error) {
      throw own.signal.aborted ? own.signal.reason : toFailure(error, action, name)
    } finally {
      done.abort()
    }
  }

  const look = async (name: SecretName, call: Call): Promise<Seen | undefined> => {
    const SecretId = codec.encode(name)
    try {
      const answer = await ask('DescribeSecret', name, call, (patience) => api.describeSecret({ SecretId }, patience))
      return seenOf(answer, answer.VersionIdsToStages, 'DescribeSecret')
    } catch (error) {
      if (isCode(error, 'not_found')) return undefined
      throw error
    }
  }

  const found = async (name: SecretName, call: Call): Promise<Seen> => {
    const seen = await look(name, call)
    if (seen === undefined) throw absent(name)
    return seen
  }

  const live = async (name: SecretName, call: Call): Promise<Seen> => {
    const seen = await found(name, call)
    if (seen.answer.DeletedDate !== undefined) throw softDeleted(name, seen.answer.DeletedDate)
    return seen
  }

  /** Oldest first. The service is asked for dates only where epochs do not settle the order: that call has a small quota. */
  const versionsOf = async (name: SecretName, seen: Seen, call: Call): Promise<readonly Version[]> => {
    const versions = [...seen.versions].map(([id, labels]) => versionOf(id, labels))
    const settled = new Set(versions.map((version) => version.epoch)).size === versions.length && versions.every((version) => version.epoch !== undefined && !version.stages.includes('pending'))
    const created = versions.length < 2 || settled || seen.answer.DeletedDate !== undefined ? new Map<string, Date>() : await datesOf(name, call)
    const rank = ({ stages }: Version): number => ['previous', 'current', 'pending'].indexOf(stages[0] ?? 'previous')
    return versions
      .map(({ id }) => versionOf(id, seen.versions.get(id) ?? [], created.get(id)))
      .sort((a, b) => (a.created?.getTime() ?? 0) - (b.created?.getTime() ?? 0) || (a.epoch ?? 0) - (b.epoch ?? 0) || rank(a) - rank(b) || (a.id < b.id ? -1 : 1))
  }

  const datesOf = async (name: SecretName, call: Call): Promise<ReadonlyMap<string, Date>> => {
    const SecretId = codec.encode(name)
    const dates = new Map<string, Date>()
    let NextToken: string | undefined
    try {
      do {
        const page = await ask('ListSecretVersionIds', name, call, (patience) => api.listSecretVersionIds({ SecretId, MaxResults: 100, ...(NextToken !== undefined && { NextToken }) }, patience))
        for (const { VersionId, CreatedDate } of page.Versions ?? []) if (VersionId !== undefined && CreatedDate !== undefined) dates.set(VersionId, CreatedDate)
        NextToken = page.NextToken
      } while (NextToken !== undefined)
    } catch (error) {
      if (!isCode(error, 'provider_denied')) throw error
    }
    return dates
  }

  const readAt = async (name: SecretName, at: { readonly version?: string; readonly label?: string }, call: Call): Promise<SecretRecord> => {
    const SecretId = codec.encode(name)
    const input = { SecretId, ...(at.version !== undefined && { VersionId: at.version }), ...(at.label !== undefined && { VersionStage: at.label }) }
    const answer = await ask('GetSecretValue', name, call, (patience) => api.getSecretValue(input, patience)).catch((error: unknown) => {
      throw isCode(error, 'soft_deleted') ? absent(name) : error
    })
    const value = valueOf(answer, 'GetSecretValue')
    return { name, value, version: versionOf(answer.VersionId ?? '', answer.VersionStages ?? [], answer.CreatedDate) }
  }

  const read: SecretProvider['read'] = async (name, { version, stage }, call) => {
    if (version !== undefined && !/^[\x21-\x7e]{32,64}$/.test(version)) throw absent(name, 'version of the secret')
    if (stage !== 'pending') return readAt(name, { ...(version !== undefined && { version }), ...((version === undefined || stage !== undefined) && { label: stage === 'previous' ? 'AWSPREVIOUS' : 'AWSCURRENT' }) }, call)
    for (const label of pendingLabels) {
      const record = await readAt(name, { label, ...(version !== undefined && { version }) }, call).catch((error: unknown) => {
        if (!isCode(error, 'not_found')) throw error
      })
      if (record?.version?.stages.includes('pending') === true) return record
    }
    throw absent(name, 'pending version of the secret')
  }

  const readEach = async (names: readonly SecretName[], call: Call): Promise<readonly (SecretRecord | LatchkeyError)[]> => {
    const answers: (SecretRecord | LatchkeyError)[] = []
    const rest = names.entries()
    const work = async (): Promise<void> => {
      for (const [index, name] of rest) {
        answers[index] = await read(name, {}, call).catch((error: unknown) => {
          call.signal.throwIfAborted()
          return asLatchkeyError(error)
        })
      }
    }
    await Promise.all(Array.from({ length: Math.min(singleReadsAtOnce, names.length) }, work))
    return answers
  }

  /** One batch of at most twenty, by native name. What the answer does not settle (no word, or not the current version) is left out. */
  const readBatch = async (SecretIdList: string[], call: Call): Promise<ReadonlyMap<string, (name: SecretName) => SecretRecord | LatchkeyError>> => {
    const settled = new Map<string, (name: SecretName) => SecretRecord | LatchkeyError>()
    let NextToken: string | undefined
    do {
      const page = await ask('BatchGetSecretValue', undefined, call, (patience) => api.batchGetSecretValue({ SecretIdList, ...(NextToken !== undefined && { NextToken }) }, patience))
      if (page.SecretValues === undefined && page.Errors === undefined) throw nonsense('BatchGetSecretValue')
      for (const entry of page.SecretValues ?? []) {
        if (entry.VersionStages?.includes('AWSCURRENT') !== true) continue
        const value = valueOf(entry, 'BatchGetSecretValue')
        for (const id of [entry.Name, entry.ARN]) if (id !== undefined) settled.set(id, (name) => ({ name, value, version: versionOf(entry.VersionId ?? '', entry.VersionStages ?? [], entry.CreatedDate) }))
      }
      for (const { SecretId, ErrorCode, Message } of page.Errors ?? []) {
        const failure = Object.assign(new Error(Message ?? ''), { name: ErrorCode ?? '' })
        if (SecretId !== undefined && codeOf[failure.name] !== 'provider_throttled') {
          settled.set(SecretId, (name) => {
            const error = toFailure(failure, 'GetSecretValue', name)
            return isCode(error, 'soft_deleted') ? absent(name) : error
          })
        }
      }
      NextToken = page.NextToken
    } while (NextToken !== undefined)
    return settled
  }

  const readMany: SecretProvider['readMany'] = async (names, call) => {
    const settled = new Map<string, (name: SecretName) => SecretRecord | LatchkeyError>()
    const ids = new Set<string>()
    for (const name of names) {
      try {
        ids.add(codec.encode(name))
      } catch (error) {
        settled.set(name.text, () => asLatchkeyError(error))
      }
    }
    const batches = Array.from({ length: Math.ceil(ids.size / batchSize) }, (_, index) => [...ids].slice(index * batchSize, (index + 1) * batchSize))
    await Promise.all(
      batches.map(async (batch) => {
        try {
          for (const [id, answer] of await readBatch(batch, call)) settled.set(id, answer)
        } catch (error) {
          call.signal.throwIfAborted()
          if (!isCode(error, 'provider_denied', 'provider_throttled')) for (const id of batch) settled.set(id, () => asLatchkeyError(error))
        }
      }),
    )
    const left = names.filter((name) => !settled.has(name.text))
    const single = await readEach(left, call)
    return names.map((name) => settled.get(name.text)?.(name) ?? single[left.indexOf(name)] ?? absent(name))
  }

  const list: SecretProvider['list'] = async ({ prefix, label, cursor, limit }, call) => {
    if (!/^[A-Za-z0-9/_+=.@-]{0,512}$/.test(prefix)) return { items: [] }
    // The service filters by prefixes, and a name and a value need not be of one tag: what it finds is looked at again.
    const filterable = (text: string): boolean => /^[A-Za-z0-9 :_@/+=.-]{1,512}$/.test(text)
    const Filters: { Key: 'name' | 'tag-key' | 'tag-value'; Values: string[] }[] = []
    if (prefix !== '') Filters.push({ Key: 'name', Values: [prefix] })
    if (label !== undefined && filterable(label[0])) Filters.push({ Key: 'tag-key', Values: [label[0]] })
    if (label !== undefined && filterable(label[1])) Filters.push({ Key: 'tag-value', Values: [label[1]] })
    const input = { Filters, MaxResults: Math.min(Math.max(limit, 1), 100), SortBy: 'name', SortOrder: 'asc', ...(cursor !== undefined && { NextToken: cursor }) } as const
    const page = await ask('ListSecrets', undefined, call, (patience) => api.listSecrets(input, patience))
    if (page.SecretList === undefined) throw nonsense('ListSecrets')
    const items = page.SecretList.flatMap((entry) => {
      const seen = seenOf(entry, entry.SecretVersionsToStages, 'ListSecrets')
      const name = listedName(seen.native)
      const wanted = name !== undefined && entry.DeletedDate === undefined && seen.native.startsWith(prefix) && (label === undefined || seen.labels[label[0]] === label[1])
      return wanted ? [factsOf(name, seen, undefined)] : []
    })
    return { items, ...(page.NextToken !== undefined && { cursor: page.NextToken }) }
  }

  /** Moves or takes off one label, if `from` holds it. A lost answer makes the SDK ask twice, so a refusal is a conflict only if the label is not where it should be. */
  const moveLabel = async (name: SecretName, VersionStage: string, { to, from }: { readonly to?: string | undefined; readonly from?: string | undefined }, call: Call): Promise<void> => {
    const input = { SecretId: codec.encode(name), VersionStage, ...(to !== undefined && { MoveToVersionId: to }), ...(from !== undefined && { RemoveFromVersionId: from }) }
    await ask('UpdateSecretVersionStage', name, call, (patience) => api.updateSecretVersionStage(input, patience)).catch(async (error: unknown) => {
      if (!isCode(error, 'conflict', 'invalid_request') || holderOf(await live(name, call), VersionStage) !== to) throw isCode(error, 'invalid_request') ? conflict(name) : error
    })
  }

  const dropLabels = async (name: SecretName, id: string, labels: readonly string[], call: Call): Promise<void> => {
    for (const label of labels) await moveLabel(name, label, { from: id }, call)
  }

  /** A token that is taken is our own: another instance of this operation was faster. Unless that version was ended since. */
  const put = async ({ name, value, operation }: WriteRequest, label: string, call: Call): Promise<void> => {
    const input = { SecretId: codec.encode(name), ClientRequestToken: operation, VersionStages: [label], ...bodyOf(value) }
    const answer = await ask('PutSecretValue', name, call, (patience) => api.putSecretValue(input, patience)).catch(async (error: unknown) => {
      if (!isCode(error, 'already_exists')) throw error
      if (!(await live(name, call)).versions.has(operation)) throw conflict(name)
      return { VersionId: operation }
    })
    if (typeof answer.VersionId !== 'string') throw nonsense('PutSecretValue')
  }

  const tag = async (name: SecretName, seen: Seen | undefined, labels: Readonly<Record<string, string | null>>, description: string | undefined, call: Call): Promise<void> => {
    const SecretId = codec.encode(name)
    const changed = Object.entries(labels).filter((pair): pair is [string, string] => pair[1] !== null && seen?.labels[pair[0]] !== pair[1])
    const gone = Object.keys(labels).filter((key) => labels[key] === null)
    if (changed.length > 0) await ask('TagResource', name, call, (patience) => api.tagResource({ SecretId, Tags: tagsOf(Object.fromEntries(changed)) }, patience))
    if (gone.length > 0) await ask('UntagResource', name, call, (patience) => api.untagResource({ SecretId, TagKeys: gone }, patience))
    if (description !== undefined && description !== seen?.answer.Description) await ask('UpdateSecret', name, call, (patience) => api.updateSecret({ SecretId, Description: description }, patience))
  }

  const create = async ({ name, value, operation, labels = {}, description }: WriteRequest, call: Call): Promise<Version> => {
    const input = {
      Name: codec.encode(name),
      ClientRequestToken: operation,
      ...bodyOf(value),
      ...(Object.keys(labels).length > 0 && { Tags: tagsOf(labels) }),
      ...(description !== undefined && { Description: description }),
      ...(settings.kms_key_id !== undefined && { KmsKeyId: settings.kms_key_id }),
    }
    const { VersionId } = await ask('CreateSecret', name, call, (patience) => api.createSecret(input, patience))
    if (typeof VersionId !== 'string') throw nonsense('CreateSecret')
    const regions = settings.replica_regions ?? []
    if (regions.length > 0) {
      const replicas = { SecretId: input.Name, AddReplicaRegions: regions.map((Region) => ({ Region })) }
      // Best effort: the secret is stored whether or not its replicas are.
      await ask('ReplicateSecretToRegions', name, call, (patience) => api.replicateSecretToRegions(replicas, patience)).catch(() => undefined)
    }
    return versionOf(VersionId, ['AWSCURRENT'])
  }

  /** The claim: the value under a label of its own, then the one label that a secret has for this, taken from nobody whose operation is still open. */
  const claim = async (request: WriteRequest, seen: Seen, call: Call): Promise<void> => {
    const { name, operation } = request
    const open = pendingLabels.map((label) => holderOf(seen, label)).find((id) => id !== undefined && id !== operation && stagesOf(seen.versions.get(id) ?? []).includes('pending'))
    if (open !== undefined) throw conflict(name)
    const own = claimLabel(operation)
    if (!seen.versions.has(operation)) await put(request, own, call)
    const leftOver = holderOf(seen, sharedLabel)
    await moveLabel(name, sharedLabel, { to: operation, from: leftOver }, call).catch(async (error: unknown) => {
      if (isCode(error, 'conflict')) await moveLabel(name, own, { from: operation }, call).catch(() => undefined)
      throw error
    })
  }

  /** The condition: the value under a label of its own, then the label move that fails if another version is current. */
  const replace = async (request: WriteRequest, seen: Seen, from: string, call: Call): Promise<void> => {
    const { name, operation } = request
    const own = claimLabel(operation)
    const end = (): Promise<void> => moveLabel(name, own, { from: operation }, call).catch(() => undefined)
    if (!seen.versions.has(operation)) await put(request, own, call)
    await moveLabel(name, 'AWSCURRENT', { to: operation, from }, call).catch(async (error: unknown) => {
      if (isCode(error, 'conflict')) await end()
      throw error
    })
    await end()
    await tag(name, seen, request.labels ?? {}, request.description, call)
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
    const { name, value, expect, operation, stage, labels = {} } = request
    if (value.byteLength > maxBytes) throw new LatchkeyError('too_large', `value: is ${value.byteLength} bytes long; AWS Secrets Manager holds at most ${maxBytes}.`, { param: 'value' })
    if (value.byteLength === 0) throw new LatchkeyError('invalid_request', 'value: must not be empty; AWS Secrets Manager cannot hold an empty value.', { param: 'value' })
    refuseLabels(labels)
    let seen = await look(name, call)
    if (seen === undefined && stage === 'current' && typeof expect === 'string') {
      try {
        return { outcome: 'written', version: await create(request, call) }
      } catch (error) {
        if (!isCode(error, 'already_exists', 'soft_deleted')) throw error
        seen = await found(name, call)
      }
    }
    if (seen === undefined) throw absent(name)
    if (seen.answer.DeletedDate !== undefined) throw softDeleted(name, seen.answer.DeletedDate)
    const mine = seen.versions.get(operation)
    const unfinished = mine?.includes(claimLabel(operation)) === true && !mine.includes('AWSCURRENT') && !mine.includes('AWSPREVIOUS') && !(stage === 'pending' && mine.includes(sharedLabel))
    if (mine !== undefined && !unfinished) return { outcome: 'same_operation', version: versionOf(operation, mine) }
    if (expect === 'absent') throw new LatchkeyError('already_exists', `There is a secret of that name already: ${name.text}.`)
    const current = holderOf(seen, 'AWSCURRENT')
    if (typeof expect === 'object' && (current === undefined || current !== expect.version)) throw conflict(name)
    if (stage === 'pending') await claim(request, seen, call)
    else if (typeof expect === 'object') await replace(request, seen, expect.version, call)
    else await overwrite(request, seen, call)
    return { outcome: mine === undefined ? 'written' : 'same_operation', version: versionOf(operation, [stage === 'pending' ? sharedLabel : 'AWSCURRENT']) }
  }

  const remove: SecretProvider['remove'] = async (name, { expect, final }, call) => {
    const seen = await found(name, call)
    if (seen.answer.DeletedDate !== undefined && !final) throw absent(name)
    if (typeof expect === 'object' && holderOf(seen, 'AWSCURRENT') !== expect.version) throw conflict(name)
    const input = { SecretId: codec.encode(name), ...(final ? { ForceDeleteWithoutRecovery: true } : { RecoveryWindowInDays: settings.recovery_window_days }) }
    try {
      const { DeletionDate } = await ask('DeleteSecret', name, call, (patience) => api.deleteSecret(input, patience))
      if (!(DeletionDate instanceof Date)) throw nonsense('DeleteSecret')
      return final ? {} : { recoverableUntil: DeletionDate }
    } catch (error) {
      // It was there a moment ago: somebody, perhaps our own unanswered attempt, has deleted it since.
      if (!isCode(error, 'not_found', 'soft_deleted')) throw error
      const until = (await look(name, call))?.answer.DeletedDate
      return until === undefined ? {} : { recoverableUntil: until }
    }
  }

  /** Every probe names a secret that does not exist: whoever may is told so, and nothing is changed. */
  const check: SecretProvider['check'] = async (depth, call) => {
    const SecretId = `latchkey-check-${Buffer.from(io.random.bytes(8)).toString('hex')}`
    const name = createdName(SecretId)
    const probes: [action: string, send: (patience: Patience) => Promise<unknown>][] = [['GetSecretValue', (patience) => api.getSecretValue({ SecretId, VersionStage: 'AWSCURRENT' }, patience)]]
    if (depth === 'write') {
      probes.push(['DescribeSecret', (patience) => api.describeSecret({ SecretId }, patience)])
      probes.push(['PutSecretValue', (patience) => api.putSecretValue({ SecretId, SecretString: 'probe' }, patience)])
      probes.push(['UpdateSecretVersionStage', (patience) => api.updateSecretVersionStage({ SecretId, VersionStage: sharedLabel }, patience)])
      probes.push(['TagResource', (patience) => api.tagResource({ SecretId, Tags: [{ Key: 'managed-by', Value: 'latchkey' }] }, patience)])
    }
    const findings: Finding[] = []
    for (const [action, send] of probes) {
      const failure = await ask(action, name, call, send).then(() => undefined, (error: unknown) => asLatchkeyError(error))
      const refused = failure?.code === 'provider_denied'
      const ok = failure === undefined || failure.code === 'not_found' || (refused && depth === 'reach' && /^AccessDenied/.test(failure.details.vendor?.name ?? ''))
      findings.push({ ok, subject: `secretsmanager:${action}`, message: ok ? 'Answered as it should.' : (failure?.message ?? ''), ...(!ok && { setting: refused || failure?.code === 'misconfigured' ? 'aws_access_key_id' : 'aws_region_name' }) })
    }
    return findings
  }

  return {
    read,
    readMany,
    list,
    write,
    remove,
    check,

    describe: async (name, call) => {
      const seen = await found(name, call)
      return factsOf(name, seen, await versionsOf(name, seen, call))
    },

    promote: async (name, { to, from }, call) => {
      const seen = await live(name, call)
      const labels = seen.versions.get(to)
      if (labels === undefined) throw absent(name, 'version of the secret')
      if (!labels.includes('AWSCURRENT')) {
        if (!stagesOf(labels).includes('pending') || holderOf(seen, 'AWSCURRENT') !== from) throw conflict(name)
        await moveLabel(name, 'AWSCURRENT', { to, from }, call)
      }
      await dropLabels(name, to, labels.filter((label) => label === claimLabel(to) || pendingLabels.includes(label)), call)
    },

    annotate: async (name, { labels = {}, description, etag }, call) => {
      refuseLabels(labels)
      // The service has no etag for a secret, so `describe` gives none, and one that is asked for cannot be ours.
      if (etag !== undefined) throw conflict(name)
      if (description === undefined && Object.keys(labels).length === 0) await live(name, call)
      await tag(name, undefined, labels, description, call)
    },

    discard: async (name, version, call) => {
      const labels = (await live(name, call)).versions.get(version) ?? []
      if (labels.includes('AWSCURRENT')) throw conflict(name)
      await dropLabels(name, version, labels, call)
    },

    recover: async (name, call) => {
      await ask('RestoreSecret', name, call, (patience) => api.restoreSecret({ SecretId: codec.encode(name) }, patience)).catch(async (error: unknown) => {
        if (!(error instanceof LatchkeyError) || error.details.vendor?.name !== 'InvalidRequestException' || (await found(name, call)).answer.DeletedDate !== undefined) throw error
      })
    },

    close: async () => api.destroy(),
    traits: {
      names: codec,
      settleMs: 0,
      versions: 'opaque',
      value: { maxBytes, empty: false, bytes: 'any' },
      write: { guarantee: 'atomic', softDelete: true, labels: { travel: 'on_create', pairs, keyBytes, valueBytes, filter: true } },
    },
  }
}

/** AWS Secrets Manager. */
export const awsSecretsManager = defineProvider<AwsSecretsManagerSettings>({
  name: 'aws_secret_manager',
  title: 'AWS Secrets Manager',
  settings: {
    ...awsIdentitySettings,
    kms_key_id: { type: 'string', text: 'Customer managed KMS key for secrets that Latchkey creates. Default: the account\'s `aws/secretsmanager` key.' },
    replica_regions: { type: 'string_list', text: 'Regions that a new secret is replicated to; best effort.' },
    recovery_window_days: { type: 'integer', default: 7, min: 7, max: 30, text: 'How long a deleted secret can be recovered, in days.' },
    aws_secretsmanager_endpoint: { type: 'url', env: ['AWS_ENDPOINT_URL_SECRETS_MANAGER', 'AWS_ENDPOINT_URL'], text: 'Another endpoint than the region\'s own, for example of a VPC endpoint or an emulator.' },
    aws_secretsmanager_plain_http: { type: 'boolean', default: false, text: 'Allows an endpoint that begins with http:// on another machine.' },
    aws_use_fips_endpoint: { type: 'boolean', default: false, env: ['AWS_USE_FIPS_ENDPOINT'], text: 'Uses the region\'s FIPS endpoint.' },
    aws_use_dualstack_endpoint: { type: 'boolean', default: false, env: ['AWS_USE_DUALSTACK_ENDPOINT'], text: 'Uses the region\'s IPv4 and IPv6 endpoint.' },
    aws_max_attempts: { type: 'integer', default: 3, min: 1, max: 10, env: ['AWS_MAX_ATTEMPTS'], text: 'How often one request is sent at most, when AWS throttles or fails.' },
  },
  open: connect,
})

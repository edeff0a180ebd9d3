// What can be seen of a secret of AWS Secrets Manager without its value: its versions and labels, its facts, and the list of names. Through the SDK.
import type { DescribeSecretResponse, SecretListEntry, SecretsManager } from '@aws-sdk/client-secrets-manager'
import { isCode, LatchkeyError, refuse } from '../../core/errors.ts'
import { hostedName } from '../../core/names.ts'
import type { SecretProvider } from '../../core/provider.ts'
import type { Call } from '../../core/runtime.ts'
import type { SecretFacts, SecretName, Version } from '../../core/secret.ts'
import { nonsense } from '../aws-calls.ts'
import { absent, codec, legal, service, versionOf, type Ask } from './secrets-manager.ts'
import { awsLabels } from './tags.ts'

const raise = (error: unknown): never => { throw error }
/** The name is held by a deletion that can be taken back. */
export const softDeleted = (name: SecretName, until: Date): LatchkeyError => new LatchkeyError('soft_deleted', `${name.text} is deleted and can be recovered until ${until.toISOString()}.`, { recoverableUntil: until })

/** One secret without its value, as DescribeSecret or ListSecrets shows it. */
export interface Seen {
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

/** The version that holds a label. */
export const holderOf = (seen: Seen, label: string): string | undefined => [...seen.versions].find(([, labels]) => labels.includes(label))?.[0]

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

/** Looking at secrets. */
export interface Sight {
  look(name: SecretName, call: Call): Promise<Seen | undefined>
  /** @throws not_found */
  found(name: SecretName, call: Call): Promise<Seen>
  /** @throws not_found, soft_deleted */
  live(name: SecretName, call: Call): Promise<Seen>
  /** The facts of what was seen; its versions oldest first. */
  facts(name: SecretName, seen: Seen, call: Call): Promise<SecretFacts>
  readonly describe: NonNullable<SecretProvider['describe']>
  readonly list: NonNullable<SecretProvider['list']>
}

/** Sight through one client of the SDK. */
export const sightOf = (api: SecretsManager, ask: Ask): Sight => {
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

  const list: Sight['list'] = async ({ prefix, label, cursor, limit }, call) => {
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

  const facts: Sight['facts'] = async (name, seen, call) => factsOf(name, seen, await versionsOf(name, seen, call))
  const describe: Sight['describe'] = (name, call) => found(name, call).then((seen) => facts(name, seen, call))

  return { look, found, live, facts, describe, list }
}

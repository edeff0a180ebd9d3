// One secret of a vault, as far as it is a chain of versions: what counts, what is claimed, and how a link is added, settled and, when it lost, covered again.
// Everything that may be waited for is waited for here, on the clock's own pauses and inside the time of the call.
import { isCode, LatchkeyError, refuse, type ErrorCode } from '../../core/errors.ts'
import { serviceFailure } from '../../core/failure.ts'
import { internalSegment } from '../../core/names.ts'
import { foldedName } from '../../core/names/folded.ts'
import { slugHashCodec } from '../../core/names/slug-hash.ts'
import type { WriteOutcome } from '../../core/provider.ts'
import type { Call, Clock } from '../../core/runtime.ts'
import type { SecretName, Stage, Version } from '../../core/secret.ts'
import { foldVersions, idOf, inOrder, isGone, markOf, markText, noVersion, tagNames } from './chain.ts'
import { title, type VaultSubject } from './refusals.ts'
import type { DeletedSecret, Vault, VaultProperties, VaultVersion } from './vault.ts'

/** The vault's times are whole seconds: only after this long has every version of one second been seen. */
export const settleMs = 2_000
/** Tags of a version: ours are the name, the mark and the description. */
export const mostTags = 15
/** What is left for labels. */
export const labelLimits = { pairs: 12, keyBytes: 256, valueBytes: 256 } as const
/** How long a deletion, recovery or purge is waited for, and how often it is looked at. */
const [patienceMs, lookMs] = [30_000, 1_000]

/** A failure that follows from what the vault holds. */
export const failure = (code: ErrorCode, name: SecretName, more = {}): LatchkeyError => serviceFailure(code, { title, action: 'the call', name: name.text, native: slugHashCodec.encode(name) }, more)

const ours: ReadonlySet<string> = new Set(Object.values(tagNames))
/** The labels among the tags of a version. */
export const labelsOf = (tags: VaultVersion['tags']): Record<string, string> => Object.fromEntries(Object.entries(tags).filter(([key]) => !ours.has(key)))

/** Refuses a label that would pass for a tag of ours. @throws invalid_request */
export const checkLabels = (labels: Readonly<Record<string, string | null>>): void => {
  const taken = Object.keys(labels).filter((key) => ours.has(key))
  if (taken.length > 0) throw refuse('tags', `${taken.join(', ')} on ${title} is a tag of Latchkey's own; choose another name`)
}

/** The tags, if a version can have them. @throws invalid_request naming the limit */
export const checkTags = (tags: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
  const entries = Object.entries(tags)
  if (entries.length > mostTags) throw refuse('tags', `there are ${entries.length} with Latchkey's own; ${title} holds ${mostTags} on a version`)
  if (entries.some(([key, text]) => key === '' || Buffer.byteLength(key) > labelLimits.keyBytes || Buffer.byteLength(text) > labelLimits.valueBytes)) {
    throw refuse('tags', `on ${title} a name has 1 to ${labelLimits.keyBytes} bytes and a value, the description among them, at most ${labelLimits.valueBytes}`)
  }
  return tags
}

/** A version as the rest of the house sees it. */
export const versionOf = (held: VaultVersion, stages: readonly Stage[]): Version => {
  const { operation, before } = markOf(held) ?? {}
  const epoch = /^(\d{1,9})-/.exec(operation ?? '')?.[1]
  return { id: idOf(held), stages, enabled: held.enabled, created: new Date(held.created), ...(operation !== undefined && { operation }), ...(epoch !== undefined && { epoch: Number(epoch) }), ...(before !== undefined && before !== '' && { before }) }
}
/** The versions with their stages, the claim last. */
export const versionsOf = (valid: readonly VaultVersion[], claim: VaultVersion | undefined): readonly Version[] => [
  ...valid.map((held, index) => versionOf(held, index === valid.length - 1 ? ['current'] : index === valid.length - 2 && !isGone(held) ? ['previous'] : [])),
  ...(claim === undefined ? [] : [versionOf(claim, ['pending'])]),
]
/** What a new version takes over from the one before: a PUT forgets what it does not say. */
const carried = ({ tags, contentType, expires, notBefore }: VaultVersion) => {
  const { [tagNames.gone]: _gone, ...kept } = tags
  return { tags: kept, ...(contentType !== undefined && { contentType }), ...(expires !== undefined && { expires }), ...(notBefore !== undefined && { notBefore }) }
}
/** What the tag of a claim says that it is on. */
export const claimedText = (name: SecretName): string => foldedName(slugHashCodec, name)
/** The secret in which the claims on another one lie, however that is spelled; below the same first segment, so that a permission for a prefix holds for both. */
export const claimsOf = (name: SecretName): VaultSubject => {
  const [text, created] = [claimedText(name), name.place === 'created']
  const slash = created ? text.indexOf('/') + 1 : 0
  return { text: name.text, native: slugHashCodec.encode({ text: `${text.slice(0, slash)}${internalSegment}/${created ? '' : 'hosted-'}pending/${text.slice(slash)}`, place: 'created' }) }
}

/** The versions of one secret, as far as they are what a name means. */
export interface Chain {
  readonly all: readonly VaultVersion[]
  readonly valid: readonly VaultVersion[]
  readonly current: VaultVersion | undefined
  /** There are versions of a second that is not over: nobody knows yet which of them counts, so nobody is shown them. */
  readonly open: boolean
  /** There is a secret under the vault's name that is not the one meant. */
  readonly foreign: boolean
}

/** The names under which a vault is asked. */
export const subjectOf = (name: SecretName): VaultSubject => ({ text: name.text, native: slugHashCodec.encode(name) })
/** A created name means the secret whose tag says so; a hosted one never what Latchkey created, however it is spelled. */
export const isMeant = (name: SecretName, { tags }: Pick<VaultVersion, 'tags'>): boolean => (name.place === 'created' ? tags[tagNames.name] === name.text : tags[tagNames.name] === undefined && tags[tagNames.pending] === undefined)

/** The secrets of one vault. */
export interface AzureSecrets {
  chainOf(name: SecretName, call: Call): Promise<Chain>
  /** @throws not_found */
  live(name: SecretName, call: Call): Promise<Chain & { readonly current: VaultVersion }>
  /** Every claim ever made on a secret, in order. */
  claims(name: SecretName, call: Call): Promise<readonly VaultVersion[]>
  /** The claim to be seen: the first that builds on the current version and was not discarded, or else the last that was overtaken, so that who overtook it can end it. */
  shownClaim(name: SecretName, valid: readonly VaultVersion[], call: Call): Promise<VaultVersion | undefined>
  /** The same for whoever is going to write: what is not decided yet is waited for. */
  decidedClaimOn(name: SecretName, current: VaultVersion, call: Call): Promise<VaultVersion | undefined>
  /** The chain for whoever is going to write. @throws conflict, deadline_exceeded */
  decided(name: SecretName, call: Call): Promise<Chain>
  deletion(name: SecretName, call: Call): Promise<DeletedSecret | undefined>
  /** Live or deleted; nothing while the vault is on the way from one to the other. */
  whereabouts(name: SecretName, call: Call): Promise<{ readonly current: VaultVersion | undefined; readonly gone: DeletedSecret | undefined } | undefined>
  awaited<T>(look: () => Promise<T | undefined>, call: Call): Promise<T | undefined>
  unanswered(name: SecretName, call: Call): (error: unknown) => Promise<never>
  settle(call: Call): Promise<void>
  /** Ends a version for good: it is marked, and the vault itself no longer gives its value out. */
  end(subject: VaultSubject, version: VaultVersion, call: Call): Promise<void>
  put(subject: VaultSubject, value: string, properties: VaultProperties, call: Call): Promise<VaultVersion>
  /** Writes one link on top of `base`, waits, and answers only if it counts; otherwise what counts is made the newest again. */
  link(name: SecretName, value: string, operation: string, base: VaultVersion | undefined, more: VaultProperties, call: Call): Promise<WriteOutcome | undefined>
}

/** The secrets of an opened vault. */
export const azureSecrets = (vault: Vault, clock: Clock): AzureSecrets => {
  const lanes = new Map<string, Promise<unknown>>()
  const parted = (listed: { readonly versions: readonly VaultVersion[]; readonly asOf: number }, keep: (each: VaultVersion) => boolean) => {
    const all = inOrder(listed.versions.filter(keep))
    const settled = all.filter(({ created }) => listed.asOf - created >= settleMs)
    return { all, settled, open: settled.length < all.length }
  }
  const chainOf = async (name: SecretName, call: Call): Promise<Chain> => {
    const listed = await vault.versions(subjectOf(name), call)
    const { versions } = listed
    const meant = name.place === 'created' ? versions.some((each) => isMeant(name, each)) : versions.every((each) => isMeant(name, each))
    const { all, settled, open } = parted(listed, (each) => meant && (isMeant(name, each) || (name.place === 'created' && each.tags[tagNames.name] === undefined)))
    const valid = foldVersions(settled)
    return { all, valid, current: valid.at(-1), open, foreign: !meant && versions.length > 0 }
  }
  /** What is not decided yet is waited for. */
  const steady = async <T extends { readonly open: boolean }>(look: () => Promise<T>, call: Call): Promise<T> => {
    for (let attempt = 0; attempt < 6; attempt += 1) {
      const seen = await look()
      if (!seen.open) return seen
      await settle(call)
    }
    throw new LatchkeyError('conflict', 'Others keep changing this secret.', { retryAfter: 2 })
  }
  const decided = (name: SecretName, call: Call): Promise<Chain> => steady(() => chainOf(name, call), call)
  const live = async (name: SecretName, call: Call): Promise<Chain & { readonly current: VaultVersion }> => {
    const chain = await chainOf(name, call)
    if (chain.current === undefined) throw failure('not_found', name)
    return { ...chain, current: chain.current }
  }
  const claimed = async (name: SecretName, call: Call) => parted(await vault.versions(claimsOf(name), call), ({ tags }) => tags[tagNames.pending] === claimedText(name))
  const claims = async (name: SecretName, call: Call): Promise<readonly VaultVersion[]> => (await claimed(name, call)).all
  const standing = (settled: readonly VaultVersion[], current: VaultVersion): VaultVersion | undefined => {
    const ended = new Set(settled.filter(isGone).map(idOf))
    return settled.find((each) => markOf(each)?.before === idOf(current) && !ended.has(idOf(each)))
  }
  const shownClaim = async (name: SecretName, valid: readonly VaultVersion[], call: Call): Promise<VaultVersion | undefined> => {
    const { settled } = await claimed(name, call)
    return valid.toReversed().map((each) => standing(settled, each)).find((claim) => claim !== undefined && !valid.some((each) => idOf(each) === idOf(claim)))
  }
  const decidedClaimOn = async (name: SecretName, current: VaultVersion, call: Call): Promise<VaultVersion | undefined> => standing((await steady(() => claimed(name, call), call)).settled, current)
  const deletion = async (name: SecretName, call: Call) => vault.deleted(subjectOf(name), call)
  /** Looks again until something is there, as long as that may take and the call has time. */
  const awaited = async <T>(look: () => Promise<T | undefined>, call: Call): Promise<T | undefined> => {
    const end = Math.min(clock.now() + patienceMs, call.deadline)
    for (;;) {
      const seen = await look()
      if (seen !== undefined || clock.now() + lookMs >= end) return seen
      await clock.sleep(lookMs, call.signal)
    }
  }
  /** Waits until the fold can no longer change under us. What was sent before stands, whatever it is worth. @throws deadline_exceeded */
  const settle = async (call: Call): Promise<void> => {
    if (clock.now() + settleMs >= call.deadline) throw new LatchkeyError('deadline_exceeded', `The time of this call ran out before ${title} could show whether the change counts.`, { applied: 'unknown' })
    await clock.sleep(settleMs, call.signal)
  }
  /** One PUT at a time to a name from this process: the vault refuses concurrent ones, and those that meet a deletion or recovery under way wait for it. */
  const put = async (subject: VaultSubject, value: string, properties: VaultProperties, call: Call): Promise<VaultVersion> => {
    checkTags(properties.tags ?? {})
    if (clock.now() + settleMs >= call.deadline) throw new LatchkeyError('deadline_exceeded', `The time of this call is too short for a write to ${title}; nothing was sent.`, { applied: 'no' })
    const busy = (error: unknown): undefined => (isCode(error, 'conflict') ? undefined : ((): never => { throw error as Error })())
    const send = async (): Promise<VaultVersion | undefined> => awaited(() => vault.put(subject, value, properties, call).catch(busy), call)
    const key = subject.native.toLowerCase()
    const mine = (lanes.get(key) ?? Promise.resolve()).then(send, send)
    const lane = mine.catch(() => undefined)
    lanes.set(key, lane)
    const made = await mine.finally(() => void (lanes.get(key) === lane && lanes.delete(key)))
    if (made === undefined) throw new LatchkeyError('conflict', `${subject.text} is being changed, deleted or recovered by others.`, { retryAfter: 1 })
    return made
  }

  /** A change that was not answered may have been made: it is looked for before that is said, so that whoever comes next finds it made or not made. */
  const unanswered: AzureSecrets['unanswered'] = (name, call) => async (error) => {
    if (isCode(error, 'provider_unavailable')) await awaited(() => whereabouts(name, call), call).catch(() => undefined)
    throw error
  }
  /** Live or deleted; nothing while the vault is on the way from one to the other. */
  const whereabouts = async (name: SecretName, call: Call) => {
    const { current } = await chainOf(name, call)
    const gone = current === undefined ? await deletion(name, call) : undefined
    return current === undefined && gone === undefined ? undefined : { current, gone }
  }

  /** A lost write may be the newest value, which is what clients that read the vault themselves take: the one that counts is written once more, as a copy that no fold counts. */
  const repair = async (name: SecretName, { all, current }: Chain, call: Call): Promise<void> => {
    const newest = all.at(-1)
    if (current === undefined || newest === undefined || idOf(newest) === idOf(current) || !current.enabled) return
    const { value } = await vault.get(subjectOf(name), current.id, call)
    const copy = carried(current)
    await put(subjectOf(name), value, { ...copy, tags: { ...copy.tags, [tagNames.version]: markText({ operation: idOf(current), before: noVersion }) } }, call)
  }
  /** Writes one link, waits, and says whether it counts. */
  const link = async (name: SecretName, value: string, operation: string, base: VaultVersion | undefined, more: VaultProperties, call: Call): Promise<WriteOutcome | undefined> => {
    const kept: VaultProperties = base === undefined ? {} : carried(base)
    const own = { ...(name.place === 'created' && { [tagNames.name]: name.text }), [tagNames.version]: markText({ operation, before: base === undefined ? '' : idOf(base) }) }
    const made = await put(subjectOf(name), value, { ...kept, ...more, tags: { ...kept.tags, ...more.tags, ...own } }, call)
    await settle(call)
    const chain = await decided(name, call)
    const won = chain.valid.find((each) => idOf(each) === operation)
    if (won !== undefined) return { outcome: won.id === made.id ? 'written' : 'same_operation', version: versionOf(won, won === chain.current ? ['current'] : []) }
    await repair(name, chain, call).catch(() => call.signal.throwIfAborted())
    return undefined
  }

  const end: AzureSecrets['end'] = async (subject, { id, tags }, call) => {
    const marks = Object.entries(tags).toSorted(([a], [b]) => Number(ours.has(b)) - Number(ours.has(a)))
    await vault.patch(subject, id, { tags: { ...Object.fromEntries(marks.slice(0, mostTags - 1)), [tagNames.gone]: 'true' }, enabled: false }, call)
  }
  return { end, chainOf, decided, live, claims, shownClaim, decidedClaimOn, deletion, whereabouts, awaited, unanswered, settle, put, link }
}

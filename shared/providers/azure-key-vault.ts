// Azure Key Vault. It has no condition, no client id and no label that moves: versions are folded as a chain (`chain.ts`), a pending token is the first version of
// a secret of its own, and a write is answered only after the vault's second has passed and the fold still says so.
import { createHash } from 'node:crypto'
import { isCode, LatchkeyError, refuse } from '../core/errors.ts'
import { slugHashCodec } from '../core/names/slug-hash.ts'
import { defineProvider, type OpenedProvider, type SecretProvider, type TableLoader, type WriteOutcome, type WriteRequest } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName, type SecretRecord, type Version } from '../core/secret.ts'
import { idOf, isGone, markOf, markText, tagNames } from '../credentials/azure/chain.ts'
import { checkVault } from '../credentials/azure/check.ts'
import type { AzureSettings } from '../credentials/azure/identity.ts'
import { locateSecret } from '../credentials/azure/locate.ts'
import { title, type VaultSubject } from '../credentials/azure/refusals.ts'
import { azureSecrets, checkLabels, checkTags, claimedText, claimsOf, failure, isMeant, labelLimits, labelsOf, settleMs, subjectOf, versionOf, versionsOf } from '../credentials/azure/secrets.ts'
import { cursorOf, linkOf, openVault, type VaultSecret, type VaultVersion } from '../credentials/azure/vault.ts'

const maxBytes = 25_600
const codec = slugHashCodec

const etagOf = ({ tags, expires, ...current }: VaultVersion): string => createHash('sha256').update(JSON.stringify([idOf({ tags, ...current }), Object.entries(tags).toSorted(), expires?.getTime()])).digest('hex').slice(0, 32)

const connect = async (settings: AzureSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const { clock } = io
  const vault = await openVault(settings, io)
  const { end, chainOf, decided, live, claims, shownClaim, decidedClaimOn, deletion, whereabouts, awaited, unanswered, settle, put, link } = azureSecrets(vault, clock)

  const softDeleted = async (name: SecretName, call: Call): Promise<LatchkeyError> => {
    const until = (await deletion(name, call))?.until
    return failure('soft_deleted', name, until === undefined ? {} : { recoverableUntil: until })
  }

  const recordOf = (name: SecretName, held: VaultSecret, version: Version): SecretRecord => {
    if (!held.value.isWellFormed()) throw failure('provider_unavailable', name)
    return { name, value: SecretValue.of(held.value), version, ...(held.expires !== undefined && { expires: held.expires }) }
  }
  const read: SecretProvider['read'] = async (name, at, call) => {
    const subject = subjectOf(name)
    if (name.place !== 'created' && at.version === undefined && (at.stage ?? 'current') === 'current') {
      const held = await vault.get(subject, undefined, call)
      if (!isMeant(name, held)) throw failure('not_found', name)
      if (markOf(held) === undefined) return recordOf(name, held, versionOf(held, ['current']))
    }
    const { valid } = await live(name, call)
    const named = (each: VaultVersion): boolean => at.version !== undefined && [idOf(each), each.id].includes(at.version)
    const claim = at.stage === 'pending' || (at.version !== undefined && !valid.some(named)) ? await shownClaim(name, valid, call) : undefined
    const held = [...valid, ...(claim === undefined ? [] : [claim])]
    const index = versionsOf(valid, claim).findIndex(({ stages }, place) => (at.version === undefined ? stages.includes(at.stage ?? 'current') : held[place] !== undefined && named(held[place])))
    const [found, version] = [held[index], versionsOf(valid, claim)[index]]
    if (found === undefined || version === undefined || isGone(found)) throw failure('not_found', name)
    if (!found.enabled) throw failure('version_disabled', name)
    return recordOf(name, await vault.get(found === claim ? claimsOf(name) : subject, found.id, call), version)
  }

  const factsOf = (name: SecretName, { tags, expires }: VaultVersion): SecretFacts => {
    const description = tags[tagNames.description]
    return { name, nativeName: codec.encode(name), labels: labelsOf(tags), ...(description !== undefined && { description }), ...(expires !== undefined && { expires }) }
  }
  const describe = async (name: SecretName, call: Call): Promise<SecretFacts> => {
    const { valid, current } = await chainOf(name, call)
    if (current === undefined) {
      const gone = await deletion(name, call)
      if (gone?.until === undefined || !isMeant(name, gone)) throw failure('not_found', name)
      return { ...factsOf(name, gone), recoverableUntil: gone.until }
    }
    const versions = versionsOf(valid, await shownClaim(name, valid, call))
    return { ...factsOf(name, current), etag: etagOf(current), created: new Date(valid[0]?.created ?? current.created), current: versionOf(current, ['current']), versions }
  }

  const writeCurrent = async ({ name, value, expect, operation, labels, description, expires }: WriteRequest, call: Call): Promise<WriteOutcome> => {
    const more = { tags: { ...labels, ...(description !== undefined && { [tagNames.description]: description }) }, ...(expires !== undefined && { expires }) }
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const { valid, current, foreign } = await decided(name, call)
      const made = valid.find((each) => idOf(each) === operation)
      if (made !== undefined) return { outcome: 'same_operation', version: versionOf(made, made === current ? ['current'] : []) }
      if (foreign) throw failure('already_exists', name)
      if (current === undefined) {
        if (typeof expect === 'object') throw failure('not_found', name)
        if ((await deletion(name, call)) !== undefined) throw await softDeleted(name, call)
      } else if (expect === 'absent') throw failure('already_exists', name)
      else if (typeof expect === 'object' && idOf(current) !== expect.version) throw failure('conflict', name)
      const outcome = await link(name, value.reveal(), operation, current, more, call).catch(async (error: unknown) => {
        throw isCode(error, 'soft_deleted') ? await softDeleted(name, call) : error
      })
      if (outcome !== undefined) return outcome
      if (expect !== 'any') throw failure(expect === 'absent' ? 'already_exists' : 'conflict', name)
    }
    throw failure('conflict', name)
  }

  const writePending = async ({ name, value, expect, operation, before }: WriteRequest, call: Call): Promise<WriteOutcome> => {
    const { valid, current } = await decided(name, call)
    if (current === undefined) throw failure('not_found', name)
    const made = valid.find((each) => idOf(each) === operation)
    if (made !== undefined) return { outcome: 'same_operation', version: versionOf(made, made === current ? ['current'] : []) }
    if (typeof expect === 'object' && idOf(current) !== expect.version) throw failure('conflict', name)
    const subject = claimsOf(name)
    let standing = await decidedClaimOn(name, current, call)
    let id: string | undefined
    if (standing === undefined) {
      const tags = { [tagNames.pending]: claimedText(name), [tagNames.version]: markText({ operation, before: before ?? idOf(current) }) }
      const send = (): Promise<VaultVersion> => put(subject, value.reveal(), { tags }, call)
      // Somebody deleted the record of claims, not the secret: it is ours alone, and what it holds may be needed.
      const sent = await send().catch(async (error: unknown) => {
        if (!isCode(error, 'soft_deleted')) throw error
        await vault.recover(subject, call)
        return send()
      })
      id = sent.id
      await settle(call)
      standing = await decidedClaimOn(name, current, call)
    }
    if (standing === undefined || idOf(standing) !== operation) throw failure('conflict', name)
    return { outcome: standing.id === id ? 'written' : 'same_operation', version: versionOf(standing, ['pending']) }
  }

  const promote: SecretProvider['promote'] = async (name, { to, from }, call) => {
    const { current } = await decided(name, call)
    if (current === undefined) throw failure('not_found', name)
    if (idOf(current) === to) return
    const claim = idOf(current) === from ? await decidedClaimOn(name, current, call) : undefined
    if (claim === undefined || idOf(claim) !== to) throw failure('conflict', name)
    const { value } = await vault.get(claimsOf(name), claim.id, call)
    if ((await link(name, value, to, current, {}, call)) === undefined) throw failure('conflict', name)
  }

  const annotate: SecretProvider['annotate'] = async (name, { labels = {}, description, expires, etag }, call) => {
    checkLabels(labels)
    const { all, current } = await live(name, call)
    if (etag !== undefined && etag !== etagOf(current)) throw failure('conflict', name)
    const wanted = { ...current.tags, ...labels, ...(description !== undefined && { [tagNames.description]: description }) }
    const tags = checkTags(Object.fromEntries(Object.entries(wanted).filter((pair): pair is [string, string] => pair[1] !== null)))
    for (const each of all.filter((copy) => idOf(copy) === idOf(current))) {
      const own = each.tags[tagNames.version]
      const after = await vault.patch(subjectOf(name), each.id, { tags: { ...tags, ...(own !== undefined && { [tagNames.version]: own }) }, ...(expires !== undefined && { expires }) }, call)
      if (expires === null && after.expires !== undefined) throw new LatchkeyError('unsupported', `${title} did not take the expiry of ${name.text} off; write the secret anew.`)
    }
  }

  const remove: SecretProvider['remove'] = async (name, { expect, final }, call) => {
    const subject = subjectOf(name)
    const { current } = await decided(name, call)
    const held = current === undefined ? await deletion(name, call) : undefined
    if (current === undefined && (!final || held === undefined || !isMeant(name, held))) throw failure('not_found', name)
    if (typeof expect === 'object' && current !== undefined && idOf(current) !== expect.version) throw failure('conflict', name)
    const gone = current === undefined ? held : await vault.remove(subject, call).catch(unanswered(name, call))
    // The deletion is answered and stands; whether it is to be seen yet matters to whoever comes next.
    const look = (): Promise<{ readonly until?: Date } | undefined> => vault.deleted(subject, call).catch(() => ({}))
    const seen = await awaited(look, call)
    call.signal.throwIfAborted()
    const until = gone?.until ?? seen?.until
    if (!final) return until === undefined ? {} : { recoverableUntil: until }
    await purge(subject, call)
    const pending = claimsOf(name)
    if ((await vault.versions(pending, call)).versions.length > 0) {
      await vault.remove(pending, call)
      await awaited(() => vault.deleted(pending, call), call)
      await purge(pending, call)
    }
    return {}
  }
  const purge = async (subject: VaultSubject, call: Call): Promise<void> => {
    await vault.purge(subject, call)
    await awaited(async () => ((await vault.deleted(subject, call)) === undefined ? true : undefined), call)
  }

  const recover: SecretProvider['recover'] = async (name, call) => {
    const subject = subjectOf(name)
    const ask = (): Promise<unknown> => vault.recover(subject, call).catch((error: unknown) => (isCode(error, 'conflict') ? undefined : Promise.reject(error as Error)))
    let seen = await whereabouts(name, call)
    if (seen === undefined) {
      // Deleted or recovered a moment ago, or never there: only the vault knows, and its refusal says which.
      await ask()
      seen = await awaited(() => whereabouts(name, call), call)
    }
    if (seen?.current !== undefined) return
    if (seen?.gone === undefined || !isMeant(name, seen.gone)) throw failure('not_found', name)
    await ask().catch(unanswered(name, call))
    if ((await awaited(async () => (await chainOf(name, call)).current, call)) === undefined) throw new LatchkeyError('conflict', `${name.text} is still being recovered.`, { retryAfter: 5 })
  }

  const list: SecretProvider['list'] = async ({ prefix, label, cursor, limit }, call) => {
    let next = cursor === undefined ? undefined : linkOf(cursor)
    const size = Math.min(limit, 25)
    const items: SecretFacts[] = []
    for (let pages = 0; pages < 40; pages += 1) {
      const page = await vault.page(next, size, call)
      for (const item of page.items) {
        const tag = item.tags[tagNames.name]
        const text = tag === undefined ? item.native : codec.decode(item.native, tag)
        if (text === undefined || !text.startsWith(prefix) || item.tags[tagNames.pending] !== undefined) continue
        if (label !== undefined && item.tags[label[0]] !== label[1]) continue
        const mark = markOf(item)
        items.push({ ...factsOf({ text, place: tag === undefined ? 'hosted' : 'created' }, item), nativeName: item.native, ...(mark !== undefined && { current: versionOf(item, ['current']) }) })
      }
      next = page.link
      if (next === undefined || items.length + size > limit) break
    }
    return { items, ...(next !== undefined && { cursor: cursorOf(next) }) }
  }

  return {
    read,
    check: (depth, call, prefix = '') => checkVault(vault, io, depth, prefix, call),
    describe,
    list,
    promote,
    annotate,
    remove,
    recover,
    write: async (request, call) => {
      const { value, labels = {}, description, stage } = request
      if (value.byteLength > maxBytes) throw refuse('value', `is ${value.byteLength} bytes long; ${title} holds at most ${maxBytes}`, 'too_large')
      if (value.byteLength === 0) throw refuse('value', `must not be empty; ${title} cannot hold an empty value`)
      if (!value.isText) throw refuse('value', `must be text; ${title} cannot hold other bytes`)
      checkLabels(labels)
      checkTags({ ...labels, ...(description !== undefined && { [tagNames.description]: description }) })
      return stage === 'current' ? writeCurrent(request, call) : writePending(request, call)
    },
    discard: async (name, version, call) => {
      const { valid, current } = await chainOf(name, call)
      if (current !== undefined && idOf(current) === version) throw failure('conflict', name)
      for (const each of valid) if (idOf(each) === version && !isGone(each)) await end(subjectOf(name), each, call)
      for (const each of await claims(name, call)) if (idOf(each) === version && !isGone(each)) await end(claimsOf(name), each, call)
    },
    setEnabled: async (name, version, enabled, call) => {
      const { all } = await live(name, call)
      const copies = all.filter((each) => idOf(each) === version)
      if (copies.length === 0) throw failure('not_found', name)
      for (const { id } of copies) await vault.patch(subjectOf(name), id, { enabled }, call)
    },
    locate: async (resource, call) => {
      const name = await locateSecret(vault, settings.azure_key_vault_uri, resource, call)
      return name && describe(name, call).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : Promise.reject(error as Error)))
    },
    close: () => vault.close(),
    notices: vault.who.startsWith('the managed identity') && settings.azure_credential === undefined ? ['No credential of Azure is set: the managed identity of this host is used. azure_credential: managed_identity says so expressly.'] : [],
    traits: {
      names: codec,
      settleMs,
      versions: 'opaque',
      value: { maxBytes, empty: false, bytes: 'text' },
      write: { guarantee: 'detected', softDelete: true, labels: { travel: 'always', lateOnVersion: true, ...labelLimits, filter: false } },
    },
  }
}

/** Azure Key Vault. */
export const azureKeyVault = defineProvider<AzureSettings, TableLoader<AzureSettings>>({ name: 'azure_key_vault', title, settings: () => import('../credentials/azure/settings.ts').then((file) => file.azureSettings), open: connect })

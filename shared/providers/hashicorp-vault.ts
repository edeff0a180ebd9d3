// HashiCorp Vault KV version 2, and OpenBao. The value map of a path is the record: it holds the value, the claim and what was before, and changes only by check-and-set.
// custom_metadata mirrors it for lists and is no part of any decision. A final delete destroys versions and keeps the path, so that a late one never hits a secret made anew.
import { openVaultEngine, recoverableForEver, vaultEngineSettings, type Seen, type VaultEngineSettings } from '../credentials/vault/engine.ts'
import { credentialNotices, findVault } from '../credentials/vault/findings.ts'
import { fieldText, heldValue, nextFields, ownFields, versionOf, withEntry, type MapEntry } from '../credentials/vault/value-map.ts'
import { isCode, LatchkeyError, refuse } from '../core/errors.ts'
import { cursorAfter, positionOf } from '../core/names/cursors.ts'
import { defineProvider, type Annotation, type OpenedProvider, type SecretProvider, type WriteRequest } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName, type SecretRecord } from '../core/secret.ts'

interface HashicorpVaultSettings extends VaultEngineSettings {
  readonly vault_field: string
  readonly vault_refresh_interval_seconds?: number
}

const tries = 6
const looksAtOnce = 8
/** A path holds at most three values beside each other, and Consul's limit for all of them is 512 KiB. */
const maxBytes = 131_072
const labelLimits = { pairs: 62, keyBytes: 128, valueBytes: 512 }
const descriptionPair = 'description'
const expiresPair = 'latchkey-expires'

/** What is cut off behind a change that is done already says so: "not applied" is then only true of the call that was not made. */
const doneBefore = (error: unknown): Promise<never> => Promise.reject(error instanceof LatchkeyError && error.details.applied === 'no' ? error.with({ applied: 'unknown' }) : (error as Error))
const stageOf = ({ entries }: Pick<Seen, 'entries'>, stage: string): MapEntry | undefined => entries.find((entry) => entry.stage === stage)
const dateOf = (text: string | undefined): Date | undefined => (Date.parse(text ?? '') > 0 ? new Date(text ?? '') : undefined)

const pairsOf = ({ labels = {}, description, expires }: Annotation): Record<string, string | null> => ({
  ...labels,
  ...(description !== undefined && { [descriptionPair]: description === '' ? null : description }),
  ...(expires !== undefined && { [expiresPair]: expires?.toISOString() ?? null }),
})

/** What Vault allows in custom_metadata. @throws invalid_request */
const checkPairs = ({ labels = {}, description = '' }: Annotation): void => {
  const tags = Object.entries(labels)
  if (tags.length > labelLimits.pairs) throw refuse('tags', `there are ${tags.length}; Vault holds ${labelLimits.pairs}`)
  if (tags.some(([key]) => key === descriptionPair || key === expiresPair)) throw refuse('tags', `"${descriptionPair}" and "${expiresPair}" hold the secret's own description and expiry on Vault`)
  if (tags.some(([key, value]) => key === '' || value === '' || Buffer.byteLength(key) > labelLimits.keyBytes || Buffer.byteLength(value ?? '') > labelLimits.valueBytes)) throw refuse('tags', `on Vault a name has 1 to ${labelLimits.keyBytes} bytes and a value 1 to ${labelLimits.valueBytes}`)
  if (Buffer.byteLength(description) > labelLimits.valueBytes) throw refuse('description', `is longer than the ${labelLimits.valueBytes} bytes that Vault holds`)
  const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u
  if (!printable.test(description)) throw refuse('description', 'holds line breaks or other characters that Vault does not take; it takes printable ones and spaces')
  if (tags.some((pair) => !printable.test(pair.join('')))) throw refuse('tags', 'Vault takes printable characters and spaces')
}

const checkWrite = (request: WriteRequest): void => {
  if (request.value.byteLength > maxBytes) throw refuse('value', `is ${request.value.byteLength} bytes long; on Vault Latchkey holds at most ${maxBytes}`, 'too_large')
  if (!request.value.isText) throw refuse('value', 'must be text; Vault holds no other bytes')
  checkPairs(request)
}

const connect = async (settings: HashicorpVaultSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const { vault_field: field } = settings
  if (field === '' || field.startsWith('latchkey-')) throw new LatchkeyError('misconfigured', 'vault_field must not be empty, and must not begin with "latchkey-".', { issues: [{ path: 'vault_field', message: 'is no field name for a value' }] })
  const engine = await openVaultEngine(settings, io)
  const { failure } = engine

  const factsOf = (name: SecretName, seen: Seen): SecretFacts => {
    const { [descriptionPair]: description, [expiresPair]: until, ...labels } = seen.metadata
    const [current, expires] = [stageOf(seen, 'current'), dateOf(until)]
    const known = { ...(current !== undefined && { current: versionOf(current) }), ...(description !== undefined && { description }), ...(expires !== undefined && { expires }) }
    return { name, nativeName: engine.nativeOf(name), labels, ...known, ...(seen.state === 'deleted' ? { recoverableUntil: recoverableForEver } : { versions: seen.entries.map(versionOf) }) }
  }

  const valueIn = (name: SecretName, seen: Seen, entry: MapEntry): SecretValue => {
    if (!entry.enabled) throw failure('version_disabled', name)
    const value = heldValue(seen.fields, seen.number, seen.entries, entry, field)
    if (value !== undefined) return SecretValue.of(fieldText(value))
    const fields = Object.keys(ownFields(seen.fields))
    throw new LatchkeyError('not_found', `${name.text} has no field "${field}". ${fields.length === 0 ? 'It has none.' : `It has ${fields.join(', ')}; vault_field says which one holds the value.`}`)
  }

  const read: SecretProvider['read'] = async (name, { version, stage, whole }, call) => {
    const record = (from: Seen, entry: MapEntry): SecretRecord => {
      const expires = dateOf(from.metadata[expiresPair])
      return { name, value: whole === true ? SecretValue.of(JSON.stringify(ownFields(from.fields))) : valueIn(name, from, entry), version: versionOf(entry), ...(expires !== undefined && { expires }) }
    }
    const seen = await engine.look(name, call)
    if (seen.state !== 'there') throw failure('not_found', name)
    const entry = version === undefined ? stageOf(seen, stage ?? 'current') : seen.entries.find(({ id }) => id === version)
    if (entry !== undefined && entry.stage !== 'gone' && (entry.stage !== 'past' || heldValue(seen.fields, seen.number, seen.entries, entry, field) !== undefined)) return record(seen, entry)
    if (version === undefined || entry?.stage === 'gone' || !/^[1-9]\d{0,8}$/.test(version) || Number(version) >= seen.number) throw failure('not_found', name)
    const then = await engine.lookAt(name, version, call)
    if (then.state === 'deleted' || (then.state === 'absent' && then.number > 0)) throw failure('version_disabled', name)
    const old = then.entries.find(({ id }) => id === version)
    if (old === undefined) throw failure('not_found', name)
    const { value } = record(then, old)
    return { name, value, version: versionOf(entry ?? { ...old, stage: 'past' }) }
  }

  /** Makes `entries` the record if nobody changed it since; the values are those of the version that was seen, and a new one. */
  const commit = (name: SecretName, seen: Seen, entries: readonly MapEntry[], call: Call, added?: { readonly id: string; readonly value: SecretValue }): Promise<boolean> => {
    const values = new Map(seen.entries.map((entry) => [entry.id, heldValue(seen.fields, seen.number, seen.entries, entry, field)]))
    const valueOf = (id: string): unknown => (id === added?.id ? added.value.reveal() : values.get(id))
    return engine.put(name, seen.number, nextFields(seen.fields, seen.number, field, entries, valueOf), call)
  }

  /** Looks, changes and commits until the commit holds; a change that gives nothing ends it. */
  const change = async (name: SecretName, call: Call, next: (seen: Seen) => readonly MapEntry[] | undefined): Promise<Seen | undefined> => {
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const seen = await engine.look(name, call)
      if (seen.state !== 'there') throw failure('not_found', name)
      const entries = next(seen)
      if (entries === undefined) return undefined
      if (await commit(name, seen, entries, call)) return seen
    }
    throw failure('conflict', name)
  }

  const refuseState = (seen: Seen, { name, stage, expect }: WriteRequest): void => {
    if (seen.state === 'deleted') throw failure('soft_deleted', name)
    const current = stageOf(seen, 'current')
    if (current === undefined) {
      if (stage === 'pending' || typeof expect === 'object') throw failure('not_found', name)
    } else if (stage === 'current' && expect === 'absent') throw failure('already_exists', name)
    else if (typeof expect === 'object' && current.id !== expect.version) throw failure('conflict', name)
    if (stage === 'pending' && stageOf(seen, 'pending') !== undefined) throw failure('conflict', name)
  }

  const write: SecretProvider['write'] = async (request, call) => {
    const { name, value, operation, stage } = request
    checkWrite(request)
    const nonce = Buffer.from(io.random.bytes(4)).toString('hex')
    let stale = false
    for (let attempt = 0; attempt < tries; attempt += 1) {
      const seen = await engine.look(name, call)
      let made = seen.entries.find((entry) => entry.operation === operation && (stage === 'pending' ? entry.stage !== 'gone' : entry.stage !== 'pending'))
      if (made !== undefined && made.nonce !== nonce) return { outcome: 'same_operation', version: versionOf(made) }
      if (made === undefined) {
        refuseState(seen, request)
        const before = request.before ?? stageOf(seen, 'current')?.id ?? ''
        // What a secret that was destroyed leaves in its metadata is nothing of the new one.
        stale = seen.state === 'absent' && Object.keys(seen.metadata).length > 0
        made = { id: String(seen.number + 1), stage, enabled: true, operation, before: /^\d{1,9}$/.test(before) ? before : '', at: Math.floor(io.clock.now()), nonce }
        if (!(await commit(name, seen, withEntry(seen.entries, made), call, { id: made.id, value }))) continue
      }
      const pairs = pairsOf(request)
      if (stage === 'current' && (stale || Object.keys(pairs).length > 0)) await engine.annotate(name, pairs, stale, call).catch(doneBefore)
      return { outcome: 'written', version: versionOf(made) }
    }
    throw failure('conflict', name)
  }

  const remove: SecretProvider['remove'] = async (name, { expect, final }, call) => {
    const seen = await engine.lookAtNames(name, call)
    if (seen.state === 'absent' || (seen.state === 'deleted' && !final)) throw failure('not_found', name)
    if (typeof expect === 'object' && stageOf(seen, 'current')?.id !== expect.version) throw failure('conflict', name)
    // Only what was there when it was looked at: a version that is written meanwhile is another's.
    const numbers = (await engine.numbers(name, call)).filter((number) => number <= seen.number)
    await engine.act(final ? 'destroy' : 'delete', name, numbers, call)
    if (!final) return { recoverableUntil: recoverableForEver }
    if (Object.keys(seen.metadata).length > 0) await engine.annotate(name, {}, true, call).catch(doneBefore)
    return {}
  }

  const list: SecretProvider['list'] = async ({ prefix, label, cursor, limit }, call) => {
    const after = cursor === undefined ? '' : positionOf(cursor)
    const texts: string[] = []
    for await (const text of engine.walk(prefix, after, call)) {
      texts.push(text)
      if (texts.length > limit) break
    }
    const names = texts.slice(0, limit).map((text): SecretName => ({ text, place: 'created' }))
    const items: SecretFacts[] = []
    for (let from = 0; from < names.length; from += looksAtOnce) {
      const looks = await Promise.all(names.slice(from, from + looksAtOnce).map(async (name) => ({ name, seen: await engine.lookAtNames(name, call) })))
      for (const { name, seen } of looks) if (seen.state === 'there' && (label === undefined || seen.metadata[label[0]] === label[1])) items.push(factsOf(name, seen))
    }
    return { items, ...(texts.length > limit && { cursor: cursorAfter(texts[limit - 1] ?? '') }) }
  }

  const discard: SecretProvider['discard'] = async (name, version, call) => {
    const seen = await change(name, call, ({ entries }) => {
      const entry = entries.find(({ id }) => id === version)
      if (entry?.stage === 'current') throw failure('conflict', name)
      return entry === undefined || entry.stage === 'gone' ? undefined : entries.map((old): MapEntry => (old === entry ? { ...old, stage: 'gone' } : old))
    }).catch((error: unknown) => {
      if (isCode(error, 'not_found')) return undefined
      throw error
    })
    if (seen === undefined) return
    // Vault's own history has the value in every version since; they go too where the policy allows it. What decides is done already.
    const first = Math.max(Number(version), seen.number - 99)
    await engine.act('destroy', name, Array.from({ length: seen.number - first + 1 }, (_, index) => first + index), call).catch(() => undefined)
  }

  return {
    read,
    write,
    remove,
    list,
    discard,
    describe: async (name, call) => {
      const seen = await engine.lookAtNames(name, call)
      if (seen.state === 'absent') throw failure('not_found', name)
      return factsOf(name, seen)
    },
    promote: async (name, { to, from }, call) => {
      await change(name, call, (seen) => {
        const [current, pending] = [stageOf(seen, 'current'), stageOf(seen, 'pending')]
        if (current?.id === to) return undefined
        if (current?.id !== from || pending?.id !== to) throw failure('conflict', name)
        return withEntry(seen.entries, { ...pending, stage: 'current' })
      })
    },
    annotate: async (name, annotation, call) => {
      checkPairs(annotation)
      // custom_metadata has no condition, so `describe` gives no etag, and one that is asked for cannot be ours.
      if (annotation.etag !== undefined) throw failure('conflict', name)
      await engine.annotate(name, pairsOf(annotation), false, call)
    },
    setEnabled: async (name, version, enabled, call) => {
      await change(name, call, ({ entries }) => {
        const entry = entries.find(({ id }) => id === version)
        if (entry === undefined || entry.stage === 'past' || entry.stage === 'gone') throw failure('not_found', name)
        return entries.map((old) => (old === entry ? { ...old, enabled } : old))
      })
    },
    recover: async (name, call) => {
      const { state } = await engine.lookAtNames(name, call)
      if (state === 'absent') throw failure('not_found', name)
      if (state === 'deleted') await engine.act('undelete', name, await engine.numbers(name, call), call)
    },
    notices: credentialNotices(engine.connection.identity),
    check: (depth, call, keys) => findVault(engine, depth, call, keys),
    close: () => engine.connection.close(),
    traits: {
      names: engine.names,
      settleMs: 0,
      versions: 'numbered',
      ...(settings.vault_refresh_interval_seconds !== undefined && { cacheTtlMs: settings.vault_refresh_interval_seconds * 1000 }),
      value: { maxBytes, empty: true, bytes: 'text' },
      write: { guarantee: 'atomic', softDelete: true, labels: { travel: 'apart', ...labelLimits, filter: false } },
    },
  }
}

/** HashiCorp Vault and OpenBao. */
export const hashicorpVault = defineProvider<HashicorpVaultSettings>({
  name: 'hashicorp_vault',
  title: 'HashiCorp Vault',
  settings: {
    ...vaultEngineSettings,
    vault_field: { type: 'string', default: 'key', text: 'Field of the value map that holds the value.' },
    vault_refresh_interval_seconds: { type: 'integer', min: 0, max: 31_536_000, env: ['HCP_VAULT_REFRESH_INTERVAL'], text: "How long the store's cache keeps what it read, in seconds. Default: the cache's own." },
  },
  open: connect,
})

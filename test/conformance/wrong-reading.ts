// Providers that are wrong on purpose, first half: reading, lists, failures. Each is the reference with one thing spoilt, and names the case that exists for it.
// They are code as people write it by mistake: a catch too wide, a filter too loose, a cache where none belongs.
import { asLatchkeyError, isCode, LatchkeyError } from '../../shared/core/errors.ts'
import type { ListQuery, SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue, type SecretFacts, type SecretName, type SecretRecord } from '../../shared/core/secret.ts'
import type { Wrap } from './harnesses/memory.ts'

/** One wrong provider, and the case that must fail for it. */
export interface WrongProvider {
  readonly wrong: string
  readonly case: string
  readonly wrap: Wrap
}

/** The reference has every method but `close`; here that is known. */
export type Whole = SecretProvider & Required<Omit<SecretProvider, 'close'>>

/** Spoils a provider: `change` gives the methods that are wrong. */
export const spoil =
  (change: (right: Whole) => Partial<SecretProvider>): Wrap =>
  (provider) => ({ ...provider, ...change(provider as Whole) })

const patient = { signal: new AbortController().signal, deadline: Infinity }
const absent = (name: SecretName): LatchkeyError => new LatchkeyError('not_found', `There is no such secret: ${name.text}.`)
const withValue = (record: SecretRecord, value: SecretValue): SecretRecord => ({ ...record, value })
const onBytes = (change: (bytes: Buffer) => Uint8Array): Wrap =>
  spoil((right) => ({
    read: async (...given) => {
      const record = await right.read(...given)
      return withValue(record, SecretValue.ofBytes(change(record.value.bytes())))
    },
  }))
const onFailedRead = (change: (error: unknown, name: SecretName) => SecretRecord): Wrap =>
  spoil((right) => ({ read: (name, at, call) => right.read(name, at, call).catch((error: unknown) => change(error, name)) }))
const rethrown = (from: LatchkeyError['code'], to: (error: LatchkeyError, name: SecretName) => unknown): Wrap =>
  onFailedRead((error, name) => {
    throw isCode(error, from) ? to(error, name) : error
  })
const onList = (change: (query: ListQuery, right: Whole) => ListQuery, keep: (item: SecretFacts, query: ListQuery) => boolean = () => true): Wrap =>
  spoil((right) => ({
    list: async (query, call) => {
      const page = await right.list(change(query, right), call)
      return { ...page, items: page.items.filter((item) => keep(item, query)) }
    },
  }))
const renamed = (change: (text: string) => string): Wrap =>
  spoil((right) => ({
    read: (name, at, call) => right.read({ ...name, text: change(name.text) }, at, call),
    write: (request, call) => right.write({ ...request, name: { ...request.name, text: change(request.name.text) } }, call),
  }))

let theOnly: SecretProvider | undefined

/** Wrong in what is read, listed, checked, or answered to a failure. */
export const wrongReaders: readonly WrongProvider[] = [
  { wrong: 'answers an empty value for an absent secret', case: 'read.missing', wrap: onFailedRead((error, name) => {
    if (isCode(error, 'not_found')) return { name, value: SecretValue.of('') }
    throw error
  }) },
  { wrong: 'turns a refusal into an absence', case: 'fault.denied.read', wrap: rethrown('provider_denied', (_, name) => absent(name)) },
  { wrong: 'turns an outage into an absence', case: 'fault.unavailable_before.read', wrap: rethrown('provider_unavailable', (_, name) => absent(name)) },
  { wrong: 'turns throttling into an outage', case: 'fault.throttled.read', wrap: rethrown('provider_throttled', () => new LatchkeyError('provider_unavailable', 'The service could not be reached.')) },
  { wrong: "blames the caller's credential for its own", case: 'fault.expired_credential.read', wrap: rethrown('provider_denied', () => new LatchkeyError('unauthenticated', 'The credential has expired.')) },
  { wrong: 'throws what the library threw', case: 'fault.reset.read', wrap: rethrown('provider_unavailable', () => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })) },
  { wrong: 'drops the last byte', case: 'read.exact-text', wrap: onBytes((bytes) => bytes.subarray(0, -1)) },
  { wrong: 'trims what it reads', case: 'read.trailing-newline', wrap: onBytes((bytes) => Buffer.from(bytes.toString('latin1').trim(), 'latin1')) },
  { wrong: 'turns line breaks into its own', case: 'read.line-breaks', wrap: onBytes((bytes) => Buffer.from(bytes.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')) },
  { wrong: 'decodes bytes that are no text', case: 'read.binary', wrap: onBytes((bytes) => Buffer.from(bytes.toString('utf8'), 'utf8')) },
  { wrong: 'normalises characters', case: 'read.unicode', wrap: onBytes((bytes) => Buffer.from(bytes.toString('utf8').normalize('NFC'), 'utf8')) },
  { wrong: 'parses JSON and prints it again', case: 'read.json', wrap: onBytes((bytes) => (bytes.toString().startsWith('{') ? Buffer.from(JSON.stringify(JSON.parse(bytes.toString()))) : bytes)) },
  { wrong: 'treats an empty value as absent', case: 'read.empty', wrap: spoil((right) => ({
    read: async (...given) => {
      const record = await right.read(...given)
      if (record.value.byteLength === 0) throw absent(given[0])
      return record
    },
  })) },
  { wrong: 'remembers an absence', case: 'read.failure-not-kept', wrap: spoil((right) => {
    const missing = new Map<string, unknown>()
    return {
      read: (name, at, call) => {
        if (missing.has(name.text)) return Promise.reject(missing.get(name.text) as Error)
        return right.read(name, at, call).catch((error: unknown) => {
          missing.set(name.text, error)
          throw error
        })
      },
    }
  }) },
  { wrong: 'remembers an outage', case: 'fault.unavailable_before.read', wrap: spoil((right) => {
    const failed = new Map<string, unknown>()
    return {
      read: (name, at, call) => {
        if (failed.has(name.text)) return Promise.reject(failed.get(name.text) as Error)
        return right.read(name, at, call).catch((error: unknown) => {
          if (isCode(error, 'provider_unavailable')) failed.set(name.text, error)
          throw error
        })
      },
    }
  }) },
  { wrong: 'keeps values it has read', case: 'read.seeded-change', wrap: spoil((right) => {
    const kept = new Map<string, SecretRecord>()
    return {
      read: async (name, at, call) => {
        const record = kept.get(name.text) ?? (await right.read(name, at, call))
        kept.set(name.text, record)
        return record
      },
    }
  }) },
  { wrong: 'reads the current value whatever version is asked for', case: 'version.by-id', wrap: spoil((right) => ({ read: (name, { version: _, ...at }, call) => right.read(name, at, call) })) },
  { wrong: 'does not know that a version can be missing', case: 'read.missing-version', wrap: spoil((right) => ({
    read: (name, at, call) => right.read(name, at, call).catch((error: unknown) => (isCode(error, 'not_found') && at.version !== undefined ? right.read(name, {}, call) : Promise.reject(error as Error))),
  })) },
  { wrong: 'folds the case of names', case: 'name.case', wrap: renamed((text) => text.toLowerCase()) },
  { wrong: 'writes every separator as a dash', case: 'name.separators', wrap: renamed((text) => text.replaceAll(/[/_.=@]/g, '-')) },
  { wrong: 'cuts long names', case: 'name.longest', wrap: renamed((text) => text.slice(0, 127)) },
  { wrong: 'ignores the signal before it sends', case: 'read.aborted-before', wrap: spoil((right) => ({ read: (name, at, call) => right.read(name, at, { ...call, signal: patient.signal }) })) },
  { wrong: 'ignores the signal while it waits', case: 'fault.slow.read', wrap: spoil((right) => ({ read: (name, at, call) => right.read(name, at, { ...call, signal: patient.signal }) })) },
  { wrong: 'answers its own error to an abort', case: 'read.aborted-before', wrap: onFailedRead((error) => {
    throw asLatchkeyError(error)
  }) },
  { wrong: 'ignores the deadline', case: 'read.deadline-before', wrap: spoil((right) => ({ read: (name, at, call) => right.read(name, at, { ...call, deadline: Infinity }) })) },
  { wrong: 'shares everything between two opens', case: 'open.independent', wrap: (provider) => (theOnly ??= provider) },
  { wrong: 'shows the value in a description', case: 'describe.no-value', wrap: spoil((right) => ({
    describe: async (name, call) => ({ ...(await right.describe(name, call)), description: (await right.read(name, {}, call)).value.reveal() }),
  })) },
  { wrong: 'shows the beginning of values in a list', case: 'list.no-values', wrap: spoil((right) => ({
    list: async (query, call) => {
      const page = await right.list(query, call)
      return { ...page, items: await Promise.all(page.items.map(async (item) => ({ ...item, labels: { hint: (await right.read(item.name, {}, call)).value.reveal().slice(0, 8) } }))) }
    },
  })) },
  { wrong: 'answers the value as a string beside the record', case: 'record.no-value', wrap: spoil((right) => ({
    read: async (...given) => {
      const record = await right.read(...given)
      return { ...record, text: record.value.reveal() }
    },
  })) },
  { wrong: 'lists one page and says it was all', case: 'list.pages', wrap: spoil((right) => ({ list: async (query, call) => ({ items: (await right.list(query, call)).items }) })) },
  { wrong: 'begins the list again for every cursor', case: 'list.pages', wrap: onList(({ cursor: _, ...query }) => query) },
  { wrong: 'takes any cursor', case: 'list.invalid-cursor', wrap: spoil((right) => ({
    list: (query, call) => right.list(query, call).catch((error: unknown) => (isCode(error, 'invalid_request') ? { items: [] } : Promise.reject(error as Error))),
  })) },
  { wrong: 'takes a prefix for whole segments', case: 'list.prefix', wrap: onList((query) => query, ({ name }, { prefix }) => name.text === prefix || name.text.startsWith(`${prefix}/`) || prefix.endsWith('/')) },
  { wrong: 'lists by prefix in any case', case: 'list.prefix', wrap: onList((query) => ({ ...query, prefix: '' }), ({ name }, { prefix }) => name.text.toLowerCase().startsWith(prefix.toLowerCase())) },
  { wrong: 'ignores the prefix', case: 'list.prefix', wrap: onList((query) => ({ ...query, prefix: query.prefix.replace(/[^/]*$/, '') })) },
  { wrong: 'ignores the label', case: 'list.label', wrap: onList(({ label: _, ...query }) => query) },
  { wrong: "compares a label's key only", case: 'list.label', wrap: onList(({ label: _, ...query }) => query, ({ labels }, { label }) => label === undefined || label[0] in labels) },
  { wrong: 'sorts a batch', case: 'batch.order', wrap: spoil((right) => ({ readMany: (names, call) => right.readMany([...names].sort((a, b) => (a.text < b.text ? -1 : 1)), call) })) },
  { wrong: 'leaves doubles out of a batch', case: 'batch.order', wrap: spoil((right) => ({ readMany: (names, call) => right.readMany([...new Set(names)], call) })) },
  { wrong: 'fails a batch for one missing name', case: 'batch.mixed', wrap: spoil((right) => ({ readMany: (names, call) => Promise.all(names.map((name) => right.read(name, {}, call))) })) },
  { wrong: 'reads only the first twenty of a batch', case: 'batch.many', wrap: spoil((right) => ({ readMany: (names, call) => right.readMany(names.slice(0, 20), call) })) },
  { wrong: 'throws from a check', case: 'fault.denied.check', wrap: spoil((right) => ({
    check: async (depth, call) => {
      await right.read({ text: 'litellm/probe', place: 'created' }, {}, call).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : Promise.reject(error as Error)))
      return right.check(depth, call)
    },
  })) },
  { wrong: 'finds every service ready', case: 'fault.malformed.check', wrap: spoil(() => ({ check: async () => [{ ok: true, subject: 'the service', message: 'is ready' }] })) },
]

// CyberArk Conjur, "Secrets Manager, Self-Hosted". Names are stored as they are. The service has no condition, no label and no delete of its own: what it lacks is held in a
// record beside each secret (credentials/conjur/chain.ts), and every name that is hosted is read from its own variable alone, so that a change made in Conjur is seen at once.
import { isCode, LatchkeyError, refuse } from '../core/errors.ts'
import { cursorAfter, positionOf } from '../core/names/cursors.ts'
import { defineProvider, type OpenedProvider, type ReadAt, type SecretProvider, type WriteRequest } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import type { SecretFacts, SecretName, SecretRecord, SecretValue } from '../core/secret.ts'
import { companions, conjurChain, type LoadedSecret } from '../credentials/conjur/chain.ts'
import { conjurLoginSettings, connectConjur, type ConjurLoginSettings } from '../credentials/conjur/login.ts'
import { annotated, atStage, decodeLink, versionOf, withDiscarded, withPromoted, withWrite, type Book, type Entry } from '../credentials/conjur/record.ts'
import { checkConjur } from '../credentials/conjur/privileges.ts'
import { takeTurns } from '../credentials/conjur/turns.ts'
import { conjurNames, conjurVariables } from '../credentials/conjur/variables.ts'

interface CyberArkSettings extends ConjurLoginSettings {
  readonly cyberark_policy_branch: string
  readonly cyberark_delete: boolean
}

const limits = { valueBytes: 65_536, pairs: 64, keyBytes: 128, labelBytes: 512 } as const
const tries = 6
/** Fifty records, each of as many values of the largest size as it may hold. */
const answerBytes = 33_554_432

const absent = (name: SecretName, what = 'secret'): LatchkeyError =>
  new LatchkeyError('not_found', `There is no such ${what}: ${name.text}.`, { hint: 'Conjur answers alike for a variable that is not there, one that has no value yet, and one that this login may not see (privilege read).' })
const conflict = (name: SecretName, why = 'has another current version than the one named, or another operation on it is in progress'): LatchkeyError => new LatchkeyError('conflict', `${name.text} ${why}.`, { retryAfter: 1 })

const checkValue = (value: SecretValue): void => {
  if (value.byteLength > limits.valueBytes) throw refuse('value', `is ${value.byteLength} bytes long; Latchkey stores at most ${limits.valueBytes} in Conjur`, 'too_large')
  if (value.byteLength === 0) throw refuse('value', 'must not be empty; Conjur cannot hold an empty value')
  if (value.byteLength <= 4_096 && value.bytes().every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d))) throw refuse('value', 'must not be made of white space alone; Conjur takes it for empty')
}

const checkLabels = (labels: Readonly<Record<string, string | null>> = {}): void => {
  const pairs = Object.entries(labels)
  if (pairs.length > limits.pairs) throw refuse('tags', `there are ${pairs.length}; Latchkey keeps ${limits.pairs} beside a secret in Conjur`)
  if (pairs.some(([key, text]) => key === '' || Buffer.byteLength(key) > limits.keyBytes || Buffer.byteLength(text ?? '') > limits.labelBytes)) throw refuse('tags', `a name has 1 to ${limits.keyBytes} bytes and a value at most ${limits.labelBytes}`)
}

const branchOf = (given: string): string => {
  if (/^[A-Za-z0-9_.@=-]{1,128}(?:\/[A-Za-z0-9_.@=-]{1,128}){0,15}$/.test(given) && !given.split('/').some((part) => /^\.+$/.test(part))) return given
  throw new LatchkeyError('misconfigured', 'cyberark_policy_branch must be the id of a policy, without a slash at either end.', { issues: [{ path: 'cyberark_policy_branch', message: 'is no policy id' }] })
}

const open = async (settings: CyberArkSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const branch = branchOf(settings.cyberark_policy_branch)
  const beside = companions(branch)
  const codec = conjurNames(settings.cyberark_account, beside.isOne)
  const connection = await connectConjur(settings, io, { maxAnswerBytes: answerBytes })
  const variables = conjurVariables(connection, branch, io)
  const chain = conjurChain(variables, beside.of, io.random)
  const inTurn = takeTurns(io.clock)
  const unverified = settings.cyberark_ssl_verify.trim().toLowerCase() === 'false'

  const recordOf = (name: SecretName, { book, entry }: { readonly book: Book; readonly entry: Entry }, value: SecretValue): SecretRecord => ({
    name,
    value,
    // Of what somebody else wrote, this answer does not say the number.
    ...(entry.operation !== undefined && { version: versionOf(entry) }),
    ...(book.expires !== undefined && { expires: new Date(book.expires) }),
  })
  const factsOf = (name: SecretName, { book, number }: LoadedSecret): SecretFacts => {
    const current = atStage(book, 'current')
    return {
      name,
      nativeName: codec.encode(name),
      ...(current !== undefined && { current: versionOf(current) }),
      versions: book.entries.map(versionOf),
      labels: book.labels,
      ...(number > 0 && { etag: `${number}` }),
      ...(book.description !== undefined && { description: book.description }),
      ...(book.created !== undefined && { created: new Date(book.created) }),
      ...(book.expires !== undefined && { expires: new Date(book.expires) }),
    }
  }
  const need = async (name: SecretName, call: Call): Promise<LoadedSecret> => {
    const loaded = await chain.load(codec.encode(name), call)
    if (loaded === undefined) throw absent(name)
    return loaded
  }
  const stillThere = (name: SecretName) => (error: unknown): never => {
    throw isCode(error, 'not_found') ? absent(name) : error
  }

  const read = async (name: SecretName, at: ReadAt, call: Call): Promise<SecretRecord> => {
    const id = codec.encode(name)
    if (at.version !== undefined && /^\d{1,9}$/.test(at.version)) return { name, value: await variables.value(id, call, Number(at.version)).catch(stillThere(name)), version: { id: at.version, stages: [], enabled: true } }
    if (at.version !== undefined || (at.stage ?? 'current') !== 'current') {
      const { book } = await need(name, call)
      const entry = at.version === undefined ? atStage(book, at.stage ?? '') : book.entries.find((each) => each.id === at.version)
      if (entry === undefined || (entry.value === undefined && entry.number === undefined)) throw absent(name, 'version of the secret')
      return recordOf(name, { book, entry }, entry.value ?? (await variables.value(id, call, entry.number).catch(stillThere(name))))
    }
    if (name.place !== 'created') return { name, value: await variables.value(id, call).catch(stillThere(name)) }
    const found = await chain.current(id, call)
    if (found?.entry.value === undefined) throw absent(name)
    return recordOf(name, found, found.entry.value)
  }

  const readMany = async (names: readonly SecretName[], call: Call): Promise<readonly (SecretRecord | LatchkeyError)[]> => {
    const asked = names.map((name) => ({ name, id: codec.encode(name) }))
    const found = await variables.many(asked.flatMap(({ name, id }) => (name.place === 'created' ? [id, beside.of(id)] : [id])), call)
    const answers: (SecretRecord | LatchkeyError)[] = []
    for (const { name, id } of asked) {
      const both = [id, ...(name.place === 'created' ? [beside.of(id)] : [])].map((each) => found.get(each))
      const failed = both.find((each) => each instanceof LatchkeyError && each.code !== 'not_found')
      const [main, record] = both.map((each) => (each instanceof LatchkeyError ? undefined : each))
      if (failed instanceof LatchkeyError) answers.push(failed)
      else if (name.place !== 'created') answers.push(main === undefined ? absent(name) : { name, value: main })
      else {
        const current = await chain.current(id, call, [main, record])
        answers.push(current?.entry.value === undefined ? absent(name) : recordOf(name, current, current.entry.value))
      }
    }
    return answers
  }

  const list: SecretProvider['list'] = async ({ prefix, label, cursor, limit }, call) => {
    const after = cursor === undefined ? undefined : positionOf(cursor)
    const all = new Map((await variables.all(call)).filter(({ numbers }) => numbers.length > 0).map(({ id, numbers }) => [id, numbers]))
    const ids = [...new Set([...all.keys()].map((id) => (beside.isOne(id) ? beside.mainOf(id) : id)))].filter((id) => id.startsWith(prefix) && (after === undefined || id > after)).toSorted()
    const page = ids.slice(0, limit)
    const records = await variables.many(page.map(beside.of).filter((id) => all.has(id)), call)
    const items: SecretFacts[] = []
    for (const id of page) {
      const name: SecretName = { text: id, place: 'created' }
      const record = records.get(beside.of(id))
      if (record instanceof LatchkeyError && record.code !== 'not_found') throw record
      const link = record === undefined || record instanceof LatchkeyError ? undefined : decodeLink(record)
      // The newest version of the record holds where it is based on the one before it; otherwise two writers met, and the chain is folded.
      const simple = link !== undefined && link.before + 1 === all.get(beside.of(id))?.at(-1)
      const loaded = record === undefined ? undefined : simple ? { book: link.book, number: link.before + 1, lagging: false } : await chain.load(id, call)
      const { versions: _versions, etag: _etag, current: _current, ...facts } = factsOf(name, loaded ?? { book: { entries: [], labels: {} }, number: 0, lagging: false })
      if (label === undefined || facts.labels[label[0]] === label[1]) items.push(facts)
    }
    return { items, ...(ids.length > page.length && { cursor: cursorAfter(page.at(-1) ?? '') }) }
  }

  /** The version that an earlier sending of this write made. */
  const earlier = (loaded: LoadedSecret | undefined, { operation, stage }: WriteRequest): Entry | undefined =>
    loaded?.book.entries.find((entry) => entry.operation === operation && (stage === 'pending' ? entry.stage !== 'gone' : entry.stage !== 'pending'))
  const refuseUnmet = (loaded: LoadedSecret | undefined, { name, expect, stage }: WriteRequest): void => {
    const current = atStage(loaded?.book, 'current')
    if (loaded === undefined && (stage === 'pending' || typeof expect === 'object')) throw absent(name)
    if (stage === 'pending' && atStage(loaded?.book, 'pending') !== undefined) throw conflict(name, 'is held by the claim of another operation')
    if (typeof expect === 'object' && current?.id !== expect.version) throw conflict(name)
    if (stage === 'current' && expect === 'absent' && loaded !== undefined) throw new LatchkeyError('already_exists', `There is a secret of that name already: ${name.text}.`)
  }
  const write: SecretProvider['write'] = (request, call) =>
    inTurn(request.name.text, call, async () => {
      const { name, value, stage } = request
      checkValue(value)
      checkLabels(request.labels)
      const id = codec.encode(name)
      variables.refuseOutside(id)
      for (let attempt = 0; attempt < tries; attempt += 1) {
        const loaded = await chain.load(id, call)
        const made = earlier(loaded, request)
        if (loaded !== undefined && made !== undefined) {
          if (made.stage === 'current') await chain.repair(id, loaded, call)
          return { outcome: 'same_operation', version: versionOf(made) }
        }
        refuseUnmet(loaded, request)
        const { book, entry } = withWrite(loaded?.book, request, io.clock.now())
        if (!(await chain.commit(id, book, loaded, call))) continue
        if (stage === 'current') await chain.mirror(id, value, call)
        return { outcome: 'written', version: versionOf(entry) }
      }
      throw conflict(name, 'keeps being changed by others')
    })

  /** Changes the record until the change holds; one that gives nothing ends it. */
  const change = (name: SecretName, call: Call, next: (loaded: LoadedSecret) => Book | undefined): Promise<void> =>
    inTurn(name.text, call, async () => {
      const id = codec.encode(name)
      for (let attempt = 0; attempt < tries; attempt += 1) {
        const loaded = await need(name, call)
        const book = next(loaded)
        if (book === undefined) return chain.repair(id, loaded, call)
        if (!(await chain.commit(id, book, loaded, call))) continue
        const current = atStage(book, 'current')
        if (current?.value !== undefined && current.id !== atStage(loaded.book, 'current')?.id) await chain.mirror(id, current.value, call)
        return
      }
      throw conflict(name, 'keeps being changed by others')
    })

  const remove: SecretProvider['remove'] = async (name, { expect }, call) => {
    const id = codec.encode(name)
    const loaded = await need(name, call)
    if (typeof expect === 'object' && atStage(loaded.book, 'current')?.id !== expect.version) throw conflict(name)
    await variables.unmake(loaded.number > 0 ? [id, beside.of(id)] : [id], call)
    return {}
  }

  return {
    read,
    readMany,
    list,
    write,
    check: (depth, call) => checkConjur(variables, { branch, deletes: settings.cyberark_delete, isRecord: beside.isOne }, depth, call),
    ...(settings.cyberark_delete && { remove }),
    describe: async (name, call) => factsOf(name, await need(name, call)),
    promote: (name, { to, from }, call) =>
      change(name, call, ({ book }) => {
        const [current, claim] = [atStage(book, 'current'), atStage(book, 'pending')]
        if (current?.id === to) return undefined
        if (current?.id !== from || claim?.id !== to) throw conflict(name)
        return withPromoted(book, claim)
      }),
    discard: async (name, version, call) => {
      const ended = change(name, call, ({ book }) => {
        const entry = book.entries.find(({ id }) => id === version)
        if (entry?.stage === 'current') throw conflict(name, 'has that version as its current one')
        return entry === undefined || entry.stage === 'gone' ? undefined : withDiscarded(book, version)
      })
      await ended.catch((error: unknown) => (isCode(error, 'not_found') ? undefined : Promise.reject(error as Error)))
    },
    annotate: async (name, annotation, call) => {
      checkLabels(annotation.labels)
      await change(name, call, ({ book, number }) => {
        if (annotation.etag !== undefined && annotation.etag !== `${number}`) throw conflict(name, 'was changed since')
        return annotated(book, annotation)
      })
    },
    close: () => variables.close(),
    ...(unverified && { notices: ["cyberark_ssl_verify is false: the certificate of Conjur is not checked, so anybody between could read the login's key and every secret."] }),
    traits: {
      names: codec,
      settleMs: 0,
      versions: 'opaque',
      ...(settings.cyberark_refresh_interval !== 300 && { cacheTtlMs: settings.cyberark_refresh_interval * 1000 }),
      value: { maxBytes: limits.valueBytes, empty: false, bytes: 'any' },
      write: { guarantee: 'detected', softDelete: false, labels: { travel: 'always', pairs: limits.pairs, keyBytes: limits.keyBytes, valueBytes: limits.labelBytes, filter: false } },
    },
  }
}

/** CyberArk Conjur. */
export const cyberark = defineProvider<CyberArkSettings>({
  name: 'cyberark',
  title: 'CyberArk Conjur',
  settings: {
    ...conjurLoginSettings,
    cyberark_policy_branch: { type: 'string', default: 'root', text: 'Policy into which new variables are loaded; names must then begin with its id. The same for everybody who writes.' },
    cyberark_delete: { type: 'boolean', default: false, text: 'Whether the login may delete variables: it needs the privilege `update` on that policy. Without it deleting is unsupported.' },
  },
  open,
})

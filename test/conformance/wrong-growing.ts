// Providers that are wrong on purpose, third part: what shows only when much happens at once, when somebody leaves in the middle, when a credential has expired,
// when the answer is nonsense, and in names and tags that nobody thinks of.
import { hash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { isCode, LatchkeyError } from '../../shared/core/errors.ts'
import type { SecretProvider, WriteRequest } from '../../shared/core/provider.ts'
import type { Call, Clock } from '../../shared/core/runtime.ts'
import { SecretValue, type SecretFacts, type SecretName, type SecretRecord } from '../../shared/core/secret.ts'
import type { Wrap } from './harnesses/memory.ts'
import { spoil, type Whole, type WrongProvider } from './wrong-reading.ts'

const patientOf = (call: Call): Call => ({ ...call, signal: new AbortController().signal })
const turn = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve))

/** Takes what a proxy answers for something. */
const believes = (kind: string, make: (name: SecretName) => SecretRecord): Wrap =>
  spoil((right) => ({
    read: (name, at, call) =>
      right.read(name, at, call).catch((error: unknown) => {
        if (error instanceof LatchkeyError && error.details.vendor?.name === kind) return make(name)
        throw error
      }),
  }))
const believesWrites = (kind: string): Wrap =>
  spoil((right) => ({
    write: (request, call) =>
      right.write(request, call).catch((error: unknown) => {
        if (error instanceof LatchkeyError && error.details.vendor?.name === kind) return { outcome: 'written' as const }
        throw error
      }),
  }))
const asAbsence = (kind: string): Wrap => believes(kind, (name) => {
  throw new LatchkeyError('not_found', `There is no such secret: ${name.text}.`)
})
const asValue = (kind: string, text: string): Wrap => believes(kind, (name) => ({ name, value: SecretValue.of(text) }))

/** Changes names on their way to the service, both ways of asking alike. */
const called = (change: (name: SecretName) => string): Wrap =>
  spoil((right) => ({
    read: async (name, at, call) => ({ ...(await right.read({ ...name, text: change(name) }, at, call)), name }),
    write: (request, call) => right.write({ ...request, name: { ...request.name, text: change(request.name) } }, call),
    describe: async (name, call) => ({ ...(await right.describe({ ...name, text: change(name) }, call)), name }),
  }))

/** Only so many at once: what comes beyond is served, wrongly. */
const crowded = <Given extends readonly unknown[], T>(most: number, right: (...given: Given) => Promise<T>, wrong: (...given: Given) => Promise<T>): ((...given: Given) => Promise<T>) => {
  let inFlight = 0
  return async (...given) => {
    inFlight += 1
    try {
      if (inFlight > most) return await wrong(...given)
      await turn()
      return await right(...given)
    } finally {
      inFlight -= 1
    }
  }
}

const withoutCapitals = async (right: Whole, name: SecretName, call: Call): Promise<void> => {
  const { labels } = await right.describe(name, call)
  const lost = Object.keys(labels).filter((key) => /[A-Z]/.test(key))
  if (lost.length > 0) await right.annotate(name, { labels: Object.fromEntries(lost.map((key) => [key, null])) }, call)
}
const losing = (when: (request: WriteRequest) => boolean): Wrap =>
  spoil((right) => ({
    write: async (request, call) => {
      const outcome = await right.write(request, call)
      if (when(request)) await withoutCapitals(right, request.name, call)
      return outcome
    },
  }))

const hour = 3_600_000
const refused = (): LatchkeyError => new LatchkeyError('provider_denied', 'The service refused the credential.')
const aging = (act: (right: SecretProvider, clock: Clock, opened: number) => Partial<SecretProvider>): Wrap => (provider, clock) => ({ ...provider, ...act(provider, clock, clock.now()) })

const madeAnywhere = new Set<string>()

/** A second call that does not listen to the caller any more. */
const thenDeaf = (second: (right: Whole, request: WriteRequest, call: Call) => Promise<unknown>): Wrap =>
  spoil((right) => ({
    write: async (request, call) => {
      const outcome = await right.write(request, call)
      await second(right, request, patientOf(call))
      return outcome
    },
  }))
const look = (right: Whole, name: SecretName, call: Call): Promise<unknown> => right.read(name, {}, call).catch((error: unknown) => (isCode(error, 'not_found') ? undefined : Promise.reject(error as Error)))
const deaf = <K extends 'promote' | 'discard' | 'annotate' | 'remove' | 'recover' | 'list' | 'readMany'>(key: K): Wrap =>
  spoil((right) => ({
    [key]: async (...given: readonly unknown[]) => {
      const call = given.at(-1) as Call
      const answer = await (right[key] as (...all: readonly unknown[]) => Promise<unknown>)(...given)
      await right.list({ prefix: 'litellm/exam-nothing', limit: 1 }, patientOf(call))
      return answer
    },
  }))

const failedWrite = (change: (request: WriteRequest) => LatchkeyError): Wrap => spoil((right) => ({ write: (request, call) => right.write(request, call).catch(() => Promise.reject(change(request))) }))
const told = (detail: (value: SecretValue) => string): Wrap => failedWrite(({ value }) => new LatchkeyError('already_exists', 'There is a secret already.', { detail: detail(value) }))
const hidden = (facts: SecretFacts, key: string): SecretFacts => ({ ...facts, labels: Object.fromEntries(Object.entries(facts.labels).filter(([label]) => label !== key)) })

/** Wrong where the exam grew. */
export const wrongGrown: readonly WrongProvider[] = [
  { wrong: 'remembers in its file which names it made, on whatever service', case: 'open.side-by-side', wrap: spoil((right) => ({
    write: async (request, call) => {
      const key = request.name.text
      if (key.includes('-both') && madeAnywhere.has(key)) throw new LatchkeyError('already_exists', 'There is a secret of that name already.')
      madeAnywhere.add(key)
      return right.write(request, call)
    },
  })) },
  { wrong: 'answers the value of another when more than fifty ask at once', case: 'read.two-hundred', wrap: spoil((right) => {
    let last: SecretRecord | undefined
    const remember = async (...given: Parameters<Whole['read']>): Promise<SecretRecord> => (last = await right.read(...given))
    return { read: crowded(50, remember, async (...given) => (await turn(), await turn(), last ?? right.read(...given))) }
  }) },
  { wrong: 'finds nothing when more than fifty ask at once', case: 'read.two-hundred', wrap: spoil((right) => ({ read: crowded(50, right.read, (name) => Promise.reject(new LatchkeyError('not_found', `There is no such secret: ${name.text}.`))) })) },
  { wrong: 'reads only the first hundred of a batch', case: 'batch.two-hundred', wrap: spoil((right) => ({ readMany: (names, call) => right.readMany(names.slice(0, 100), call) })) },
  { wrong: 'sorts a batch of more than a hundred', case: 'batch.two-hundred', wrap: spoil((right) => ({ readMany: (names, call) => right.readMany(names.length > 100 ? names.toSorted((a, b) => (a.text < b.text ? -1 : 1)) : names, call) })) },
  { wrong: 'drops writes when more than fifty wait, and says that they are done', case: 'write.two-hundred', wrap: spoil((right) => ({ write: crowded(50, right.write, async () => ({ outcome: 'written' as const })) })) },
  { wrong: 'keeps its credential for ever', case: 'credential.expires', wrap: aging((right, clock, opened) => ({ read: (...given) => (clock.now() - opened > hour ? Promise.reject(refused()) : right.read(...given)) })) },
  { wrong: 'renews its credential for reads only', case: 'credential.expires', wrap: aging((right, clock, opened) => ({ write: (...given) => (clock.now() - opened > hour ? Promise.reject(refused()) : (right.write?.(...given) ?? Promise.reject(refused()))) })) },
  { wrong: 'renews its credential for the first who notices, and refuses the others', case: 'credential.expires-for-many', wrap: aging((right, clock, opened) => {
    let renewed = opened
    let renewing = false
    return {
      read: async (...given) => {
        if (renewing) throw refused()
        if (clock.now() - renewed > hour) {
          renewing = true
          await turn()
          renewing = false
          renewed = clock.now()
        }
        return right.read(...given)
      },
    }
  }) },
  { wrong: 'loses labels with capitals when it promotes', case: 'tags.over-rotation', wrap: spoil((right) => ({
    promote: async (name, move, call) => {
      await right.promote(name, move, call)
      await withoutCapitals(right, name, call)
    },
  })) },
  { wrong: 'loses labels with capitals when it replaces a replacement', case: 'tags.over-replacements', wrap: losing(({ epoch, stage, operation }) => stage === 'current' && (epoch ?? 0) > 2 && operation.includes('rotate')) },
  { wrong: 'loses labels with capitals when it writes a tombstone', case: 'tags.over-tombstone', wrap: losing(({ operation, labels }) => operation.includes('delete') && labels?.['latchkey-state'] === 'revoked') },
  { wrong: 'loses labels with capitals when it writes on top of what was recovered', case: 'tags.over-recovery', wrap: losing(({ expect, operation }) => expect === 'any' && operation.includes('create')) },
  { wrong: 'shows no label with a space once another label was taken off', case: 'tags.over-annotation', wrap: spoil((right) => {
    const touched = new Set<string>()
    return {
      annotate: async (name, change, call) => {
        await right.annotate(name, change, call)
        if (Object.values(change.labels ?? {}).includes(null)) touched.add(name.text)
      },
      describe: async (name, call) => {
        const facts = await right.describe(name, call)
        return touched.has(name.text) ? hidden(facts, 'Owner') : facts
      },
    }
  }) },
  { wrong: 'writes doubled dashes once', case: 'name.doubled', wrap: called(({ text }) => text.replaceAll(/\/a-+b$/g, '/a-b')) },
  { wrong: 'writes doubled equals signs once', case: 'name.doubled', wrap: called(({ text }) => text.replaceAll('==', '=')) },
  { wrong: 'leaves slashes out', case: 'name.segments', wrap: called(({ text }) => text.replace(/\/(a?)\/?(b?)\/?(c?)\/?(d?)$/, '/$1$2$3$4')) },
  { wrong: 'cuts segments at sixty-three characters', case: 'name.longest-segment', wrap: called(({ text }) => text.split('/').map((segment) => segment.slice(0, 63)).join('/')) },
  { wrong: 'takes names for numbers', case: 'name.numbers', wrap: called(({ text }) => text.replace(/\/([\d.e-]+)$/, (whole, last: string) => (Number.isFinite(Number(last)) ? `/${Number(last)}` : whole))) },
  { wrong: 'looks for names in an object that inherits', case: 'name.inherited-missing', wrap: spoil((right) => ({
    read: async (name, at, call) => {
      const found: unknown = ({} as Record<string, unknown>)[name.text.split('/').at(-1) ?? '']
      return found === undefined ? right.read(name, at, call) : right.read(name, at, call).catch(() => ({ name, value: SecretValue.of(String(found)) }))
    },
  })) },
  { wrong: 'takes the name null for no name', case: 'name.inherited', wrap: called(({ text }) => text.replace(/\/(?:null|undefined)$/, '/none')) },
  { wrong: 'folds the case of deep segments', case: 'name.drawn', wrap: called(({ text }) => text.split('/').map((segment, depth) => (depth > 2 ? segment.toLowerCase() : segment)).join('/')) },
  { wrong: 'answers what it made under its encoded form as well', case: 'name.encoded-form', wrap: (provider) => ({
    ...provider,
    read: ({ text, place }, at, call) => provider.read(place === 'hosted' && text.includes('-2f') ? { text: text.replaceAll('-2f', '/').replaceAll('-2d', '-'), place: 'created' } : { text, place }, at, call),
    traits: { ...provider.traits, names: { ...provider.traits.names, encode: ({ text, place }) => (place === 'created' ? text.replaceAll('-', '-2d').replaceAll('/', '-2f') : text) } },
  }) },
  { wrong: 'takes two dots for the way up', case: 'name.double-dots', wrap: called(({ text }) => text.replace(/a\.\.b$/, 'a.b')) },
  { wrong: 'takes HTML for a value', case: 'fault.html.read', wrap: asValue('html', '<html>') },
  { wrong: 'takes HTML for an absence', case: 'fault.html.read', wrap: asAbsence('html') },
  { wrong: 'takes HTML for a write', case: 'fault.html.create', wrap: believesWrites('html') },
  { wrong: 'takes a page that calls itself JSON for a value', case: 'fault.mistyped.read', wrap: asValue('mistyped', '<html>') },
  { wrong: 'takes nothing for an empty value', case: 'fault.empty.read', wrap: asValue('empty', '') },
  { wrong: 'takes nothing for an absence', case: 'fault.empty.read-missing', wrap: asAbsence('empty') },
  { wrong: 'takes nothing for a write', case: 'fault.empty.create', wrap: believesWrites('empty') },
  { wrong: 'takes a refusal with 200 for a value', case: 'fault.error_body.read', wrap: asValue('error_body', 'undefined') },
  { wrong: 'takes a refusal with 200 for a write', case: 'fault.error_body.replace', wrap: believesWrites('error_body') },
  { wrong: 'takes a redirect for an absence', case: 'fault.redirect.read', wrap: asAbsence('redirect') },
  { wrong: 'takes a redirect for a write', case: 'fault.redirect.create', wrap: believesWrites('redirect') },
  { wrong: 'takes HTML for an empty list', case: 'fault.html.list', wrap: spoil((right) => ({ list: (query, call) => right.list(query, call).catch((error: unknown) => (error instanceof LatchkeyError && error.details.vendor?.name === 'html' ? { items: [] } : Promise.reject(error as Error))) })) },
  { wrong: 'does not listen any more once the value is written', case: 'fault.slow.create.call-2', wrap: thenDeaf((right, { name }, call) => look(right, name, call)) },
  { wrong: 'does not listen any more once the claim is written', case: 'fault.slow.claim.call-2', wrap: thenDeaf((right, { name, stage }, call) => (stage === 'pending' ? look(right, name, call) : Promise.resolve())) },
  { wrong: 'does not listen any more in the third call of a replacement', case: 'fault.slow.replace.call-3', wrap: thenDeaf(async (right, { name, expect, stage }, call) => {
    if (typeof expect !== 'object' || stage === 'pending') return
    await right.describe(name, call)
    await look(right, name, call)
  }) },
  { wrong: 'does not listen any more once it has promoted', case: 'fault.slow.promote.call-2', wrap: deaf('promote') },
  { wrong: 'does not listen any more once it has discarded', case: 'fault.slow.discard.call-2', wrap: deaf('discard') },
  { wrong: 'does not listen any more once it has annotated', case: 'fault.slow.annotate.call-2', wrap: deaf('annotate') },
  { wrong: 'does not listen any more once it has removed', case: 'fault.slow.remove.call-2', wrap: deaf('remove') },
  { wrong: 'does not listen any more once it has recovered', case: 'fault.slow.recover.call-2', wrap: deaf('recover') },
  { wrong: 'does not listen any more on the second page of a list', case: 'fault.slow.list.call-2', wrap: deaf('list') },
  { wrong: 'does not listen any more in the second call of a batch', case: 'fault.slow.read-many.call-2', wrap: deaf('readMany') },
  { wrong: 'gzips the value into the detail of a failure', case: 'write.create-existing', wrap: told((value) => gzipSync(value.reveal()).toString('base64')) },
  { wrong: 'escapes the value into the detail of a failure', case: 'write.create-existing', wrap: told((value) => [...value.bytes()].map((byte) => `%${byte.toString(16).toUpperCase()}`).join('')) },
  { wrong: 'prints the bytes of the value into the detail of a failure', case: 'write.create-existing', wrap: told((value) => JSON.stringify([...value.bytes()])) },
  { wrong: 'turns the value round in the detail of a failure', case: 'write.create-existing', wrap: told((value) => [...value.reveal()].reverse().join('')) },
  { wrong: 'shows how the value ends in the detail of a failure', case: 'write.create-existing', wrap: told((value) => `…${value.reveal().slice(-8)}`) },
  { wrong: 'shows a digest of the value in the detail of a failure', case: 'write.create-existing', wrap: told((value) => `sha256 ${hash('sha256', value.bytes(), 'hex')}`) },
]

// The whole life of a virtual key on a real provider, step by step, each step seen by somebody else: a client that knows nothing of Latchkey reads value, marks and older
// versions from the service itself, and whoever accepts tokens is asked as well.
import { expect } from 'vitest'
import type { Gateway } from '../../shared/core/gateway.ts'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import type { KeyAnswer } from '../../shared/core/virtual-key.ts'
import { watch } from '../support/canary.ts'
import { callOf, type TestRuntime } from '../support/runtime.ts'

/** What an independent client sees of one secret. */
export interface SeenSecret {
  /** The service's own name of it. */
  readonly native: string
  /** What a client gets that reads the service itself and says nothing of versions, as LiteLLM does. */
  readonly value: string
  /** Tags, labels, annotations, metadata: the pairs beside the value. */
  readonly marks: Readonly<Record<string, string>>
  readonly description: string | undefined
  /** Every version that the service still lists or gives out, oldest first; `value` where it is still given out. */
  readonly versions: readonly { readonly says: string; readonly value?: string }[]
}

/** A client of the service that is not ours. */
export interface LifeReader {
  see(name: string): Promise<SeenSecret>
  /** As LiteLLM stores a key: the service's plain create, without any mark. */
  foreignWrite(name: string, value: string): Promise<void>
}

/** A gateway beside the store, and its own account of who is let in. */
export interface LifeGateway {
  readonly port: Gateway
  accepts(token: string): boolean
  /** What stands in the row of a token. */
  row(token: string): { readonly alias: string | null; readonly team: string | null; readonly blocked: boolean; readonly expires: string | null } | undefined
  /** Lets a token in as somebody else's program would. */
  seed(token: string, alias: string): void
}

/** Where a life is led. */
export interface LifeScene {
  readonly provider: SecretProvider
  readonly runtime: TestRuntime
  readonly reader: LifeReader
  readonly gateway?: LifeGateway
  /** Makes the aliases of this life nobody else's, on a server that others use too. */
  readonly run?: string
  /** Whether the service's clock goes by itself. */
  readonly wallClock?: boolean
  /** Whether the service can take the value of an old version back. Where it cannot, its own clients find it there for as long as the service keeps it. */
  readonly forgets: boolean
  /** Whether the names had keys before, which were deleted. */
  readonly overTombstones?: boolean
}

/** What the independent client saw after each step. */
export type LifeSights = Readonly<Record<'created' | 'updated' | 'inGrace' | 'graceOver' | 'blocked' | 'unblocked' | 'renamed' | 'oldName' | 'deleted' | 'recreated' | 'foreign' | 'adopted' | 'rotated', SeenSecret>>

/** Where the service's clock goes by itself, this one is set before it only by so little that an operation forgives it. */
const graceOf = (wallClock: boolean): number => (wallClock ? 3_000 : 3_600_000)
const [day, tags, description] = [86_400_000, { Owner: 'AI Platform team' }, 'A key of the gateway']

/** LiteLLM's other fields as they stand beside the value. */
const dataIn = (marks: SeenSecret['marks']): unknown => {
  const text = Object.keys(marks).filter((key) => /^latchkey-data-\d+$/.test(key)).toSorted().map((key) => marks[key]).join('')
  return text === '' ? {} : (JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as unknown)
}
/** The values that the service still gives out. */
const given = ({ versions }: SeenSecret): readonly string[] => [...new Set(versions.flatMap(({ value }) => value ?? []))]

/** Creates, updates, rotates with grace, blocks, unblocks, renames, deletes and creates a key again, adopts a foreign one, and compares every step with what `reader` sees. */
export const wholeLife = async ({ provider, runtime, reader, gateway, forgets, run = '', wallClock = false, overTombstones = false }: LifeScene): Promise<LifeSights> => {
  const { clock } = runtime
  const graceMs = graceOf(wallClock)
  const store = { name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' as const }, invalidate: () => undefined }
  const keys = new KeyLifecycle(store, { clock, random: runtime.random, tags, description, ...(gateway !== undefined && { gateway: gateway.port }) })
  const [alias, renamed, foreign] = [`ci${run}`, `deploy${run}`, `theirs${run}`]
  const call = () => callOf(clock)
  const context = (route: string) => ({ call: call(), caller: 'tester', route, body: '{}' })
  const tokens: string[] = []
  const tokenOf = ({ key }: KeyAnswer, what: string): string => {
    tokens.push(watch(`${what} token of ${alias}`, key?.reveal() ?? ''))
    return tokens.at(-1) ?? ''
  }

  /** The tokens of this life that a version of the secret still holds. */
  const tokensIn = (seen: SeenSecret): readonly string[] => given(seen).filter((value) => tokens.includes(value))
  /** Whether each token is accepted: by `verify`, and by the gateway, which must agree. */
  const accepted = async (...asked: readonly string[]): Promise<readonly boolean[]> => {
    const verified: boolean[] = []
    for (const token of asked) verified.push((await keys.verify(SecretValue.of(token), call())).valid)
    if (gateway !== undefined) expect(asked.map((token) => gateway.accepts(token))).toEqual(verified)
    return verified
  }
  /** What is seen of a live key: its token, the marks that every key has, and nothing that is not as Latchkey left it. */
  const living = async (at: string, token: string, keyId: string, more: Readonly<Record<string, string>> = {}): Promise<SeenSecret> => {
    const seen = await reader.see(`litellm/${at}`)
    expect(seen).toMatchObject({ value: token, description, marks: { 'managed-by': 'latchkey', 'latchkey-key-id': keyId, ...tags, ...more } })
    expect(seen.versions.at(-1)?.value).toBe(token)
    const info = await keys.info({ alias: at }, call())
    expect([info.keyId, info.drift]).toEqual([keyId, undefined])
    if (gateway !== undefined) expect(gateway.row(token)).toMatchObject({ alias: at, blocked: 'latchkey-blocked' in seen.marks })
    return seen
  }
  /** What is seen of a tombstone: no token, and none of the marks by which a key is found. */
  const ended = async (at: string, state: RegExp): Promise<SeenSecret> => {
    const seen = await reader.see(`litellm/${at}`)
    expect(seen.value).not.toMatch(/^sk-/)
    expect(seen.marks).toMatchObject({ 'managed-by': 'latchkey', 'latchkey-state': expect.stringMatching(state) as string })
    await expect(keys.info({ alias: at }, call())).rejects.toMatchObject({ code: 'not_found' })
    return seen
  }

  const after = (days: number): string => new Date(clock.now() + days * day).toISOString()

  for (const name of overTombstones ? [alias, renamed] : []) {
    await keys.create({ alias: name, teamId: 'former', data: { models: ['former'] } }, context('/key/generate'))
    await keys.remove({ alias: name }, context('/key/delete'))
  }

  const begun = after(30)
  const made = await keys.create({ alias, teamId: 'payments', durationMs: 30 * day, data: { models: ['m'] } }, context('/key/generate'))
  const [first, { keyId }] = [tokenOf(made, 'first'), made]
  const created = await living(alias, first, keyId, { 'latchkey-team': 'payments', 'latchkey-epoch': String(made.epoch), 'latchkey-not-after': begun })
  expect([made.stored.name, tokensIn(created), dataIn(created.marks), await accepted(first, `${first}x`)]).toEqual([`litellm/${alias}`, [first], { models: ['m'] }, [true, false]])

  const said = { 'latchkey-team': 'research', 'latchkey-not-after': after(60) }
  await keys.update({ alias }, { teamId: 'research', durationMs: 60 * day, data: { models: ['m', 'n'], max_budget: 5 } }, context('/key/update'))
  const updated = await living(alias, first, keyId, said)
  expect([dataIn(updated.marks), await accepted(first)]).toEqual([{ models: ['m', 'n'], max_budget: 5 }, [true]])
  if (gateway !== undefined) expect(gateway.row(first)).toMatchObject({ team: 'research', expires: said['latchkey-not-after'] })

  const second = tokenOf(await keys.rotate({ keyId }, { graceMs }, context('/key/regenerate')), 'second')
  const inGrace = await living(alias, second, keyId, { ...said, 'latchkey-epoch': String(made.epoch + 1) })
  expect(given(inGrace)).toContain(first)
  expect([dataIn(inGrace.marks), await accepted(first, second)]).toEqual([{ models: ['m', 'n'], max_budget: 5 }, [true, true]])

  clock.set(Math.max(clock.now(), wallClock ? Date.now() : 0) + graceMs + 1_000)
  // A server that others use is not swept.
  const ends = async (repair: boolean) => (wallClock ? [] : (await keys.reconcile({ limit: 50, repair }, context('sweep'))).items.map(({ name, finding }) => [name, finding]))
  expect(await ends(true)).toEqual(wallClock ? [] : [[`litellm/${alias}`, 'grace_over']])
  const graceOver = await living(alias, second, keyId)
  expect([tokensIn(graceOver).includes(first), await accepted(first, second)]).toEqual([wallClock || !forgets, [false, true]])

  await keys.setBlocked({ alias }, true, context('/key/block'))
  const blocked = await living(alias, second, keyId, { 'latchkey-blocked': keyId })
  expect(await accepted(second)).toEqual([false])

  await keys.setBlocked({ alias }, false, context('/key/unblock'))
  const unblocked = await living(alias, second, keyId)
  expect(['latchkey-blocked' in unblocked.marks, await accepted(first, second)]).toEqual([false, [false, true]])

  const moved = await keys.update({ alias }, { alias: renamed }, context('/key/update'))
  const there = await living(renamed, second, keyId, said)
  expect([moved.keyId, tokensIn(there), dataIn(there.marks), await accepted(first, second)]).toEqual([keyId, [second], { models: ['m', 'n'], max_budget: 5 }, [false, true]])
  const oldName = await ended(alias, new RegExp(`^(revoked|to litellm/${renamed})$`))
  expect(tokensIn(oldName)).toEqual(forgets ? [] : [first, second])

  await keys.remove({ keyId }, context('/key/delete'))
  const deleted = await ended(renamed, /^revoked$/)
  expect([tokensIn(deleted), await accepted(first, second)]).toEqual([forgets ? [] : [second], [false, false]])

  const anew = await keys.create({ alias: renamed }, context('/key/generate'))
  const third = tokenOf(anew, 'third')
  const recreated = await living(renamed, third, anew.keyId)
  expect(anew.keyId).not.toBe(keyId)
  expect(Object.keys(recreated.marks).filter((key) => /^latchkey-(team|not-after|blocked|data-\d+)$/.test(key))).toEqual([])
  expect(await accepted(second, third)).toEqual([false, true])

  const adoptable = async (cursor?: string): Promise<readonly string[]> => {
    const page = await keys.adoptable({ limit: 100, ...(cursor !== undefined && { cursor }) }, call())
    return [...page.items.map((each) => each.alias), ...(page.cursor === undefined ? [] : await adoptable(page.cursor))]
  }
  const theirs = watch('token that LiteLLM made', `sk-litellm-${Buffer.from(runtime.random.bytes(16)).toString('hex')}`)
  await reader.foreignWrite(`litellm/${foreign}`, theirs)
  gateway?.seed(theirs, foreign)
  // Once the service shows to everybody what somebody wrote.
  if (!wallClock) clock.advance(provider.traits.settleMs)
  const before = await reader.see(`litellm/${foreign}`)
  expect([before.value, before.marks['managed-by']]).toEqual([theirs, undefined])
  expect(await adoptable()).toContain(foreign)
  const taken = await keys.adopt({ alias: foreign, teamId: 'payments' }, context('/key/adopt'))
  const adopted = await reader.see(`litellm/${foreign}`)
  expect(adopted).toMatchObject({ value: theirs, marks: { 'managed-by': 'latchkey', 'latchkey-key-id': taken.keyId, 'latchkey-team': 'payments', ...tags } })
  const drift = async (): Promise<unknown> => (await keys.info({ alias: foreign }, call())).drift
  expect([given(adopted), await drift(), await accepted(theirs)]).toEqual([[theirs], undefined, [true]])

  const fourth = tokenOf(await keys.rotate({ alias: foreign }, {}, context('/key/regenerate')), 'fourth')
  const rotated = await reader.see(`litellm/${foreign}`)
  expect(rotated).toMatchObject({ value: fourth, marks: { 'latchkey-key-id': taken.keyId } })
  expect([await drift(), await accepted(theirs, fourth)]).toEqual([undefined, [false, true]])

  expect(await ends(false)).toEqual([])
  return { created, updated, inGrace, graceOver, blocked, unblocked, renamed: there, oldName, deleted, recreated, foreign: before, adopted, rotated }
}

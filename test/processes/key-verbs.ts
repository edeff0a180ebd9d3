// What a killed process may leave of a key, verb by verb: the request, the state before it and the state after it. Whatever boundary the kill hit, one of the two must
// hold once somebody has repeated the request or the sweep has passed; and of a repetition that is answered, the one that the answer tells.
import type { Said, Scene, Server } from './scene.ts'

/** One key, one operation on it. */
export interface KeyCase {
  readonly verb: Verb
  readonly alias: string
  /** The name that a renaming gives it. */
  readonly renamed: string
  readonly idempotencyKey: string
  keyId?: string
  /** The token that was answered before the operation. */
  first?: string
}

/** A state of a key: under which name, with how many tokens drawn, which of them is current, and who is accepted. */
interface Standing {
  readonly alias: string
  readonly blocked: boolean
  readonly models: readonly string[]
  /** Whether the token is another one than the first. */
  readonly rotated: boolean
  /** Whether the first token is still accepted beside it. */
  readonly grace: boolean
}

interface Verb {
  readonly name: string
  readonly line: string
  body(subject: KeyCase): object
  /** What the key is blocked with before, and the like. */
  readonly prepares?: readonly string[]
  /** Nothing: there is no such key. */
  before(subject: KeyCase): Standing | undefined
  after(subject: KeyCase): Standing | undefined
}

const made = ({ alias }: KeyCase): Standing => ({ alias, blocked: false, models: ['gpt-4o'], rotated: false, grace: false })
const byId = ({ keyId }: KeyCase): object => ({ key: keyId })

/** Everything that changes a key, with an `Idempotency-Key`. */
export const verbs: readonly Verb[] = [
  { name: 'create', line: 'POST /key/generate', body: ({ alias }) => ({ key_alias: alias, models: ['gpt-4o'] }), before: () => undefined, after: made },
  { name: 'rotate with grace', line: 'POST /key/regenerate', body: ({ alias }) => ({ key_alias: alias, grace_period: '1h' }), before: made, after: (subject) => ({ ...made(subject), rotated: true, grace: true }) },
  { name: 'rotate', line: 'POST /key/regenerate', body: byId, before: made, after: (subject) => ({ ...made(subject), rotated: true }) },
  { name: 'update', line: 'POST /key/update', body: (subject) => ({ ...byId(subject), models: ['gpt-4o-mini'] }), before: made, after: (subject) => ({ ...made(subject), models: ['gpt-4o-mini'] }) },
  { name: 'block', line: 'POST /key/block', body: byId, before: made, after: (subject) => ({ ...made(subject), blocked: true }) },
  { name: 'unblock', line: 'POST /key/unblock', body: byId, prepares: ['POST /key/block'], before: (subject) => ({ ...made(subject), blocked: true }), after: made },
  { name: 'rename', line: 'POST /key/update', body: (subject) => ({ ...byId(subject), key_alias: subject.renamed }), before: made, after: (subject) => ({ ...made(subject), alias: subject.renamed }) },
  { name: 'delete', line: 'POST /key/delete', body: ({ keyId }) => ({ keys: [keyId] }), before: made, after: () => undefined },
]

/** Makes what the operation starts from. Answers how many requests were acknowledged. @throws when that fails: the case says nothing then */
export const prepare = async (subject: KeyCase, server: Server): Promise<number> => {
  if (subject.verb.name === 'create') return 0
  const said = await server.send('POST /key/generate', { key_alias: subject.alias, models: ['gpt-4o'] })
  if (said.status !== 200) throw new Error(`${subject.alias} could not be made: ${JSON.stringify(said.json)}`)
  subject.keyId = String(said.json['key_id'])
  subject.first = String(said.json['key'])
  for (const line of subject.verb.prepares ?? []) {
    const prepared = await server.send(line, byId(subject))
    if (prepared.status !== 200) throw new Error(`${line} was refused: ${JSON.stringify(prepared.json)}`)
  }
  return 1 + (subject.verb.prepares?.length ?? 0)
}

/** Where a key stands that ought to stand there. */
export const aliasAfter = (subject: KeyCase, when: 'before' | 'after'): string | undefined => subject.verb[when](subject)?.alias

const differing = (what: string, found: unknown, meant: unknown): readonly string[] => (JSON.stringify(found) === JSON.stringify(meant) ? [] : [`${what} ${JSON.stringify(found)} instead of ${JSON.stringify(meant)}`])

/** How many of the tokens a server and the gateway accept now. */
const accepted = async (tokens: readonly string[], { scene, server }: { readonly scene: Scene; readonly server: Server }): Promise<{ readonly verified: readonly string[]; readonly atGateway: readonly string[] }> => {
  const verified: string[] = []
  for (const token of tokens) if ((await server.send('POST /key/verify', { key: token })).json['valid'] === true) verified.push(token)
  return { verified, atGateway: tokens.filter((token) => scene.accepts(token)) }
}

/** What is not as it must be, as one sentence each; nothing when all is. */
export const faultsOf = async (subject: KeyCase, when: 'before' | 'after', at: { readonly scene: Scene; readonly server: Server }): Promise<readonly string[]> => {
  const { scene, server } = at
  const standing = subject.verb[when](subject)
  const key = subject.keyId === undefined ? { alias: subject.alias } : { keyId: subject.keyId }
  const told = scene.told(key, 'all')
  const { verified, atGateway } = await accepted([...new Set([...told, ...(subject.first === undefined ? [] : [subject.first])])], at)
  const wrong = subject.verb.name === 'rename' && when === 'after' ? [subject.alias] : [subject.renamed]
  const elsewhere: string[] = []
  for (const alias of standing === undefined ? [subject.alias, subject.renamed] : wrong) if ((await server.send(`GET /key/info?key_alias=${alias}`)).status !== 404) elsewhere.push(alias)
  const tooMany = differing('keys under other names', elsewhere, [])
  if (standing === undefined) return [...tooMany, ...differing('tokens that verify', verified.length, 0), ...differing('tokens that the gateway accepts', atGateway.length, 0)]
  const info = await server.send(`GET /key/info?key_alias=${standing.alias}`)
  const current = await server.reveal(standing.alias)
  const good = standing.blocked ? [] : [...(standing.grace ? [subject.first] : []), current]
  const ordered = (tokens: readonly (string | undefined)[]): readonly number[] => tokens.map((token) => told.indexOf(token ?? '')).toSorted((a, b) => a - b)
  return [
    ...tooMany,
    ...differing('status of info', info.status, 200),
    ...(subject.keyId === undefined ? [] : differing('key id', info.json['key_id'], subject.keyId)),
    ...differing('state', info.json['state'], standing.blocked ? 'blocked' : 'active'),
    ...differing('models', info.json['models'], standing.models),
    ...differing('drift', info.json['drift'], []),
    ...(standing.blocked ? [] : differing('another token is current', current !== subject.first && subject.first !== undefined, standing.rotated)),
    ...differing('tokens that the gateway was ever to let in', scene.told(key, 'open').length, standing.rotated ? 2 : 1),
    ...differing('tokens that verify', ordered(verified), ordered(good)),
    ...differing('tokens that the gateway accepts', ordered(atGateway), ordered(good)),
  ]
}

/** Whether a repetition's answer tells what holds now. */
export const untruths = async ({ verb, ...subject }: KeyCase, { status, json }: Said, server: Server): Promise<readonly string[]> => {
  if (status !== 200) return [`the repetition was answered ${status} ${JSON.stringify(json['error'] ?? json)}`]
  if (verb.name === 'delete') return differing('deleted_keys', json['deleted_keys'], [subject.keyId])
  const alias = verb.after({ verb, ...subject })?.alias ?? ''
  return [
    ...differing('alias in the answer', json['key_alias'], alias),
    ...(subject.keyId === undefined ? [] : differing('key id in the answer', json['key_id'], subject.keyId)),
    ...differing('superseded in the answer', json['superseded'] ?? null, null),
    ...(['create', 'rotate', 'rotate with grace'].includes(verb.name) ? differing('the token in the answer is the current one', json['key'] === (await server.reveal(alias)), true) : []),
  ]
}

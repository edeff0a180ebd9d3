// The gateway's own list, held against the manager: which of the rows that carry our mark belong to a token that counts, and which are left over.
import { isCode } from '../errors.ts'
import type { ListedRow } from '../gateway.ts'
import { findKey } from '../keys/finding.ts'
import { keyLabels, type KeyRecord } from '../keys/record.ts'
import { mayReadValues } from '../policy.ts'
import type { Call } from '../runtime.ts'
import { hashOf, isAliasBeside, ownAlias, refOf } from './key-tokens.ts'
import { hasMoved, otherName } from './arrival.ts'
import type { KeyHouse } from './steps.ts'

/** What is wrong with a row; nothing where it is as it should be, or where nobody can tell. */
export interface RowFinding {
  readonly record?: KeyRecord
  readonly message: string
  /** `forget`: the row may go; `end`: its token must; `block`: it must as long as its key is blocked. */
  readonly how: 'forget' | 'end' | 'block'
}

/** Looks at the rows of one page; each key is read once, after the page was listed, so that a claim that a row was made for is seen. */
export class GatewayPage {
  readonly #house: KeyHouse
  readonly #call: Call
  readonly #keys = new Map<string, Promise<{ readonly record: KeyRecord | undefined; readonly lawful: ReadonlySet<string> | undefined }>>()

  constructor(house: KeyHouse, call: Call) {
    this.#house = house
    this.#call = call
  }

  async look(row: ListedRow): Promise<RowFinding | undefined> {
    const { keyId = '', sha256, blocked, alias } = row
    const asked = this.#keys.get(keyId) ?? this.#read(row, keyId)
    this.#keys.set(keyId, asked)
    const { record, lawful } = await asked
    // It left this name, and where it went is not to be seen yet.
    if (record !== undefined && hasMoved(record)) return undefined
    if (record === undefined) return { message: 'The gateway has a token of a key that the manager does not hold.', how: blocked ? 'forget' : 'end' }
    const holdsAlias = blocked && alias !== undefined && !isAliasBeside(alias)
    if (record.revoked) return blocked && !holdsAlias ? undefined : { record, message: blocked ? 'The gateway keeps the alias of a deleted key.' : 'The gateway accepts a token of a deleted key.', how: 'end' }
    if (lawful?.has(sha256) === true && record.blocked && !blocked) return { record, message: 'The gateway accepts a token of a blocked key.', how: 'block' }
    if (lawful === undefined || lawful.has(sha256) || (blocked && !holdsAlias)) return undefined
    return { record, message: blocked ? 'The gateway keeps the alias at a token that is over.' : 'The gateway accepts a token that the manager does not hold any more.', how: 'end' }
  }

  /** A list or an index may lag behind what it lists, so that a key is not found by its id for a while. The row says under which name it is: an absence there is one. */
  async #underItsAlias({ alias, teamId }: ListedRow, keyId: string): Promise<KeyRecord | undefined> {
    if (alias === undefined) return undefined
    const record = await findKey(this.#house.records, { alias: ownAlias(alias), ...(teamId === undefined ? {} : { teamId }) }, this.#call).catch((error: unknown) => {
      if (!isCode(error, 'invalid_request')) throw error
    })
    return record?.keyId === keyId ? record : undefined
  }

  /** The hashes that count for a key: of its current token, of those in grace, and of a claim that may still become current. Without reading values that is known only where no claim stands. */
  async #read(row: ListedRow, keyId: string): Promise<{ record: KeyRecord | undefined; lawful: ReadonlySet<string> | undefined }> {
    const { records, answers, store } = this.#house
    const found = (await findKey(records, { keyId }, this.#call)) ?? (await this.#underItsAlias(row, keyId))
    const to = found?.revoked === true ? otherName(found, 'to') : undefined
    const moved = to === undefined ? undefined : await records.describe(to, this.#call)
    const record = moved?.keyId === keyId ? moved : found
    if (record === undefined || record.revoked) return { record, lawful: undefined }
    const { labels } = record.facts
    if (!mayReadValues(store.policy)) {
      const known = [labels[keyLabels.token], labels[keyLabels.previousToken]].filter((hash) => hash !== undefined)
      return { record, lawful: record.claims.length > 0 || labels[keyLabels.token] === undefined ? undefined : new Set(known) }
    }
    const [alive, former] = [[record.current?.id, ...record.claims.map(({ version }) => version.id)], [...answers.graces(record).map(({ before }) => before), ...record.stamps.filter(({ id, step }) => id === record.operation?.id && step !== 'done').map(({ before }) => before)]]
    const refs = await Promise.all([...alive, ...former].map((id) => refOf(records, record, id, this.#call)))
    // A token that nobody could read leaves nothing to compare with: that of a claim may have become current since, and lie elsewhere.
    return { record, lawful: refs.slice(0, alive.length).includes(undefined) ? undefined : new Set(refs.flatMap((ref) => (ref === undefined ? [] : [hashOf(ref)]))) }
  }
}

// What the gateway is told of one key: each step is repeatable, so that whoever drives an operation forward sends the same ones. The store decides; the
// gateway follows.
import type { Gateway, GatewayRow, TokenRef } from '../gateway.ts'
import type { Call, Clock } from '../runtime.ts'
import type { SecretValue } from '../secret.ts'
import { parseOperation } from '../keys/operation-text.ts'
import { dataOf, isForeign, type KeyRecord } from '../keys/record.ts'
import type { KeyRecords } from '../keys/records.ts'
import type { Grace } from '../keys/answers.ts'
import { isRefusedByGateway } from '../keys/refusals.ts'
import { aliasBeside, overwritten, refOf } from './key-tokens.ts'
import { refusedAs, RowCalls } from './row-calls.ts'

/** Fields that Latchkey itself acts by; the gateway has no use for them. */
const ownFields: ReadonlySet<string> = new Set(['auto_rotate', 'rotation_interval'])

/** Below this grace a licensed gateway's own regenerate is not used: the old token would end before a crashed rotation is driven forward. */
const shortestReplacementMs = 3_600_000

/** An end that is over by every clock: an instance's may be ahead of the gateway's. */
const over = new Date(0)

/** The rows of one store's keys at the gateway. */
export class GatewayRows {
  readonly #calls: RowCalls
  readonly #gateway: Gateway
  readonly #records: KeyRecords

  constructor(gateway: Gateway, records: KeyRecords, clock: Clock) {
    this.#calls = new RowCalls(gateway, clock)
    this.#gateway = gateway
    this.#records = records
  }

  /** The alias of a row: the key's own for its current token. */
  #aliasOf(record: KeyRecord, beside?: TokenRef): string | undefined {
    const alias = this.#records.aliasOf(record)
    return alias === undefined || beside === undefined ? alias : aliasBeside(alias, beside)
  }

  /** The row that a key's token has. `beside`: one that is not the current one, with the epoch that it was drawn for. */
  rowOf(record: KeyRecord, beside?: { readonly ref: TokenRef; readonly epoch: number }): GatewayRow {
    const alias = this.#aliasOf(record, beside?.ref)
    const teamId = this.#records.teamOf(record)
    const fields = Object.fromEntries(Object.entries(dataOf(record)).filter(([name]) => !ownFields.has(name)))
    return {
      ...(alias === undefined ? {} : { alias }),
      ...(teamId === undefined ? {} : { teamId }),
      ...(record.keyId === undefined ? {} : { keyId: record.keyId }),
      epoch: beside?.epoch ?? record.epoch,
      ...(record.notAfter === undefined ? {} : { expires: record.notAfter }),
      blocked: record.blocked || record.revoked,
      fields,
    }
  }

  /** Adds a token that is not the key's current one, with the epoch that it was drawn for. */
  async registerAt(record: KeyRecord, token: SecretValue, epoch: number, call: Call): Promise<void> {
    await this.#calls.twice(call, () => this.#gateway.add(token, this.rowOf(record, { ref: { token }, epoch }), call))
  }

  /** Adds a key's first token. @throws already_exists, gateway_denied: it will not be there; gateway_unavailable: it may be */
  async register(record: KeyRecord, token: SecretValue, call: Call): Promise<void> {
    await this.#calls.twice(call, () => this.#gateway.add(token, this.rowOf(record), call))
  }

  /**
   * Makes a rotation's token known before it is current, and asks the gateway whether it takes it. `false`: it does not. Where the gateway's own regenerate may be used
   * the row keeps its spend and budgets; otherwise the token gets a row of its own.
   */
  async registerNext(record: KeyRecord, token: SecretValue, graceMs: number, call: Call): Promise<boolean> {
    const next = record.epoch + 1
    const { replace } = this.#gateway
    const old = replace === undefined || graceMs < shortestReplacementMs ? undefined : await refOf(this.#records, record, record.current?.id, call)
    const replaced = old !== undefined && (await this.#calls.twice(call, () => replace?.call(this.#gateway, old, token, { graceMs, epoch: next }, call) ?? Promise.resolve(false)))
    if (!replaced) await this.registerAt(record, token, next, call)
    return record.blocked || this.#calls.twice(call, () => this.#gateway.accepts(token, call))
  }

  /** After a token became current: the one before, a version or the token itself, gets its end, or is blocked now; then the current one gets the alias. */
  async retire(record: KeyRecord, former: string | TokenRef | undefined, until: Date | undefined, call: Call): Promise<void> {
    const before = typeof former === 'object' ? undefined : former
    const old = typeof former === 'object' ? former : await refOf(this.#records, record, former, call)
    const now = this.#calls.now
    if (old !== undefined) {
      // A gateway that does not give the old token its end keeps it until the sweep finds that its grace is over.
      if (until === undefined || until.getTime() <= now) await this.#block(old, call, record)
      else await this.#grace(record, old, { before, until }, call).catch(refusedAs(false))
    }
    const current = await refOf(this.#records, record, record.current?.id, call)
    if (current !== undefined) await this.#calls.change(current, { alias: this.#aliasOf(record) ?? null }, call).catch(refusedAs(false))
  }

  /** Gives the token before its end. One of ours that the gateway has forgotten is made known again: it was announced how long it is accepted. */
  async #grace(record: KeyRecord, old: TokenRef, { before, until }: { readonly before: string | undefined; readonly until: Date }, call: Call): Promise<boolean> {
    if (await this.#calls.change(old, { alias: this.#aliasOf(record, old) ?? null, expires: until }, call)) return true
    const ours = parseOperation(record.facts.versions?.find(({ id }) => id === before)?.operation) !== undefined
    if (ours && 'token' in old) await this.#calls.add(old.token, { ...this.rowOf(record, { ref: old, epoch: record.epoch - 1 }), expires: until }, call)
    return false
  }

  /**
   * Ends a token for good, ahead of any add that is still on its way where the token itself is known: an add leaves a row alone that is there. It is blocked, and over as well:
   * neither an unblock nor an update that comes late brings it back alone. The row gives the key's alias free.
   */
  async #block(ref: TokenRef, call: Call, record: KeyRecord): Promise<void> {
    const alias = this.#aliasOf(record, ref) ?? null
    if (await this.#calls.setBlocked(ref, true, call)) {
      await this.#calls.change(ref, { alias, expires: over }, call).catch(refusedAs(false))
      return
    }
    if (!('token' in ref)) return
    const mark = { ...(record.keyId === undefined ? {} : { keyId: record.keyId }), epoch: record.epoch, expires: over, blocked: true, fields: {} }
    try {
      await this.#calls.twice(call, () => this.#gateway.add(ref.token, mark, call))
    } catch (error) {
      // What the gateway does not take blocked it does not take otherwise either.
      if (!isRefusedByGateway(error)) throw error
      return
    }
    await this.#calls.setBlocked(ref, true, call)
  }

  /** Blocks these tokens for good; none of them may be one that can still become current. */
  async blockAll(record: KeyRecord, refs: readonly TokenRef[], call: Call): Promise<void> {
    for (const ref of refs) await this.#block(ref, call, record)
  }

  /**
   * Makes the rows say what the key's labels say: team, end, fields, and that it is blocked. `unblocks`: only for who holds the claim of an unblock is a block taken off; whoever
   * read before somebody else's block would take that off. It leaves the row's end alone: a deletion that came first has set that too. `graces`: tokens that are still accepted beside the current one.
   * Gives the current token, which the store may not give any more once a deletion has come.
   */
  async follow(record: KeyRecord, graces: readonly Grace[], unblocks: boolean, call: Call): Promise<TokenRef | undefined> {
    const current = await refOf(this.#records, record, record.current?.id, call)
    const row = this.rowOf(record)
    // The row of a key that LiteLLM stored has no mark: with one the sweep finds it once its token is over.
    const { keyId, epoch } = record
    const mark = record.operation === undefined && keyId !== undefined && !isForeign(record) ? { mark: { keyId, epoch } } : {}
    await this.mark(overwritten(record), record, call)
    if (current !== undefined) {
      const change = { ...mark, ...(row.alias === undefined ? {} : { alias: row.alias }), teamId: row.teamId ?? null, ...(unblocks ? {} : { expires: row.expires ?? null }), fields: row.fields }
      // A value that somebody else wrote is nobody's token until it is adopted.
      if (!(await this.#calls.change(current, change, call)) && 'token' in current && !isForeign(record)) await this.#calls.add(current.token, row, call)
      if (row.blocked || unblocks) await this.#calls.setBlocked(current, row.blocked, call)
      // Nobody takes this block off later, so the gateway is asked whether it did.
      const free = row.blocked || !unblocks || !('token' in current) || (await this.#calls.twice(call, () => this.#gateway.accepts(current.token, call)))
      if (!free) await this.#calls.setBlocked(current, false, call)
    }
    for (const { before } of row.blocked || unblocks ? graces : []) {
      const old = await refOf(this.#records, record, before, call)
      if (old !== undefined) await this.#calls.setBlocked(old, row.blocked, call)
    }
    return current
  }

  /** Gives the row of a token that was taken over our mark, where somebody else wrote over it meanwhile: so the sweep finds it, and ends what is over. */
  async mark(ref: TokenRef | undefined, { keyId, epoch }: Pick<KeyRecord, 'keyId' | 'epoch'>, call: Call): Promise<void> {
    if (ref !== undefined && keyId !== undefined) await this.#calls.change(ref, { mark: { keyId, epoch } }, call)
  }

  /** What is otherwise at the gateway than the store says of a live key; nothing where all is well, or where nobody may know. */
  async difference(record: KeyRecord, call: Call): Promise<{ readonly kind: 'unknown_to_gateway' | 'gateway_differs' | 'blocked_at_gateway'; readonly message: string } | undefined> {
    const ref = await refOf(this.#records, record, record.current?.id, call)
    if (ref === undefined) return undefined
    const found = await this.#calls.twice(call, () => this.#gateway.find(ref, call))
    if (found === undefined) return { kind: 'unknown_to_gateway', message: 'The gateway does not know the current token.' }
    const wanted = this.rowOf(record)
    if (found.blocked && !wanted.blocked) return { kind: 'blocked_at_gateway', message: 'The gateway has the current token blocked, and the key is not. Unblock it here, or block the key.' }
    const differing = [
      ...(found.blocked === wanted.blocked ? [] : ['blocked']),
      ...(found.alias === wanted.alias ? [] : ['key_alias']),
      ...(found.teamId === wanted.teamId ? [] : ['team_id']),
      ...(Math.abs((found.expires?.getTime() ?? 0) - (wanted.expires?.getTime() ?? 0)) <= 5_000 ? [] : ['expires']),
    ]
    return differing.length === 0 ? undefined : { kind: 'gateway_differs', message: `The gateway's row of the current token differs in ${differing.join(', ')}.` }
  }

  /** Takes the rows of a deleted key away, once its tombstone goes. */
  async forget(refs: readonly TokenRef[], call: Call): Promise<void> {
    for (const ref of refs) await this.#calls.twice(call, () => this.#gateway.remove(ref, call))
  }

  list(query: { readonly cursor?: string; readonly limit: number }, call: Call): ReturnType<Gateway['list']> {
    return this.#calls.twice(call, () => this.#gateway.list(query, call))
  }

  /** Blocks a row as long as its key is blocked; its end stays. */
  async blockRow(sha256: string, call: Call): Promise<void> {
    await this.#calls.setBlocked({ sha256 }, true, call)
  }

  /** Ends a token that carries our mark and that no record knows; its alias is free afterwards. */
  async endUnknown(sha256: string, call: Call): Promise<void> {
    await this.#calls.setBlocked({ sha256 }, true, call)
    await this.#calls.change({ sha256 }, { alias: null, expires: over }, call)
  }
}

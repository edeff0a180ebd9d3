// The gateway in the simulated world: rows in memory behind the port's own contract, one step a call. Who knows the truth asks it without a call.
import { LatchkeyError } from '../../../shared/core/errors.ts'
import type { Gateway, GatewayRow, ListedRow, TokenRef } from '../../../shared/core/gateway.ts'
import type { Call, Clock } from '../../../shared/core/runtime.ts'
import type { SecretValue } from '../../../shared/core/secret.ts'
import { tokenHash } from '../../../shared/core/virtual-key.ts'
import { lineTo, type Hook } from '../../shapes/service.ts'
import { mix } from './mix.ts'

/** What one call does to the rows; a gateway that forgets answers the same and does nothing. */
type Act<T> = (rows: Map<string, GatewayRow>) => T

const hashOf = (ref: TokenRef): string => ('token' in ref ? tokenHash(ref.token) : ref.sha256)

export class GatewayModel {
  readonly #clock: Clock
  readonly #rows = new Map<string, GatewayRow>()
  #content: string | undefined
  #hash: number | undefined
  /** The next change is answered and forgotten. */
  forgets = false
  /** Tokens of which a change was forgotten: until the next repair nothing can be said of them. */
  readonly forgotten = new Map<string, string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether the gateway accepts a token now. */
  accepts(sha256: string): boolean {
    const row = this.#rows.get(sha256)
    return row !== undefined && !row.blocked && (row.expires === undefined || row.expires.getTime() > this.#clock.now())
  }

  rows(): ReadonlyMap<string, GatewayRow> {
    return this.#rows
  }

  /** A row that somebody else made: LiteLLM's own, of a key that it stored. */
  hold(token: SecretValue): void {
    this.#changed()
    this.#rows.set(tokenHash(token), { blocked: false, fields: {} })
  }

  #changed(): void {
    this.#content = undefined
    this.#hash = undefined
  }

  /** All that it holds, as text. */
  content(): string {
    return (this.#content ??= JSON.stringify([...this.#rows]))
  }

  /** That as one number. */
  get hash(): number {
    return (this.#hash ??= mix(this.content()))
  }

  /** That, and what it owes to a fault. */
  facts(): unknown {
    return [this.content(), this.forgets, [...this.forgotten]]
  }

  /** The port as one instance sees it. */
  through(hook: Hook, clock: Clock): Gateway {
    const line = lineTo(clock)
    const send = <T>(call: Call, name: string, hash: string, changes: boolean, act: Act<T>): Promise<T> =>
      line(call, () =>
        hook({ call: `gateway.${name}`, name: hash.slice(0, 8), changes }, () => {
          if (changes) this.#changed()
          if (!this.forgets || !changes) return act(this.#rows)
          this.forgets = false
          this.forgotten.set(hash, name)
          return act(new Map(this.#rows))
        }),
      )
    const requireFreeAlias = (rows: Map<string, GatewayRow>, hash: string, alias: string | null | undefined): void => {
      if (alias != null && [...rows].some(([other, row]) => other !== hash && row.alias === alias)) throw new LatchkeyError('already_exists', 'Another row has the alias.', { param: 'key_alias' })
    }
    const put = (rows: Map<string, GatewayRow>, hash: string, row: { [K in keyof GatewayRow]: GatewayRow[K] | undefined }): void => {
      rows.set(hash, Object.fromEntries(Object.entries(row).filter(([, held]) => held !== undefined)) as unknown as GatewayRow)
    }
    return {
      name: 'gateway',
      add: (token: SecretValue, row, call) => {
        const hash = tokenHash(token)
        return send(call, 'add', hash, true, (rows): 'added' | 'stood' => {
          if (rows.has(hash)) return 'stood'
          requireFreeAlias(rows, hash, row.alias)
          put(rows, hash, row)
          return 'added'
        })
      },
      accepts: (token, call) => send(call, 'accepts', tokenHash(token), false, () => this.accepts(tokenHash(token))),
      find: (ref, call) => send(call, 'find', hashOf(ref), false, (rows) => rows.get(hashOf(ref))),
      change: (ref, change, call) => {
        const hash = hashOf(ref)
        return send(call, 'change', hash, true, (rows) => {
          const row = rows.get(hash)
          if (row === undefined) return false
          requireFreeAlias(rows, hash, change.alias)
          const set = <T>(held: T | undefined, next: T | null | undefined): T | undefined => (next === undefined ? held : (next ?? undefined))
          put(rows, hash, { ...row, ...change.mark, alias: set(row.alias, change.alias), teamId: set(row.teamId, change.teamId), expires: set(row.expires, change.expires), fields: { ...row.fields, ...change.fields } })
          return true
        })
      },
      setBlocked: (ref, blocked, call) => {
        const hash = hashOf(ref)
        return send(call, blocked ? 'block' : 'unblock', hash, true, (rows) => {
          const row = rows.get(hash)
          if (row !== undefined) rows.set(hash, { ...row, blocked })
          return row !== undefined
        })
      },
      remove: (ref, call) => send(call, 'remove', hashOf(ref), true, (rows) => rows.delete(hashOf(ref))),
      list: (query, call) =>
        send(call, 'list', '', false, (rows) => {
          const rest = [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).filter(([hash]) => query.cursor === undefined || hash > query.cursor)
          const items = rest.slice(0, query.limit).map(([sha256, row]): ListedRow => ({ ...row, sha256 }))
          const last = items.at(-1)
          return { items, ...(rest.length > items.length && last !== undefined ? { cursor: last.sha256 } : {}) }
        }),
    }
  }
}

/** How long a gateway stays down. */
export const downMs = 30_000

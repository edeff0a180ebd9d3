// One row at the gateway, one call about it. A call without an answer is repeated once, and then the operation stops: going on would make an answer that nobody knows to be
// true. An alias that another row has by now is somebody else's: the row goes without it.
import { isCode } from '../errors.ts'
import type { Gateway, GatewayRow, RowChange, TokenRef } from '../gateway.ts'
import { isRefusedByGateway } from '../keys/refusals.ts'
import { checkCall, type Call, type Clock } from '../runtime.ts'
import type { SecretValue } from '../secret.ts'

/** What a refusal for good counts as; any other failure stays one. */
export const refusedAs = <T>(value: T) => (error: unknown): T => {
  if (!isRefusedByGateway(error)) throw error
  return value
}

/** The calls about rows of one gateway. */
export class RowCalls {
  readonly #gateway: Gateway
  readonly #clock: Clock

  constructor(gateway: Gateway, clock: Clock) {
    this.#gateway = gateway
    this.#clock = clock
  }

  get now(): number {
    return this.#clock.now()
  }

  /** One call, once more where the first was not answered. @throws gateway_unavailable, with which the operation stops */
  async twice<T>(call: Call, send: () => Promise<T>): Promise<T> {
    checkCall(call, this.#clock)
    try {
      return await send()
    } catch (error) {
      if (!isCode(error, 'gateway_unavailable')) throw error
      checkCall(call, this.#clock)
      return send()
    }
  }

  /** `false`: there is no such row. */
  async change(ref: TokenRef, change: RowChange, call: Call): Promise<boolean> {
    try {
      return await this.twice(call, () => this.#gateway.change(ref, change, call))
    } catch (error) {
      if (!isCode(error, 'already_exists') || change.alias === undefined) throw error
      const { alias: _taken, ...rest } = change
      return Object.keys(rest).length === 0 ? true : this.twice(call, () => this.#gateway.change(ref, rest, call))
    }
  }

  /** Adds a row that was not there when it was to be changed; one that is there by now stays as it is. */
  async add(token: SecretValue, row: GatewayRow, call: Call): Promise<void> {
    try {
      await this.twice(call, () => this.#gateway.add(token, row, call))
    } catch (error) {
      if (!isCode(error, 'already_exists') || row.alias === undefined) throw error
      const { alias: _taken, ...rest } = row
      await this.twice(call, () => this.#gateway.add(token, rest, call))
    }
  }

  setBlocked(ref: TokenRef, blocked: boolean, call: Call): Promise<boolean> {
    return this.twice(call, () => this.#gateway.setBlocked(ref, blocked, call))
  }
}

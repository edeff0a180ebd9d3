// The gateway held against the store: which tokens it accepts, and which it should. Both acceptances are judged; neither is asked through the engine.
import { tokenHash } from '../../../shared/core/virtual-key.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import type { ManualClock } from '../../support/runtime.ts'
import type { GatewayModel } from '../world/gateway.ts'
import { Violation, type Held, type Invariant, type Oracle } from './oracle.ts'

const hashes = new Map<string, string>()

/** SHA-256 of a token, remembered: the same few are asked for over and over. */
export const hashOf = (token: string): string => {
  const known = hashes.get(token)
  if (known !== undefined) return known
  if (hashes.size > 5_000) hashes.clear()
  const hash = tokenHash(SecretValue.of(token))
  hashes.set(token, hash)
  return hash
}

/** Who may be wrong by how much: the gateway ends a token by its own clock, at a time that an instance computed by its own. */
const toleranceMs = 5_000

export class GatewayJudge {
  readonly #gateway: GatewayModel
  readonly #oracle: Oracle
  readonly #clock: ManualClock
  /** Keys whose creation was answered: from then on their current token is accepted. */
  readonly born = new Set<string>()
  /** Keys whose block was answered, until somebody begins to unblock them. */
  readonly blocked = new Set<string>()
  /** Rows, by the name of their calls, of which the gateway refused a change: a token that it gave no end is accepted until the next sweep ends it. */
  readonly refused = new Set<string>()
  /** Rotations that were answered: from then on the token before has its end at the gateway as well. */
  readonly rotated = new Set<string>()
  /** Which operation proposed a token, and which of its tokens the gateway has ever accepted. */
  readonly #proposed = new Map<string, string>()
  readonly #accepted = new Map<string, Set<string>>()

  constructor(gateway: GatewayModel, oracle: Oracle, clock: ManualClock) {
    this.#gateway = gateway
    this.#oracle = oracle
    this.#clock = clock
  }

  /** All that its verdicts come from beside the gateway and the oracle, as plain data. */
  facts(): unknown {
    const { born, blocked, refused, rotated } = this
    return [[...born], [...blocked], [...refused], [...rotated], [...this.#proposed], [...this.#accepted].map(([operation, tokens]) => [operation, ...tokens])]
  }

  #refuse(invariant: Invariant, message: string): void {
    if (!this.#oracle.ignored.has(invariant)) throw new Violation(invariant, message)
  }

  proposed(token: string, operationId: string): void {
    if (!this.#proposed.has(hashOf(token))) this.#proposed.set(hashOf(token), operationId)
  }

  /** After every step of the world. */
  judge(): void {
    const time = this.#clock.now()
    const { skewMs } = this.#oracle
    // Where somebody else wrote over a key, its record does not lead to its last token any more: the sweep finds that one at the gateway.
    const foreign = new Set([...this.#oracle.names()].filter(({ tainted }) => tainted).flatMap(({ history }) => history.map((held) => held.keyId)))
    for (const [hash, { keyId = '' }] of this.#gateway.rows()) {
      if (!this.#gateway.accepts(hash) || this.#gateway.forgotten.has(hash)) continue
      if (this.#oracle.ended.has(keyId) && !foreign.has(keyId)) this.#refuse('I6 key resurrected', `the gateway accepts a token of the deleted key ${keyId}`)
      if (this.blocked.has(keyId) && !foreign.has(keyId)) this.#refuse('blocked', `the gateway accepts a token of the blocked key ${keyId}`)
      const operation = this.#proposed.get(hash)
      if (operation === undefined) continue
      const tokens = this.#accepted.get(operation) ?? new Set<string>()
      this.#accepted.set(operation, tokens.add(hash))
      if (tokens.size > 1) this.#refuse('I3 key duplicated', `the gateway accepted two tokens of operation ${operation.slice(0, 8)}`)
    }
    for (const name of this.#oracle.names()) {
      // A key that is taken out of use is promised again once it was answered that it is back.
      if (name.now?.blocked === true) this.born.delete(name.now.keyId)
      const now = name.live(time)
      if (now !== undefined && this.blocked.has(now.keyId)) this.#refuse('blocked', `the blocked key ${now.keyId} is in use again, and nobody unblocked it`)
      if (now === undefined || !this.born.has(now.keyId)) continue
      const hash = hashOf(now.value)
      // A rotation asks the gateway before its token becomes current: what was forgotten by then is no excuse.
      const forgotten = this.#gateway.forgotten.get(hash)
      const excused = forgotten !== undefined && !(forgotten === 'add' && now.operation?.verb === 'rotate')
      if (!this.#gateway.accepts(hash) && !excused) this.#refuse('I1 key lost', `the gateway does not accept the current token of key ${now.keyId} (${now.id})`)
      if (!name.tainted) this.#judgeGrace(name.history, now, time, skewMs)
    }
  }

  #judgeGrace(history: readonly Held[], now: Held, time: number, skewMs: number): void {
    for (let index = Math.max(0, history.length - 5); index < history.length - 1; index += 1) {
      const held = history[index]
      const next = history[index + 1]
      const id = next?.operation?.id ?? ''
      if (held === undefined || next === undefined || held.revoked || held.keyId !== now.keyId || history.some((later, at) => at > index && later.value === held.value) || !this.rotated.has(id)) continue
      const hash = hashOf(held.value)
      // A store with one slot may have forgotten by the answer when the grace ends.
      const promised = this.#oracle.promised.get(id)
      const until = promised?.until
      const latest = until ?? next.at + (promised?.graceMs ?? 0)
      const accepted = this.#gateway.accepts(hash)
      if (this.#gateway.forgotten.has(hash)) continue
      if (accepted && time > latest + toleranceMs + skewMs && !this.refused.has(hash.slice(0, 8))) this.#refuse('I11 grace', `the gateway accepts the token before ${next.id} ${time - latest} ms too long`)
      if (!accepted && next === now && until !== undefined && time < until - toleranceMs - skewMs) this.#refuse('I11 grace', `the gateway refuses the token before ${next.id} ${until - time} ms too early`)
    }
  }

  /** I2, after the sweeps: what the gateway accepts is what the store says, and nothing else. */
  async judgeOrphans(): Promise<void> {
    const time = this.#clock.now()
    const lawful = new Set<string>()
    // What somebody else deleted or overwrote is reported by the sweep, and its tokens are left alone until somebody decides.
    const left = new Set([...this.#oracle.names()].filter(({ outsider }) => outsider !== undefined).map(({ now }) => now?.keyId))
    // A key that LiteLLM stored and nobody has taken over is its own affair.
    const foreigners = new Set([...this.#oracle.names()].flatMap(({ now, outsider }) => (now !== undefined && now.operation === undefined && (!now.complete || outsider !== undefined) ? [hashOf(now.value)] : [])))
    for (const name of this.#oracle.names()) {
      const now = name.live(time)
      if (now === undefined) continue
      if (!this.#gateway.accepts(hashOf(now.value))) this.#refuse('I2 orphan', `after the sweeps the gateway does not accept the current token of key ${now.keyId}`)
      for (const { value, keyId } of name.history) if (keyId === now.keyId && value !== '' && (await this.#oracle.accepts(value))) lawful.add(hashOf(value))
    }
    for (const [hash, { keyId = '?', epoch = 0 }] of this.#gateway.rows()) {
      if (keyId === '?' && foreigners.has(hash)) continue
      if (this.#gateway.accepts(hash) && !lawful.has(hash) && !left.has(keyId)) this.#refuse('I2 orphan', `after the sweeps the gateway still accepts a token of key ${keyId}, drawn for epoch ${epoch}, that no record knows`)
    }
  }
}

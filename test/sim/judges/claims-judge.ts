// Watches the claims: two operations never hold one on the same version at once. It stands around the provider of every instance.
import { parseOperation } from '../../../shared/core/keys/operation-text.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import type { Process } from '../world/world.ts'
import type { GatewayJudge } from './gateway-judge.ts'
import { Violation, type Oracle } from './oracle.ts'

interface Claim {
  readonly name: string
  readonly before: string | undefined
  readonly operation: string
  readonly id: string
}

export class ClaimsJudge {
  readonly #oracle: Oracle
  readonly #gateway: GatewayJudge
  readonly #claims: Claim[] = []
  /** Versions that somebody began to discard: from then on nobody can say whether their claim stands. */
  readonly #discarded = new Set<string>()
  /** How often anybody began to write or to discard. */
  writes = 0
  /** A violation seen inside a process. */
  failure: Violation | undefined

  constructor(oracle: Oracle, gateway: GatewayJudge) {
    this.#oracle = oracle
    this.#gateway = gateway
  }

  /** All that its verdicts come from, as plain data. */
  facts(): unknown {
    return [this.#claims, [...this.#discarded], this.failure?.message]
  }

  /** The same provider, watched; `looked` is told when a first look was answered. */
  watched(provider: SecretProvider, process: Process, looked: () => void): SecretProvider {
    return {
      ...provider,
      describe: async (name, call) => {
        try {
          return await (provider.describe as NonNullable<SecretProvider['describe']>)(name, call)
        } finally {
          looked()
        }
      },
      write: async (request, call) => {
        this.writes += 1
        const proposer = parseOperation(request.operation)
        if (proposer !== undefined && request.value.isText) this.#gateway.proposed(request.value.reveal(), proposer.id)
        const outcome = await (provider.write as NonNullable<SecretProvider['write']>)(request, call)
        if (request.stage !== 'pending' || process.dead) return outcome
        const current = this.#oracle.at(request.name).now?.id
        const id = outcome.version?.id ?? ''
        // A claim that was ruled out before its answer came is nobody's any more.
        const over = this.#discarded.has(`${request.name.text} ${id}`)
        const other = over ? undefined : this.#claims.find((claim) => claim.name === request.name.text && claim.before === request.before && claim.before === current && claim.operation !== request.operation && !this.#discarded.has(`${claim.name} ${claim.id}`))
        if (other !== undefined) this.failure ??= new Violation('claim', `${request.operation} was given the claim that ${other.operation} holds`)
        this.#claims.push({ name: request.name.text, before: request.before, operation: request.operation, id })
        return outcome
      },
      discard: async (name, version, call) => {
        this.writes += 1
        this.#discarded.add(`${name.text} ${version}`)
        return provider.discard?.(name, version, call)
      },
    }
  }
}

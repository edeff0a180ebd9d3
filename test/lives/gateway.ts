// The fake LiteLLM beside a store, opened as a configuration opens it. What it says of a token is its own account, not what Latchkey asked of it.
import { onTestFinished } from 'vitest'
import { openGateway } from '../../shared/gateway/open.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { fakeMasterKey, sha256, startLitellmFake } from '../fakes/litellm-gateway.ts'
import type { TestRuntime } from '../support/runtime.ts'
import type { LifeGateway } from './whole-life.ts'

/** Starts it on the store's clock, until the test ends. `rows`: how many rows it has come to hold. */
export const besideLitellm = async (runtime: TestRuntime): Promise<LifeGateway & { rows(): number }> => {
  const fake = await startLitellmFake({ now: () => runtime.clock.now() })
  const { service } = fake
  const port = await openGateway({ url: fake.url, masterKey: { kind: 'literal', from: 'latchkey.gateway.master_key', value: SecretValue.of(fakeMasterKey), weak: false }, licensed: false, timeoutSeconds: 5 }, runtime, async () => SecretValue.of(fakeMasterKey))
  onTestFinished(async () => {
    await port.close?.()
    await fake.close()
  })
  return {
    port,
    accepts: (token) => service.accepts(token),
    row: (token) => {
      const row = service.rows.get(sha256(token))
      return row && { alias: row.key_alias, team: row.team_id, blocked: row.blocked === true, expires: row.expires }
    },
    seed: (token, alias) => void service.seed(token, { key_alias: alias }),
    rows: () => service.rows.size,
  }
}

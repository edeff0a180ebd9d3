// A gateway of ours on a fake LiteLLM over loopback, with time that the test moves. Both end with the test.
import { onTestFinished } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { Gateway, GatewayRow } from '../../shared/core/gateway.ts'
import type { Call } from '../../shared/core/runtime.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { openLitellmGateway, type LitellmSettings } from '../../shared/gateway/litellm.ts'
import { fakeMasterKey, sha256, startLitellmFake, type LitellmKnobs, type LitellmRow, type RunningLitellm } from '../fakes/litellm-gateway.ts'
import { canaryToken } from '../support/canary.ts'
import { callOf, testRuntime, type ManualClock } from '../support/runtime.ts'

export interface OpenedGateway {
  readonly gateway: Gateway
  readonly fake: RunningLitellm
  readonly clock: ManualClock
  call(withinMs?: number): Call
  /** The row of a token as the fake has it. */
  held(token: SecretValue): LitellmRow | undefined
}

/** Everything on one clock. */
export const openedGateway = async (knobs: LitellmKnobs = {}, settings: Partial<LitellmSettings> = {}): Promise<OpenedGateway> => {
  const runtime = testRuntime({ hurries: true })
  const fake = await startLitellmFake({ now: () => runtime.clock.now(), knobs })
  const gateway = await openLitellmGateway({ url: fake.url, masterKey: async () => SecretValue.of(fakeMasterKey), licensed: knobs.licensed === true, timeoutSeconds: 5, ...settings }, runtime)
  onTestFinished(async () => {
    await gateway.close?.()
    await fake.close()
  })
  return {
    gateway, fake, clock: runtime.clock,
    call: (withinMs) => callOf(runtime.clock, withinMs === undefined ? {} : { withinMs }),
    held: (token) => [...fake.service.rows.values()].find((row) => row.token === hashOf(token)),
  }
}

/** A token that must stand nowhere but in bodies. */
export const newToken = (): SecretValue => SecretValue.of(canaryToken('token'))

/** Its hash, as LiteLLM has it. */
export const hashOf = (token: SecretValue): string => sha256(token.reveal())

/** A row as the lifecycle makes one. */
export const rowFor = (more: Partial<GatewayRow> = {}): GatewayRow => ({ alias: 'Team.one/ci', keyId: 'abcdefghijklmnop', epoch: 1, blocked: false, fields: {}, ...more })

/** The code of a failure, and the field that it names. */
export const refusal = async (act: Promise<unknown>): Promise<readonly [string, string | undefined]> => {
  try {
    await act
  } catch (error) {
    if (error instanceof LatchkeyError) return [error.code, error.details.param]
    throw error
  }
  return ['no failure', undefined]
}

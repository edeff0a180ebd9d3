// An account of AWS with secrets under rotation: the provider over its real SDK on the fake, and AWS's own part of a rotation, which reserves a version and calls the steps.
import { randomUUID } from 'node:crypto'
import { lambdaEvents } from '../../functions/lambda/events.ts'
import type { RotationOutcome } from '../../shared/core/rotation/event.ts'
import { openAws } from '../conformance/harnesses/aws-secrets-manager.ts'
import { startSecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { testRuntime } from '../support/runtime.ts'
import { rotationHouse, type Opening } from './rotation-house.ts'

export const lambda = 'arn:aws:lambda:us-east-1:123456789012:function:latchkey-rotate'
export const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const
export type StepName = (typeof steps)[number]

export const openAccount = async (opening: Opening = {}) => {
  const runtime = testRuntime({ hurries: true })
  const fake = await startSecretsManagerFake({ now: () => runtime.clock.now() })
  const house = await rotationHouse(runtime, () => openAws(runtime, { aws_secretsmanager_endpoint: fake.url, aws_max_attempts: 1 }), opening)
  /** Reserves a version, as the service does when the schedule says so. */
  const begin = (name: string, token: string = randomUUID()): { readonly arn: string; readonly token: string } => ({ arn: fake.rotate(name, token, lambda), token })
  /** One invocation as Secrets Manager makes it. */
  const invoke = async (step: StepName, { arn, token }: { readonly arn: string; readonly token: string }, more: { readonly handler?: string; readonly event?: object; readonly by?: Pick<typeof house, 'handle'> } = {}): Promise<RotationOutcome> => {
    const [read] = lambdaEvents({ Step: step, SecretId: arn, ClientRequestToken: token, ...more.event }, more.handler ?? lambda, 'request')
    const [event] = read?.events ?? []
    if (event === undefined) throw new Error('The event was not read.')
    return (more.by ?? house).handle(event)
  }
  /** The whole rotation, as the service would: it stops at the first step that fails, and begins again at the first step, at most `attempts` times. */
  const drive = async (rotation: { readonly arn: string; readonly token: string }, attempts = 5): Promise<number> => {
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const failed = await firstFailure(rotation)
      if (!failed) return attempt
      runtime.clock.advance(1_000)
    }
    throw new Error('The rotation did not come to its end.')
  }
  const firstFailure = async (rotation: { readonly arn: string; readonly token: string }): Promise<boolean> => {
    for (const step of steps) {
      const { decision } = await invoke(step, rotation)
      if (decision === 'retry' || decision === 'refused') return true
    }
    return false
  }
  const labelsOf = (name: string): Record<string, readonly string[]> => Object.fromEntries([...(fake.secrets.get(name)?.versions.values() ?? [])].map(({ id, labels }) => [id, [...labels].sort()]))
  const changes = (): number => fake.requests.filter(({ operation }) => !/^(?:Get|List|Describe|BatchGet)/.test(operation)).length
  const close = async (): Promise<void> => {
    await house.provider.close?.()
    await fake.close()
  }
  return { ...house, fake, begin, invoke, drive, labelsOf, changes, close }
}

// An ordinary secret rotated by AWS's four steps, its value made and tested by a generator. The version is AWS's, and what it holds is what every repetition goes on with.
import type { StepRotation } from '../provider.ts'
import type { Call, Clock } from '../runtime.ts'
import type { SecretFacts, SecretName } from '../secret.ts'
import type { SecretStore } from '../store.ts'
import type { RotationReason, RotationStep } from './event.ts'
import type { Generator } from './generator.ts'
import { finishSecret, unfinishedLabel } from './rotate-secret.ts'

/** One step of one version of an ordinary secret. */
export interface SecretStepRequest {
  readonly step: RotationStep
  readonly name: SecretName
  readonly version: string
  readonly facts: SecretFacts
  readonly rotation: StepRotation
  readonly rotationToken?: string
  readonly store: SecretStore
  readonly generator: Generator
  readonly validDays: number | undefined
  readonly clock: Clock
}

/** Does one step. @throws what a repetition may mend */
export const rotateSecretStep = async (request: SecretStepRequest, call: Call): Promise<Extract<RotationReason, 'step_done' | 'already_done' | 'out_of_order'>> => {
  const { step, name, version, facts, rotation, store, generator } = request
  if (facts.current?.id === version) {
    if (step !== 'finish' || facts.labels[unfinishedLabel] !== version) return 'already_done'
    await finishSecret(request, name, call)
    return 'step_done'
  }
  const held = await rotation.read(name, version, call)
  if (step === 'create' && held !== undefined) return 'step_done'
  if (step !== 'create' && held === undefined) return 'out_of_order'
  const current = (await store.provider.read(name, {}, call)).value
  if (step === 'create' || held === undefined) {
    const value = await generator.create(name.text, current, call)
    await rotation.write(name, { version, value, ...(request.rotationToken === undefined ? {} : { rotationToken: request.rotationToken }) }, call)
    return 'step_done'
  }
  if (step === 'set') await generator.set(name.text, { pending: held, current }, call)
  if (step !== 'set') await generator.test(name.text, { pending: held, current }, call)
  if (step !== 'finish') return 'step_done'
  try {
    await store.provider.annotate?.(name, { labels: { [unfinishedLabel]: version } }, call)
    await rotation.finish(name, { to: version, from: facts.current?.id ?? '' }, call)
    await finishSecret(request, name, call)
    return 'step_done'
  } finally {
    store.invalidate(name)
  }
}

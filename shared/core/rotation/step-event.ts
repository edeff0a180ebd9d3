// One call of AWS's rotation: the checks of every step in their one order, then the step. What fails a check is refused with no write; what is done already is no failure.
import { nameIn } from '../stores/naming.ts'
import type { KeyLifecycle } from '../key-lifecycle.ts'
import type { Call, Clock } from '../runtime.ts'
import type { SecretFacts, SecretName } from '../secret.ts'
import type { SecretStore } from '../store.ts'
import { isMarked, keyIdLabel } from '../stores/writing.ts'
import { checkWrite } from '../stores/refusals.ts'
import type { RotationEvent, Verdict } from './event.ts'
import type { Generator } from './generator.ts'
import type { RotatedSecrets } from './settings.ts'
import { rotateSecretStep } from './step-secret.ts'

interface Tools {
  readonly stores: ReadonlyMap<string, SecretStore>
  readonly keys: KeyLifecycle
  readonly keyStore: string
  readonly clock: Clock
  generatorFor(store: SecretStore, name: SecretName): { readonly entry: RotatedSecrets; readonly generator: Generator } | undefined
}

/** A function's ARN without version or alias. */
const bare = (arn: string | undefined): string | undefined => arn?.split(':').slice(0, 7).join(':')

const isKey = ({ labels }: SecretFacts): boolean => labels[keyIdLabel] !== undefined

/** Checks and does one step. @throws what a repetition may mend */
export const handleStep = async ({ stores, keys, keyStore, clock, generatorFor }: Tools, event: RotationEvent, call: Call): Promise<Verdict> => {
  const { native = '', version = '', step, rotationToken } = event
  if (step === undefined) return { reason: 'malformed', message: 'The event names no step.' }
  for (const store of stores.values()) {
    const rotation = store.provider.stepRotation
    const state = await rotation?.describe(native, version, call)
    if (rotation === undefined || state === undefined) continue
    const { facts } = state
    const name = nameIn(store, facts.name.text)
    const about = { store: store.name, name: name.text, version }
    if (!isMarked(facts) || facts.current === undefined) return { reason: 'not_ours', ...about }
    const key = isKey(facts)
    if (key && (store.name !== keyStore || !store.isKeyName(name.text))) return { reason: 'not_ours', ...about }
    const made = key ? undefined : generatorFor(store, name)
    if (!key && made === undefined) return { reason: 'no_generator', ...about }
    if (!state.enabled || event.handler === undefined || bare(state.handler) !== bare(event.handler)) return { reason: 'not_enabled', ...about }
    if (state.stage === 'absent' || (state.stage !== 'current' && state.stage !== 'pending')) return { reason: 'not_staged', ...about }
    const more = rotationToken === undefined ? {} : { rotationToken }
    if (made !== undefined) {
      checkWrite(store.policy, store.name)
      return { reason: await rotateSecretStep({ step, name, version, facts, rotation, store, clock, generator: made.generator, validDays: made.entry.validDays, ...more }, call), ...about }
    }
    if (state.stage === 'current' && step !== 'finish') return { reason: 'already_done', ...about }
    return { ...about, ...(await keys.rotateByStep({ step, name, version, rotation, ...more }, call)) }
  }
  return { reason: 'not_ours' }
}

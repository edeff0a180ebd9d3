// Takes every event that any host brings: is it one, is it about something of ours, is it fresh, and what is it that is due. It changes nothing itself; a key is rotated
// by the key lifecycle, and whatever was decided stands in one audit line before anybody is told.
import { nameIn } from '../stores/naming.ts'
import { asLatchkeyError, isCode, LatchkeyError, type ErrorCode } from '../errors.ts'
import type { KeyLifecycle } from '../key-lifecycle.ts'
import type { Call, Runtime } from '../runtime.ts'
import type { SecretFacts, SecretName } from '../secret.ts'
import type { SecretStore } from '../store.ts'
import { keyIdLabel } from '../stores/writing.ts'
import { rotationReasons, type MalformedEvent, type Recorder, type RotationEvent, type RotationOutcome, type Verdict } from './event.ts'
import { generatorOf, type Generator } from './generator.ts'
import { rotateKeyByEvent } from './rotate-key.ts'
import { rotateSecretByEvent } from './rotate-secret.ts'
import { mostSkewMs, oldestEventMs } from './schedule.ts'
import type { RotatedSecrets } from './settings.ts'
import { handleStep } from './step-event.ts'
import { sweepDue } from './sweep-due.ts'

/** What a rotator is made of. */
export interface RotatorOptions {
  readonly stores: ReadonlyMap<string, SecretStore>
  readonly keys: KeyLifecycle
  /** The store that holds the keys. */
  readonly keyStore: string
  /** Whether a gateway accepts the keys. */
  readonly gateway: boolean
  readonly rotated: readonly RotatedSecrets[]
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'audit' | 'log'>
}

/** Failures that no repetition mends: somebody has to change something first. */
const hopeless: readonly ErrorCode[] = ['forbidden', 'unsupported', 'misconfigured', 'invalid_request', 'too_large', 'soft_deleted', 'already_exists']

/** Where one event's secret is. */
interface Found {
  readonly store: SecretStore
  readonly name: SecretName
  readonly facts: SecretFacts
}

/** One for a process; it holds nothing but where its last sweep stopped. */
export class Rotator {
  readonly #options: RotatorOptions
  readonly #generators: readonly { readonly entry: RotatedSecrets; readonly generator: Generator }[]
  #sweepAt: string | undefined
  #trailBroken = false

  constructor(options: RotatorOptions) {
    this.#options = options
    this.#generators = options.rotated.map((entry) => ({ entry, generator: generatorOf(entry, options.runtime.random) }))
  }

  /**
   * For a host to which AWS sends the steps of its rotation. Under write_only nobody can give the gateway a token whose version AWS has fixed, once the step that drew it
   * is over. @throws misconfigured
   */
  requireSteps(): void {
    const { stores, keyStore, gateway } = this.#options
    const store = stores.get(keyStore)
    if (!gateway || store?.provider.stepRotation === undefined || !store.policy.storeVirtualKeys || store.policy.accessMode !== 'write_only') return
    throw new LatchkeyError('misconfigured', "key_management_settings.access_mode write_only and latchkey.gateway do not go together where AWS Secrets Manager drives the rotation: a token that was stored cannot be read again for the gateway. Use read_and_write, or rotate by the schedule's sweep only.")
  }

  /**
   * Handles one event to its end and says what its host does with it. Never throws. `record` is where the line goes when the host has a caller of its own
   * to name; default: the audit port, under the event's source and id.
   */
  async handle(event: RotationEvent | MalformedEvent, call: Call, record: Recorder = this.#recorderOf(event)): Promise<RotationOutcome> {
    const verdict = await this.#resumed(record)
      .then(() => this.#decide(event, call, record))
      .catch((thrown: unknown) => this.#failed(thrown))
    const { decision, fix, when } = rotationReasons[verdict.reason]
    const outcome = { ...verdict, decision, message: verdict.message ?? when }
    const { store, name, keyId, team, operationId, version } = verdict
    const said = Object.fromEntries(Object.entries({ store, name, keyId, team, operationId, version }).filter(([, value]) => value !== undefined))
    try {
      const receipt = await record({ action: 'events:rotate', decision: decision === 'refused' ? 'denied' : decision === 'retry' ? 'failed' : 'allowed', code: verdict.reason, note: decision === 'done' ? outcome.message : `${outcome.message} ${fix}`, ...said })
      return { ...outcome, receipt }
    } catch {
      this.#trailBroken = true
      const error = new LatchkeyError('audit_unavailable', 'The audit line cannot be written, so the event is not acknowledged.')
      return { ...outcome, decision: 'retry', reason: 'failed', message: error.message, error }
    }
  }

  #recorderOf({ source, id }: Pick<RotationEvent, 'source' | 'id'>): Recorder {
    const requestId = id.replace(/[^\w.:@/-]/g, '_').slice(0, 200)
    return (line) => this.#options.runtime.audit.record({ action: 'events:rotate', caller: source, requestId, ...line })
  }

  /** After a line was lost nothing is changed until a line can be written again. */
  async #resumed(record: Recorder): Promise<void> {
    if (!this.#trailBroken) return
    await record({ action: 'audit:resume', decision: 'allowed' })
    this.#trailBroken = false
  }

  #failed(thrown: unknown): Verdict {
    const error = asLatchkeyError(thrown)
    if (error !== thrown) this.#options.runtime.log.log('error', 'unexpected failure', { route: 'rotation event' })
    return { reason: isCode(error, ...hopeless) ? 'not_possible' : 'failed', message: error.message, error, ...(error.details.operationId === undefined ? {} : { operationId: error.details.operationId }) }
  }

  async #decide(event: RotationEvent | MalformedEvent, call: Call, record: Recorder): Promise<Verdict> {
    const { keys, runtime } = this.#options
    if ('problem' in event) return { reason: 'malformed', message: event.problem }
    if (event.kind === 'probe') return { reason: 'nothing_to_do' }
    const now = runtime.clock.now()
    const age = event.at === undefined ? 0 : now - event.at.getTime()
    if (age > oldestEventMs) return { reason: 'too_old' }
    if (age < -mostSkewMs) return { reason: 'malformed', message: 'The event says that it happens in the future.' }
    if (call.deadline <= now) throw new LatchkeyError('deadline_exceeded', 'The time for this event was over before it began.', { applied: 'no' })
    if (event.kind === 'step') return handleStep({ ...this.#options, clock: runtime.clock, generatorFor: (...of) => this.#generatorFor(...of) }, event, call)
    if (event.kind === 'due') {
      const verdict = await sweepDue(keys, runtime.clock, event.cursor ?? this.#sweepAt, call, record)
      this.#sweepAt = verdict.cursor
      // A metric is made of this line, whichever cloud keeps the log.
      if (verdict.overdueSince !== undefined) runtime.log.log('warn', 'A rotation is overdue: the audit line of the key says what keeps it.', { code: 'rotation_overdue', overdue_seconds: Math.floor((runtime.clock.now() - verdict.overdueSince.getTime()) / 1_000) })
      return verdict
    }
    const found = await this.#find(event, call)
    if (found === undefined) return { reason: 'not_ours' }
    if (found === 'ended') return { reason: 'key_ended', ...(event.keyId === undefined ? {} : { keyId: event.keyId }) }
    const { store, name, facts } = found
    const about = { store: store.name, name: name.text }
    if (event.kind === 'invalidate') {
      store.invalidate(name)
      return { reason: 'invalidated', ...about }
    }
    if (facts.labels[keyIdLabel] !== undefined && store.name === this.#options.keyStore) return { store: store.name, ...(await rotateKeyByEvent({ keys, provider: store.provider, ...runtime }, event, name, facts, call)) }
    const made = this.#generatorFor(store, name)
    if (made === undefined) return { reason: store.isKeyName(name.text) ? 'not_ours' : 'no_generator', ...about }
    return rotateSecretByEvent({ store, generator: made.generator, validDays: made.entry.validDays, clock: runtime.clock }, event, name, facts, call)
  }

  #generatorFor(store: SecretStore, name: SecretName): { readonly entry: RotatedSecrets; readonly generator: Generator } | undefined {
    return this.#generators.find(({ entry }) => entry.store === store.name && entry.matches(name, store.provider.traits.names))
  }

  /** What an event is about, as the service and the store themselves say; nothing for what is not ours or not there. A key id that no key has is that of a key that ended. */
  async #find({ native, name, store = this.#options.keyStore, keyId }: RotationEvent, call: Call): Promise<Found | 'ended' | undefined> {
    const { stores, keys } = this.#options
    if (native !== undefined) {
      for (const each of stores.values()) {
        const facts = await each.provider.locate?.(native, call)
        if (facts !== undefined) return { store: each, name: facts.name.place === 'created' ? facts.name : nameIn(each, facts.name.text), facts }
      }
      return undefined
    }
    const known = stores.get(store)
    try {
      const text = keyId === undefined ? name : (await keys.info({ keyId }, call)).stored.name
      if (known === undefined || text === undefined) return undefined
      const named = nameIn(known, text)
      return { store: known, name: named, facts: await known.describe(named, call) }
    } catch (error) {
      if (isCode(error, 'not_found')) return keyId === undefined ? undefined : 'ended'
      throw error
    }
  }
}

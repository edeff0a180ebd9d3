// One ordinary secret is due, says an event. The pending version is the claim and the memory: its operation follows from the version that is current, so that whoever
// repeats the event finds it, and the value that is stored there is the one that is set, tested and made current.
import { isCode, LatchkeyError } from '../errors.ts'
import type { Call, Clock } from '../runtime.ts'
import type { SecretFacts, SecretName, SecretValue } from '../secret.ts'
import type { SecretStore } from '../store.ts'
import { isMarked, keyIdLabel } from '../stores/writing.ts'
import { foldedName } from '../names/folded.ts'
import { checkWrite } from '../stores/refusals.ts'
import type { RotationEvent, Verdict } from './event.ts'
import type { Generator } from './generator.ts'
import { eventGraceMs, isTooSoon, renewedExpiry } from './schedule.ts'
import { createHash } from 'node:crypto'

/** Which version still has to be finished: made current, and its generator not yet told. */
export const unfinishedLabel = 'latchkey-rotating'

/** Whether a secret is marked as ours and is no key. */
const isOurs = (facts: SecretFacts): boolean => isMarked(facts) && facts.labels[keyIdLabel] === undefined

/** The operation that rotates a secret from a version on, whoever begins it and however he spells the name. */
const operationFrom = (name: string, version: string): string => `rotate-${createHash('sha256').update(`${name} ${version}`).digest('hex').slice(0, 40)}`

interface Tools {
  readonly store: SecretStore
  readonly generator: Generator
  readonly validDays: number | undefined
  readonly clock: Clock
}

/** Tells the generator that the version is current, and takes the mark off. */
export const finishSecret = async ({ store, generator, validDays, clock }: Tools, name: SecretName, call: Call, renewed?: Date): Promise<void> => {
  const { provider } = store
  const current = (await provider.read(name, {}, call)).value
  const previous = await provider.read(name, { stage: 'previous' }, call).then(({ value }) => value, (error: unknown) => {
    // Nothing is kept of it, so there is nothing that could end.
    if (isCode(error, 'not_found', 'version_disabled')) return undefined
    throw error
  })
  if (previous !== undefined) await generator.finish(name.text, { current, previous, until: new Date(clock.now() + eventGraceMs) }, call)
  const expires = validDays === undefined ? renewed : new Date(clock.now() + validDays * 86_400_000)
  await provider.annotate?.(name, { labels: { [unfinishedLabel]: null }, ...(expires === undefined ? {} : { expires }) }, call)
}

/** Rotates one secret that a generator is configured for. @throws what a repetition may mend */
export const rotateSecretByEvent = async (tools: Tools, event: RotationEvent, name: SecretName, facts: SecretFacts, call: Call): Promise<Verdict> => {
  const { store, generator, clock } = tools
  const { provider } = store
  const about = { name: name.text, store: store.name }
  checkWrite(store.policy, store.name)
  if (!isOurs(facts) || facts.current === undefined) return { reason: 'not_ours', ...about }
  if (provider.write === undefined || provider.promote === undefined || provider.annotate === undefined) throw new LatchkeyError('unsupported', `Store "${store.name}" cannot stage a new value.`)
  const from = facts.current
  const unfinished = facts.labels[unfinishedLabel]
  const operation = operationFrom(foldedName(provider.traits.names, name), from.id)
  const renewed = renewedExpiry(event, facts, from.created, clock.now())
  try {
    if (unfinished !== undefined && unfinished === from.operation) {
      await finishSecret(tools, name, call, renewed)
      return { reason: 'rotated', ...about, version: from.id, operationId: unfinished }
    }
    const begun = facts.versions?.some((version) => version.operation === operation && version.stages.includes('pending')) === true
    if (!begun && isTooSoon(event.at, from.created ?? facts.created, clock.now())) return { reason: 'too_soon', ...about }
    const current: SecretValue = (await provider.read(name, { version: from.id }, call)).value
    if (!begun) await provider.write({ name, value: await generator.create(name.text, current, call), expect: { version: from.id }, before: from.id, operation, stage: 'pending' }, call)
    const staged = await provider.read(name, { stage: 'pending' }, call)
    if (staged.version?.operation !== operation) throw new LatchkeyError('conflict', 'Another change of this secret is in progress.', { retryAfter: 60 })
    await generator.set(name.text, { pending: staged.value, current }, call)
    await generator.test(name.text, { pending: staged.value, current }, call)
    await provider.annotate(name, { labels: { [unfinishedLabel]: operation } }, call)
    await provider.promote(name, { to: staged.version.id, from: from.id }, call)
    await finishSecret(tools, name, call, renewed)
    return { reason: 'rotated', ...about, version: staged.version.id, operationId: operation }
  } finally {
    store.invalidate(name)
  }
}

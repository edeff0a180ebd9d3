// Variables that refer to secrets of the cloud's own manager, where the platform does not put the values in their place itself: read once, before anything asks for a variable.
// The values stand in the environment that Latchkey asks, never in the one of the process.
import { managerOfVariables, parseRef, secretMark } from './core/configuration/references.ts'
import { LatchkeyError } from './core/errors.ts'
import type { Call, Env, ProviderIo } from './core/runtime.ts'
import type { SecretRef, SecretValue } from './core/secret.ts'
import { variableReads } from './credentials/aws-secrets/variable-reads.ts'

const form = `${secretMark}${managerOfVariables}/<name>`

const refOf = (text: string): SecretRef => {
  let ref: SecretRef
  try {
    ref = parseRef(text)
  } catch (error) {
    throw error instanceof LatchkeyError ? new LatchkeyError('misconfigured', `${error.details.issues?.[0]?.message ?? error.message}; the form is ${form}.`) : error
  }
  if (ref.store !== managerOfVariables) throw new LatchkeyError('misconfigured', `must be ${form}: no store is open yet, so a variable refers to AWS Secrets Manager only.`)
  return ref
}

/**
 * The environment in which every variable that begins with `secret://` holds the secret that it refers to. Each secret is read once, all at the same time.
 * @throws not_found, provider_denied, provider_unavailable and every other failure, naming each variable that has none and its secret
 */
export const resolvedVariables = async (io: ProviderIo, call: Call): Promise<Env> => {
  const { env } = io
  const reads = variableReads(io)
  const asked = new Map<string, Promise<SecretValue>>()

  const resolve = async (text: string): Promise<SecretValue> => {
    const { name, version, property } = refOf(text)
    const key = `${name}?${version ?? ''}`
    const reading = asked.get(key) ?? reads.read(name, version, call)
    asked.set(key, reading)
    const refers = (error: unknown): never => { throw error instanceof LatchkeyError ? error.with({}, `refers to the secret "${name}", ${error.message}`) : error }
    const whole = await reading.catch(refers)
    const value = property === undefined ? whole : (await import('./core/stores/property.ts')).propertyOf(whole, property, `refers to a property of the secret "${name}", which`)
    if (!value.isText) throw new LatchkeyError('misconfigured', `refers to the secret "${name}", which holds bytes that are no text.`)
    return value
  }

  const variables = env.names().filter((name) => env.get(name)?.startsWith(secretMark) === true).toSorted()
  const outcomes = await Promise.all(variables.map(async (variable) => resolve(env.get(variable) ?? '').then((value) => ({ variable, value }), (error: unknown) => ({ variable, error })))).finally(() => reads.close())
  const failed = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome] : []))
  if (failed.length > 0) throw together(failed)
  const values = new Map(outcomes.flatMap((outcome) => ('value' in outcome ? [[outcome.variable, outcome.value] as const] : [])))
  return { names: () => env.names(), get: (name) => values.get(name)?.reveal() ?? env.get(name) }
}

/** One failure for all of them, so that a person mends them at once; its code is the first one's. What nobody authored goes on as it is. */
const together = (failed: readonly { readonly variable: string; readonly error: unknown }[]): unknown => {
  const known = failed.flatMap(({ variable, error }) => (error instanceof LatchkeyError ? [{ path: variable, message: error.message, error }] : []))
  const [first] = known
  if (first === undefined || known.length < failed.length) return failed.find(({ error }) => !(error instanceof LatchkeyError))?.error
  return first.error.with({ issues: known.map(({ path, message }) => ({ path, message })) }, known.map(({ path, message }) => `${path} ${message}`).join(' '))
}

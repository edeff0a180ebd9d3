// References: how a value that stands somewhere else is named in a file, and where it will be looked for. Looking is not done here.
import { LatchkeyError, type Issue } from '../errors.ts'
import { didYouMean } from '../errors/nearest.ts'
import type { SecretRef, SecretValue } from '../secret.ts'
import { ciphertextSystems } from '../stores/ciphertext-systems.ts'
import { systems } from './systems.ts'
import type { StoreConfiguration } from './store-configuration.ts'

/** Where a name is looked for first. After `manager`, a confirmed absence moves on to the environment. */
export type Source = 'manager' | 'environment'

/** One reference in the file. `reference` is the text as written, which holds a name, never a value. */
export interface Reference {
  readonly path: string
  readonly reference: string
  readonly name: string
  readonly ref: SecretRef
  readonly source: Source
  /** Under `aws_kms` and `google_kms` the variable of that name holds ciphertext, which is never used as it is. */
  readonly ciphertext?: true
}

/**
 * Where the master key comes from. `literal`: it stands in the file. `name`: look where `lookIn` says (`manager` is the store `default`), in that order; only a confirmed absence moves on,
 * and a failure stops the start. `ref`: it is in one named store, nowhere else.
 */
export type MasterKeyPlan =
  | { readonly kind: 'literal'; readonly from: 'general_settings.master_key' | 'latchkey.gateway.master_key'; readonly value: SecretValue; readonly weak: boolean }
  | { readonly kind: 'name'; readonly from: 'general_settings.master_key' | 'latchkey.gateway.master_key' | 'default name'; readonly name: string; readonly lookIn: readonly Source[]; readonly ciphertext?: true }
  | { readonly kind: 'ref'; readonly from: 'general_settings.master_key' | 'latchkey.gateway.master_key'; readonly ref: SecretRef }

/** The stores and their order: what decides where a name is looked for. A whole configuration is one. */
export interface ReadPlan {
  readonly stores: ReadonlyMap<string, StoreConfiguration>
  readonly readOrder: readonly string[]
}

const environmentMark = 'os.environ/'
/** What a reference begins with that names a store. */
export const secretMark = 'secret://'
/** What stands in the place of a store where a variable of a function refers to a secret: no store is open then. */
export const managerOfVariables = 'aws_secret_manager'

/** Takes `os.environ/` off, once; a name without it stays as it is. */
export const nameOfReference = (text: string): string => (text.startsWith(environmentMark) ? text.slice(environmentMark.length) : text)

const refuse = (message: string): LatchkeyError => new LatchkeyError('invalid_request', `reference: ${message}`, { issues: [{ path: 'reference', message }], param: 'reference' })

/** Reads `os.environ/NAME`, `secret://<store>/<name>?version=&property=`, or a bare name. @throws invalid_request saying what is wrong, without the text */
export const parseRef = (text: string): SecretRef => {
  if (!text.startsWith(secretMark)) {
    const name = nameOfReference(text)
    if (name === '') throw refuse('names nothing; write the name after os.environ/')
    return { name }
  }
  const [place = '', query, ...more] = text.slice(secretMark.length).split('?')
  const slash = place.indexOf('/')
  if (slash < 1 || slash === place.length - 1) throw refuse('must be secret://<store>/<name>')
  if (more.length > 0 || place.includes('#')) throw refuse('holds a ? or # that is not percent-encoded')
  const ref: { store: string; name: string; version?: string; property?: string } = { store: decode(place.slice(0, slash)), name: decode(place.slice(slash + 1)) }
  for (const pair of query === undefined || query === '' ? [] : query.split('&')) {
    const [key = '', value = '', ...rest] = pair.split('=')
    if (key !== 'version' && key !== 'property') throw refuse('may have ?version= and ?property= and no other parameter')
    if (ref[key] !== undefined) throw refuse(`has ?${key}= twice`)
    if (value === '') throw refuse(`has an empty ?${key}=`)
    ref[key] = decode([value, ...rest].join('='))
  }
  return ref
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    throw refuse('holds a percent sign that begins no encoded character')
  }
}

/** The stores of the read order, the environment apart, that are asked for a name: they may read, and they host it. */
export const storesFor = (plan: ReadPlan, name: string): readonly StoreConfiguration[] =>
  plan.readOrder.flatMap((at) => {
    const store = plan.stores.get(at)
    return store !== undefined && hosts(store, name) ? [store] : []
  })

const opens = ({ system }: StoreConfiguration, name: string): boolean => systems[system]?.openedBy?.test(name) === true

const hosts = (store: StoreConfiguration, name: string): boolean =>
  store.system !== 'environment' && store.accessMode !== 'write_only' && (store.hostedKeys === undefined || store.hostedKeys.includes(name)) && !opens(store, name)

/** Where a reference is looked for first: in the one store it names, else in whatever store hosts its name, else in the environment. */
export const referenceSource = (plan: ReadPlan, ref: SecretRef): Source => {
  if (ref.store !== undefined) return plan.stores.get(ref.store)?.system === 'environment' ? 'environment' : 'manager'
  return storesFor(plan, ref.name).length > 0 ? 'manager' : 'environment'
}

/** Whether a store of the read order is opened with the variable of that name: then the name is looked for in the environment only. */
export const isOpener = (plan: ReadPlan, name: string): boolean => plan.readOrder.map((at) => plan.stores.get(at)).some((store) => store !== undefined && opens(store, name))

/** Whether the variable of that name holds ciphertext for a KMS. */
export const isCiphertext = (plan: ReadPlan, name: string): boolean => storesFor(plan, name).some((store) => ciphertextSystems.has(store.system))

/** How the master key's name is resolved: the default store first where it hosts the name, then the environment; ciphertext is never taken from there as it is. */
export const lookUp = (plan: ReadPlan, name: string): { lookIn: readonly Source[]; ciphertext?: true } => {
  const store = plan.stores.get('default')
  if (store === undefined || !hosts(store, name)) return { lookIn: ['environment'] }
  return ciphertextSystems.has(store.system) ? { lookIn: ['manager'], ciphertext: true } : { lookIn: ['manager', 'environment'] }
}

/** A reference as it stands in the file, and whether it stands where no store is open yet. */
interface Found {
  readonly path: string
  readonly text: string
  readonly inSettings: boolean
}

const maxDepth = 64

/** Where a master key stands. No store needs it to be opened, so it may live in one. */
const masterKeys: readonly string[] = ['general_settings.master_key', 'latchkey.gateway.master_key']

/** Every string of the file that is a reference, in the file's order. `oidc/…` is left alone. */
const find = (value: unknown, path: string, depth: number): readonly Found[] => {
  if (typeof value === 'string') {
    if (!value.startsWith(environmentMark) && !value.startsWith(secretMark)) return []
    if (value.startsWith(`${environmentMark}oidc/`)) return []
    return [{ path, text: value, inSettings: !masterKeys.includes(path) && /^(?:general_settings\.(?:key_management_\w+|use_\w+)|latchkey)(?:[.[]|$)/.test(path) }]
  }
  if (value === null || typeof value !== 'object') return []
  if (depth > maxDepth) throw new LatchkeyError('misconfigured', `${path} is nested deeper than ${maxDepth} levels`, { issues: [{ path, message: `is nested deeper than ${maxDepth} levels` }] })
  if (Array.isArray(value)) return value.flatMap((item, index) => find(item, `${path}[${index}]`, depth + 1))
  return Object.entries(value).flatMap(([key, item]) => find(item, joinPath(path, key), depth + 1))
}

const joinPath = (path: string, key: string): string => {
  if (!/^[\w@-]{1,64}$/.test(key)) return `${path}[${JSON.stringify(key.slice(0, 64))}]`
  return path === '' ? key : `${path}.${key}`
}

interface Collected {
  readonly references: readonly Reference[]
  readonly issues: readonly Issue[]
  readonly warnings: readonly Issue[]
}

/** Finds every reference and where it will be looked for. What is wrong with one is an issue in Latchkey's settings, and a warning in the rest of LiteLLM's file. */
export const collectReferences = (input: unknown, plan: ReadPlan): Collected => {
  const references: Reference[] = []
  const issues: Issue[] = []
  const warnings: Issue[] = []
  for (const { path, text, inSettings } of find(input, '', 0)) {
    const problems = inSettings || masterKeys.includes(path) ? issues : warnings
    const ref = attempt(text, (message) => problems.push({ path, message }))
    if (ref === undefined) continue
    if (ref.store !== undefined && inSettings) {
      issues.push({ path, message: 'takes os.environ/NAME only: a store cannot hold what opens a store yet' })
    } else if (ref.store !== undefined && !plan.stores.has(ref.store)) {
      problems.push({ path, message: `names a store that is not configured${didYouMean(ref.store, plan.stores.keys())}` })
    } else {
      const source = inSettings ? 'environment' : referenceSource(plan, ref)
      references.push({ path, reference: text, name: ref.name, ref, source, ...(!inSettings && ref.store === undefined && isCiphertext(plan, ref.name) ? { ciphertext: true } : {}) })
    }
  }
  return { references, issues, warnings }
}

const attempt = (text: string, say: (message: string) => void): SecretRef | undefined => {
  try {
    return parseRef(text)
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error
    say(error.details.issues?.[0]?.message ?? error.message)
    return undefined
  }
}

// IAM's decision as its documentation has it, over whole documents: identity policies, permissions boundary, session and endpoint policies intersected, a role's trust policy beside
// them. What it does not know (an operator, NotPrincipal, a key with several values under an operator for one) it throws at, so that no policy passes because it was not understood.

/** One statement as it stands in a template, resolved (see template.ts). */
export interface WrittenStatement {
  readonly Sid?: string
  readonly Effect: string
  readonly Principal?: unknown
  readonly Action?: string | readonly string[]
  readonly NotAction?: string | readonly string[]
  readonly Resource?: string | readonly string[]
  readonly NotResource?: string | readonly string[]
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** A policy document. */
export interface PolicyDocument {
  readonly Version?: string
  readonly Statement: WrittenStatement | readonly WrittenStatement[]
}

/** Context of a request, by condition key; keys are the same in any case. */
export type Context = Readonly<Record<string, string | readonly string[] | undefined>>

/** Who asks: a role, user or account root of AWS by its ARN (a role's session by its role's), a service, an identity provider. */
export interface Caller {
  readonly kind: 'AWS' | 'Service' | 'Federated'
  readonly id: string
}

/** One question. */
export interface Question {
  readonly action: string
  /** `*` for actions that know no resource. */
  readonly resource: string
  readonly caller?: Caller
  readonly context?: Context
}

/** Every policy that has a say. Of those that are there, each must allow; in any of them a Deny decides. */
export interface Policies {
  readonly identity?: readonly PolicyDocument[]
  readonly boundary?: readonly PolicyDocument[]
  readonly session?: readonly PolicyDocument[]
  readonly endpoint?: readonly PolicyDocument[]
  /** Of the role that is assumed, in {@link decideAssume}. */
  readonly trust?: readonly PolicyDocument[]
}

/** An answer, and why: `implicit <layer>`: nothing there allows it. */
export interface Decision {
  readonly allowed: boolean
  readonly why: string
}

const listOf = <T>(value: T | readonly T[] | undefined): readonly T[] => (value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T])

/** `*` is any text, `?` any one character; `${*}`, `${?}` and `${$}` are those characters themselves. */
const glob = (pattern: string, text: string, flags = ''): boolean =>
  new RegExp(`^${pattern.replaceAll(/\$\{([*?$])\}|([*?])|([\s\S])/g, (_, literal?: string, wild?: string, other?: string) => (wild === '*' ? '[\\s\\S]*' : wild === '?' ? '[\\s\\S]' : `\\u{${((literal ?? other) as string).codePointAt(0)?.toString(16) ?? ''}}`))}$`, `u${flags}`).test(text)

const segmentsOf = (arn: string): readonly string[] => {
  const parts = arn.split(':')
  return parts.length <= 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join(':')]
}

/** ARNs are compared part by part: a wildcard reaches no further than its part, but the last, which is all the rest. */
const arnLike = (pattern: string, text: string): boolean => {
  const [wanted, given] = [segmentsOf(pattern), segmentsOf(text)]
  return wanted.length === 6 && given.length === 6 && wanted.every((part, index) => glob(part, given[index] ?? ''))
}

const lookUp = (context: Context, key: string): readonly string[] | undefined => {
  const found = Object.entries(context).find(([name, value]) => value !== undefined && name.toLowerCase() === key.toLowerCase())?.[1]
  return found === undefined ? undefined : listOf<string>(found)
}

/** Policy variables; a value with one that the request does not have matches nothing. */
const substitute = (text: string, context: Context): string | undefined => {
  let missing = false
  const filled = text.replaceAll(/\$\{([^*?$}][^}]*)\}/g, (_, name: string) => {
    const [value, ...more] = lookUp(context, name) ?? []
    missing ||= value === undefined || more.length > 0
    return (value ?? '').replaceAll(/[*?$]/g, (character) => `\${${character}}`)
  })
  return missing ? undefined : filled
}

type Compare = (wanted: string, given: string) => boolean
const literal = (text: string): string => text.replaceAll(/\$\{([*?$])\}/g, '$1')
const numbers = (compare: (given: number, wanted: number) => boolean): Compare => (wanted, given) => {
  const [left, right] = [Number(given), Number(wanted)]
  return given.trim() !== '' && wanted.trim() !== '' && !Number.isNaN(left) && !Number.isNaN(right) && compare(left, right)
}

const equal: Compare = (wanted, given) => literal(wanted) === given
const operators: Readonly<Record<string, { readonly compare: Compare; readonly negated?: true }>> = {
  StringEquals: { compare: equal },
  StringNotEquals: { compare: equal, negated: true },
  StringEqualsIgnoreCase: { compare: (wanted, given) => literal(wanted).toLowerCase() === given.toLowerCase() },
  StringNotEqualsIgnoreCase: { compare: (wanted, given) => literal(wanted).toLowerCase() === given.toLowerCase(), negated: true },
  StringLike: { compare: (wanted, given) => glob(wanted, given) },
  StringNotLike: { compare: (wanted, given) => glob(wanted, given), negated: true },
  ArnEquals: { compare: arnLike },
  ArnLike: { compare: arnLike },
  ArnNotEquals: { compare: arnLike, negated: true },
  ArnNotLike: { compare: arnLike, negated: true },
  Bool: { compare: (wanted, given) => wanted.toLowerCase() === given.toLowerCase() },
  NumericEquals: { compare: numbers((given, wanted) => given === wanted) },
  NumericNotEquals: { compare: numbers((given, wanted) => given === wanted), negated: true },
  NumericLessThan: { compare: numbers((given, wanted) => given < wanted) },
  NumericLessThanEquals: { compare: numbers((given, wanted) => given <= wanted) },
  NumericGreaterThan: { compare: numbers((given, wanted) => given > wanted) },
  NumericGreaterThanEquals: { compare: numbers((given, wanted) => given >= wanted) },
}

/** One key under one operator. */
const holds = (written: string, key: string, values: readonly string[], context: Context): boolean => {
  const [, set = '', base = '', ifExists = ''] = /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(written) ?? []
  const given = lookUp(context, key)
  if (base === 'Null') return values.some((value) => (value.toLowerCase() === 'true') === (given === undefined || given.length === 0))
  const operator = operators[base]
  if (operator === undefined) throw new Error(`The evaluator does not know the operator ${written}`)
  const { compare, negated = false } = operator
  if (given === undefined) return ifExists !== '' || (set === '' ? negated : set === 'ForAllValues')
  const wanted = values.map((value) => substitute(value, context)).filter((value) => value !== undefined)
  const matches = (value: string): boolean => wanted.some((pattern) => compare(pattern, value)) !== negated
  if (set === 'ForAllValues') return given.every(matches)
  if (set === 'ForAnyValue') return given.some(matches)
  if (given.length !== 1) throw new Error(`${key} has ${given.length} values; ${written} is for one: write ForAllValues or ForAnyValue`)
  return given.every(matches)
}

const conditionsHold = (statement: WrittenStatement, context: Context): boolean =>
  Object.entries(statement.Condition ?? {}).every(([operator, keys]) => Object.entries(keys).every(([key, values]) => holds(operator, key, listOf(values as string | readonly string[]).map(String), context)))

const accountOf = (arn: string): string => segmentsOf(arn)[4] ?? ''

/** `direct`: the caller itself is named, not only its account. */
const principalMatches = (principal: unknown, caller: Caller | undefined): 'direct' | 'account' | undefined => {
  if (principal === undefined) return 'direct'
  if (principal === '*') return caller?.kind === 'AWS' || caller === undefined ? 'account' : undefined
  if (caller === undefined) return undefined
  const named = listOf((principal as Readonly<Record<string, string | readonly string[]>>)[caller.kind])
  if (caller.kind !== 'AWS') return named.includes(caller.id) ? 'direct' : undefined
  if (named.includes(caller.id)) return 'direct'
  const account = accountOf(caller.id)
  return named.some((name) => name === '*' || name === account || /^arn:aws[a-z-]*:iam::(\d{12}):root$/.exec(name)?.[1] === account) ? 'account' : undefined
}

const actionMatches = ({ Action, NotAction }: WrittenStatement, action: string): boolean => {
  if ((Action === undefined) === (NotAction === undefined)) throw new Error('A statement has Action or NotAction, one of them')
  const matches = (pattern: string): boolean => glob(pattern, action, 'i')
  return Action === undefined ? !listOf(NotAction).some(matches) : listOf(Action).some(matches)
}

const resourceMatches = ({ Resource, NotResource }: WrittenStatement, resource: string, context: Context): boolean => {
  const matches = (pattern: string): boolean => {
    const filled = substitute(pattern, context)
    if (filled !== undefined && filled.startsWith('arn:') && segmentsOf(filled).length < 6) throw new Error(`The evaluator does not know the resource ${filled}`)
    return filled !== undefined && (filled === '*' || (resource !== '*' && (segmentsOf(filled).length === 6 ? arnLike(filled, resource) : glob(filled, resource))))
  }
  return NotResource === undefined ? listOf(Resource).some(matches) : !listOf(NotResource).some(matches)
}

interface Found {
  readonly deny?: string
  readonly allow?: 'direct' | 'account'
}

/** What one kind of policy says. A trust policy's resource is the role itself. */
const ask = (documents: readonly PolicyDocument[], { action, resource, caller }: Question, context: Context, trust = false): Found => {
  let allow: Found['allow']
  for (const statement of documents.flatMap(({ Statement }) => listOf<WrittenStatement>(Statement))) {
    if ('NotPrincipal' in statement) throw new Error('The evaluator does not know NotPrincipal')
    if (statement.Effect !== 'Allow' && statement.Effect !== 'Deny') throw new Error(`Effect is Allow or Deny, not ${statement.Effect}`)
    const principal = principalMatches(statement.Principal, caller)
    if (principal === undefined || !actionMatches(statement, action) || !(trust || resourceMatches(statement, resource, context)) || !conditionsHold(statement, context)) continue
    if (statement.Effect === 'Deny') return { deny: statement.Sid ?? 'a Deny' }
    allow = allow === 'direct' ? allow : principal
  }
  return { ...(allow !== undefined && { allow }) }
}

/** The request's context with what AWS itself puts there. */
const completed = ({ caller, context = {} }: Question): Context => ({ ...(caller?.kind === 'AWS' && { 'aws:PrincipalArn': caller.id, 'aws:PrincipalAccount': accountOf(caller.id) }), ...context })

const layers = ['identity', 'boundary', 'session', 'endpoint'] as const

/** Whether a request passes every policy that has a say. */
export const decide = (policies: Policies, question: Question): Decision => {
  const context = completed(question)
  const present = layers.flatMap((layer) => (policies[layer] === undefined ? [] : [{ layer, found: ask(policies[layer], question, context) }]))
  if (present.length === 0) throw new Error('No policy was given')
  const denied = present.find(({ found }) => found.deny !== undefined)
  if (denied !== undefined) return { allowed: false, why: `${denied.layer}: ${denied.found.deny ?? ''}` }
  const silent = present.find(({ found }) => found.allow === undefined)
  return silent === undefined ? { allowed: true, why: 'allowed' } : { allowed: false, why: `implicit ${silent.layer}` }
}

/**
 * Whether a caller may call STS for a role: its trust policy must allow it, and the caller's own policies as well, but for callers of the same account that the trust policy names
 * themselves, and those that are no principal of AWS. Session tags and a source identity are questions of their own (`sts:TagSession`, `sts:SetSourceIdentity`).
 */
export const decideAssume = (policies: Policies, question: Question & { readonly caller: Caller }): Decision => {
  const trusted = ask(policies.trust ?? [], question, completed(question), true)
  if (trusted.deny !== undefined) return { allowed: false, why: `trust: ${trusted.deny}` }
  if (trusted.allow === undefined) return { allowed: false, why: 'implicit trust' }
  const { identity, ...limits } = policies
  const own = question.caller.kind === 'AWS' && accountOf(question.caller.id) === accountOf(question.resource)
  const free = question.caller.kind !== 'AWS' || (own && trusted.allow === 'direct')
  const rest: Policies = { ...limits, ...(free && identity?.some((document) => ask([document], question, completed(question)).deny !== undefined) !== true ? {} : { identity: identity ?? [] }) }
  return layers.every((layer) => rest[layer] === undefined) ? { allowed: true, why: 'allowed' } : decide(rest, question)
}

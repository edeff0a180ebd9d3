// An ARM template as Azure would read it: parameters filled in, expressions worked out, what is not wanted left out. What only a deployment knows (a principal's id, a vault's address)
// stands as `<resource id>#<property>`, so that it can be followed. Functions that it does not know are errors, as a typing mistake would be.

/** A template as it is committed. */
export interface ArmTemplate {
  readonly parameters: Readonly<Record<string, { readonly type: string; readonly defaultValue?: unknown; readonly minLength?: number; readonly maxLength?: number }>>
  readonly variables: Readonly<Record<string, unknown>>
  readonly resources: readonly ArmResource[]
  readonly outputs: Readonly<Record<string, { readonly type: string; readonly value: unknown }>>
}

/** A resource as it is committed. */
export interface ArmResource {
  readonly type: string
  readonly apiVersion: string
  readonly name: string
  readonly condition?: unknown
  readonly scope?: unknown
  readonly dependsOn?: readonly string[]
  readonly [key: string]: unknown
}

/** A resource as it would be deployed. */
export interface Deployed {
  readonly id: string
  readonly type: string
  readonly apiVersion: string
  readonly name: string
  readonly body: Readonly<Record<string, unknown>>
  readonly dependsOn: readonly string[]
  /** The ids that its values speak of. */
  readonly speaksOf: readonly string[]
}

/** A deployment as it would be. */
export interface Deployment {
  readonly resources: readonly Deployed[]
  readonly outputs: Readonly<Record<string, unknown>>
}

const group = '/subscriptions/sub/resourceGroups/group'
const facts: Readonly<Record<string, unknown>> = {
  resourceGroup: { id: group, name: 'group', location: 'westeurope' },
  subscription: { id: '/subscriptions/sub', subscriptionId: 'sub' },
  tenant: { tenantId: 'tenant' },
  environment: { authentication: { loginEndpoint: 'https://login.microsoftonline.com/' } },
}

/** What a deployment will know of a resource. */
class Later {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  toString(): string {
    return this.text
  }
}

interface Scope {
  readonly parameters: Readonly<Record<string, unknown>>
  readonly variables: Readonly<Record<string, unknown>>
  readonly lambda: Readonly<Record<string, unknown>>
  readonly spoken: Set<string>
}

/** Words and marks of an expression. */
const tokensOf = (code: string): string[] => {
  const tokens = code.match(/'(?:[^']|'')*'|\d+|\w+|[().,[\]]|\S/g) ?? []
  return [...tokens]
}

interface Call {
  readonly kind: 'call'
  readonly name: string
  readonly given: readonly Node[]
}
type Node = Call | { readonly kind: 'value'; readonly value: string | number } | { readonly kind: 'member'; readonly of: Node; readonly key: Node }

const parse = (code: string): Node => {
  const tokens = tokensOf(code)
  const fail = (): never => {
    throw new Error(`This is no expression: ${code}`)
  }
  const take = (wanted: string): string => (tokens[0] === wanted ? (tokens.shift() as string) : fail())
  const single = (): Node => {
    const token = tokens.shift() ?? fail()
    if (token.startsWith("'")) return { kind: 'value', value: token.slice(1, -1).replaceAll("''", "'") }
    if (/^\d/.test(token)) return { kind: 'value', value: Number(token) }
    if (!/^[A-Za-z]/.test(token)) fail()
    take('(')
    const given: Node[] = []
    while (tokens[0] !== ')') {
      given.push(whole())
      if (tokens[0] !== ')') take(',')
    }
    take(')')
    return { kind: 'call', name: token, given }
  }
  const whole = (): Node => {
    let node = single()
    for (;;) {
      if (tokens[0] === '.') {
        take('.')
        node = { kind: 'member', of: node, key: { kind: 'value', value: tokens.shift() ?? fail() } }
      } else if (tokens[0] === '[') {
        take('[')
        node = { kind: 'member', of: node, key: whole() }
        take(']')
      } else return node
    }
  }
  const node = whole()
  return tokens.length === 0 ? node : fail()
}

const idOf = (base: string, type: string, names: readonly unknown[]): string => {
  const [provider = '', ...kinds] = type.split('/')
  if (kinds.length !== names.length) throw new Error(`${type} has ${kinds.length} parts, and ${names.length} names were given.`)
  return `${base}/providers/${provider}/${kinds.map((kind, index) => `${kind}/${String(names[index])}`).join('/')}`
}

const functions: Readonly<Record<string, (given: readonly unknown[], scope: Scope) => unknown>> = {
  parameters: ([name], { parameters }) => known(parameters, String(name), 'parameter'),
  variables: ([name], { variables }) => known(variables, String(name), 'variable'),
  lambdaVariables: ([name], { lambda }) => known(lambda, String(name), 'lambda variable'),
  resourceId: ([type, ...names], { spoken }) => remembered(spoken, idOf(group, String(type), names)),
  extensionResourceId: ([base, type, ...names], { spoken }) => remembered(spoken, idOf(String(base), String(type), names)),
  subscriptionResourceId: ([type, ...names]) => idOf('/subscriptions/sub', String(type), names),
  reference: ([id]) => new Later(`${String(id)}#`),
  format: ([text, ...given]) => String(text).replace(/\{(\d+)\}/g, (_, index: string) => String(given[Number(index)])),
  concat: (given) => (given.every(Array.isArray) ? given.flat() : given.map(String).join('')),
  guid: (given) => `guid(${given.map(String).join(',')})`,
  // As long as the real one.
  uniqueString: () => 'unique1234567',
  createArray: (given) => [...given],
  createObject: (given) => Object.fromEntries(Array.from({ length: given.length / 2 }, (_, index) => [String(given[2 * index]), given[2 * index + 1]])),
  items: ([object]) => Object.entries(object as object).map(([key, value]: [string, unknown]) => ({ key, value })),
  empty: ([value]) => value === '' || (Array.isArray(value) ? value.length === 0 : typeof value === 'object' && value !== null && Object.keys(value).length === 0),
  not: ([value]) => value !== true,
  null: () => null,
}

const known = (record: Readonly<Record<string, unknown>>, name: string, what: string): unknown => {
  if (!Object.hasOwn(record, name)) throw new Error(`There is no ${what} ${name}.`)
  return record[name]
}

const remembered = (spoken: Set<string>, id: string): string => {
  spoken.add(id)
  return id
}

const evaluate = (node: Node, scope: Scope): unknown => {
  if (node.kind === 'value') return node.value
  if (node.kind === 'member') {
    const [of, key] = [evaluate(node.of, scope), evaluate(node.key, scope)]
    if (of instanceof Later) return new Later(`${of.text}${of.text.endsWith('#') ? '' : '.'}${String(key)}`)
    return known(of as Record<string, unknown>, String(key), 'property')
  }
  const { name, given } = node
  if (given.length === 0 && Object.hasOwn(facts, name)) return facts[name]
  // Of a choice only what is chosen is looked at, as Azure does.
  if (name === 'if') return evaluate((evaluate(given[0] as Node, scope) === true ? given[1] : given[2]) as Node, scope)
  if (name === 'map') {
    const [list, lambda] = given as [Node, Call]
    const [variable, body] = lambda.given as [Node, Node]
    return (evaluate(list, scope) as unknown[]).map((item) => evaluate(body, { ...scope, lambda: { [String(evaluate(variable, scope))]: item } }))
  }
  const apply = functions[name]
  if (apply === undefined) throw new Error(`${name} is no function that is known here.`)
  return apply(given.map((each) => evaluate(each, scope)), scope)
}

const plain = (value: unknown): unknown => (value instanceof Later ? value.text : Array.isArray(value) ? value.map(plain) : value !== null && typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)])) : value)

const resolve = (value: unknown, scope: Scope): unknown => {
  if (typeof value === 'string') {
    if (value.startsWith('[[')) return value.slice(1)
    return value.startsWith('[') && value.endsWith(']') ? plain(evaluate(parse(value.slice(1, -1)), scope)) : value
  }
  if (Array.isArray(value)) return value.map((item) => resolve(item, scope))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, resolve(each, scope)]))
}

/** Deploys a template on paper, with these parameters. @throws what Azure would refuse before it begins: an unknown parameter, variable or function, a name with too few parts, a length outside of its bounds */
export const deploy = (template: ArmTemplate, given: Readonly<Record<string, unknown>>): Deployment => {
  for (const name of Object.keys(given)) known(template.parameters, name, 'parameter')
  const parameters: Record<string, unknown> = {}
  const scopeOf = (spoken: Set<string>): Scope => ({ parameters, variables, lambda: {}, spoken })
  const variables: Record<string, unknown> = {}
  for (const [name, { defaultValue, minLength = 0, maxLength = Infinity }] of Object.entries(template.parameters)) {
    const value = given[name] ?? resolve(defaultValue, scopeOf(new Set()))
    if (value === undefined) throw new Error(`The parameter ${name} is missing.`)
    if (typeof value === 'string' && (value.length < minLength || value.length > maxLength)) throw new Error(`The parameter ${name} has ${value.length} characters.`)
    parameters[name] = value
  }
  for (const [name, value] of Object.entries(template.variables)) variables[name] = resolve(value, scopeOf(new Set()))
  const resources = template.resources.flatMap((resource): readonly Deployed[] => {
    const spoken = new Set<string>()
    const scope = scopeOf(spoken)
    const { type, apiVersion, name, condition, scope: at, dependsOn = [], ...body } = resource
    if (condition !== undefined && resolve(condition, scopeOf(new Set())) !== true) return []
    const resolvedName = String(resolve(name, scope))
    const base = at === undefined ? group : String(resolve(at, scope))
    // Of an extension the name is one part, whatever is in it.
    const id = idOf(base, type, at === undefined ? resolvedName.split('/') : [resolvedName])
    return [{ id, type, apiVersion, name: resolvedName, body: { ...(resolve(body, scope) as object), ...(at === undefined ? {} : { scope: base }) }, dependsOn: dependsOn.map((each) => String(resolve(each, scopeOf(new Set())))), speaksOf: [...spoken] }]
  })
  const outputs = Object.fromEntries(Object.entries(template.outputs).map(([name, { value }]) => [name, resolve(value, scopeOf(new Set()))]))
  return { resources, outputs }
}

/** What a deployment would stumble over: two of one id, a resource that is spoken of and is neither here nor deployed before, a circle. */
export const stumbles = ({ resources }: Deployment, all: Deployment): readonly string[] => {
  const [found, byId]: [string[], Map<string, Deployed>] = [[], new Map()]
  for (const resource of resources) {
    if (byId.has(resource.id)) found.push(`${resource.id} stands there twice`)
    byId.set(resource.id, resource)
  }
  const everywhere = new Set(all.resources.map(({ id }) => id))
  const before = (id: string, path: readonly string[] = []): ReadonlySet<string> => {
    if (path.includes(id)) {
      found.push(`${id} waits for itself`)
      return new Set()
    }
    const direct = (byId.get(id)?.dependsOn ?? []).filter((each) => byId.has(each))
    return new Set(direct.flatMap((each) => [each, ...before(each, [...path, id])]))
  }
  for (const { id, dependsOn, speaksOf } of resources) {
    const earlier = before(id)
    for (const each of dependsOn) if (!everywhere.has(each)) found.push(`${id} waits for ${each}, which is not there`)
    for (const each of speaksOf) {
      const holder = [...byId.keys()].filter((candidate) => each === candidate || each.startsWith(`${candidate}/`)).toSorted((a, b) => b.length - a.length)[0]
      if (holder === undefined) found.push(`${id} speaks of ${each}, which is not there`)
      else if (holder !== id && !earlier.has(holder)) found.push(`${id} speaks of ${each} and does not wait for it`)
    }
    const parent = id.slice(0, id.lastIndexOf('/', id.lastIndexOf('/') - 1))
    if (byId.has(parent) && !earlier.has(parent)) found.push(`${id} does not wait for its parent`)
  }
  return found
}

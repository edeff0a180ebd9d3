// A template's values as CloudFormation makes them: references to parameters and pseudo parameters, conditions, joins. What only a deployment knows (an id, an ARN of a resource)
// becomes a placeholder in angle brackets, or what the test says it is.

/** A template, of which tests look at some parts. */
export interface Template {
  readonly Parameters?: Readonly<Record<string, { readonly Type?: string; readonly Default?: unknown; readonly AllowedPattern?: string; readonly AllowedValues?: readonly unknown[] }>>
  readonly Conditions?: Readonly<Record<string, unknown>>
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly Properties?: Readonly<Record<string, unknown>>; readonly [attribute: string]: unknown }>>
  readonly Outputs?: Readonly<Record<string, unknown>>
  readonly [part: string]: unknown
}

/** Where a template is deployed, and with what. */
export interface World {
  readonly account: string
  readonly region: string
  readonly partition?: string
  readonly parameters?: Readonly<Record<string, string>>
  /** What `Ref` of a resource gives, by logical id. */
  readonly refs?: Readonly<Record<string, string>>
  /** What `Fn::GetAtt` gives, by `LogicalId.Attribute`. */
  readonly attributes?: Readonly<Record<string, string>>
}

const gone = Symbol('AWS::NoValue')
type Intrinsic = (argument: unknown, template: Template, world: World) => unknown

const text = (value: unknown): string => (typeof value === 'string' ? value : String(value as number | boolean))
const refOf = (name: string, template: Template, world: World): unknown => {
  const pseudo: Readonly<Record<string, unknown>> = {
    'AWS::AccountId': world.account, 'AWS::Region': world.region, 'AWS::Partition': world.partition ?? 'aws', 'AWS::URLSuffix': 'amazonaws.com', 'AWS::StackName': 'stack',
    'AWS::StackId': `arn:aws:cloudformation:${world.region}:${world.account}:stack/stack/id`, 'AWS::NoValue': gone,
  }
  if (Object.hasOwn(pseudo, name)) return pseudo[name]
  const parameter = template.Parameters?.[name]
  if (parameter === undefined) return world.refs?.[name] ?? `<${name}>`
  const given = world.parameters?.[name] ?? parameter.Default
  if (given === undefined) throw new Error(`Parameter ${name} has no value`)
  const list = parameter.Type === 'CommaDelimitedList'
  for (const item of list ? text(given).split(',') : [text(given)]) {
    if (parameter.AllowedPattern !== undefined && !new RegExp(`^(?:${parameter.AllowedPattern})$`).test(item)) throw new Error(`Parameter ${name} does not match ${parameter.AllowedPattern}`)
    if (parameter.AllowedValues !== undefined && !parameter.AllowedValues.map(text).includes(item)) throw new Error(`Parameter ${name} is none of ${parameter.AllowedValues.map(text).join(', ')}`)
  }
  return list ? text(given).split(',') : text(given)
}

const conditionOf = (value: unknown, template: Template, world: World): boolean => {
  const [[name, argument] = ['', undefined]] = Object.entries(value as object) as [string, unknown][]
  const all = (): readonly boolean[] => (argument as readonly unknown[]).map((item) => conditionOf(item, template, world))
  switch (name) {
    case 'Condition': return conditionOf(template.Conditions?.[text(argument)] ?? {}, template, world)
    case 'Fn::Equals': { const [left, right] = (resolve(argument, template, world) as readonly unknown[]).map(text); return left === right }
    case 'Fn::Not': return !all()[0]
    case 'Fn::And': return all().every(Boolean)
    case 'Fn::Or': return all().some(Boolean)
    default: throw new Error(`The resolver does not know the condition ${name}`)
  }
}

const intrinsics: Readonly<Record<string, Intrinsic>> = {
  Ref: (name, template, world) => refOf(text(name), template, world),
  'Fn::GetAtt': (argument, _, world) => {
    const at = Array.isArray(argument) ? argument.map(text).join('.') : text(argument)
    return world.attributes?.[at] ?? `<${at}>`
  },
  'Fn::Join': (argument, template, world) => {
    const [separator, parts] = resolve(argument, template, world) as readonly [string, readonly unknown[]]
    return parts.map(text).join(separator)
  },
  'Fn::Split': (argument, template, world) => {
    const [separator, whole] = resolve(argument, template, world) as readonly [string, string]
    return whole.split(separator)
  },
  'Fn::Select': (argument, template, world) => {
    const [index, parts] = resolve(argument, template, world) as readonly [string | number, readonly unknown[]]
    return parts[Number(index)]
  },
  'Fn::Sub': (argument, template, world) => {
    const [pattern, given] = (Array.isArray(argument) ? argument : [text(argument), {}]) as unknown as readonly [string, Readonly<Record<string, unknown>>]
    return pattern.replaceAll(/\$\{([^}]+)\}/g, (_, name: string) =>
      name.startsWith('!') ? `\${${name.slice(1)}}` : text(Object.hasOwn(given, name) ? resolve(given[name], template, world) : name.includes('.') ? intrinsics['Fn::GetAtt']?.(name, template, world) : refOf(name, template, world)))
  },
  'Fn::If': (argument, template, world) => {
    const [condition, then, otherwise] = argument as readonly [string, unknown, unknown]
    return resolveAny(conditionOf({ Condition: condition }, template, world) ? then : otherwise, template, world)
  },
  'Fn::GetAZs': (_argument, _template, { region }) => ['a', 'b', 'c'].map((zone) => `${region}${zone}`),
  'Fn::ImportValue': (name) => `<import ${text(name)}>`,
}

const resolveAny = (value: unknown, template: Template, world: World): unknown => {
  if (Array.isArray(value)) return value.map((item: unknown) => resolveAny(item, template, world)).filter((item) => item !== gone)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value) as [string, unknown][]
  const [[name, argument] = ['', undefined]] = entries
  const intrinsic = entries.length === 1 ? intrinsics[name] : undefined
  if (intrinsic !== undefined) return intrinsic(argument, template, world)
  if (entries.length === 1 && name.startsWith('Fn::')) throw new Error(`The resolver does not know ${name}`)
  return Object.fromEntries(entries.flatMap(([key, item]) => {
    const made = resolveAny(item, template, world)
    return made === gone ? [] : [[key, made]]
  }))
}

/** A value of a template as it is in that world. @throws for a parameter that its own rules refuse, and for an intrinsic that is not known */
export const resolve = (value: unknown, template: Template, world: World): unknown => {
  const made = resolveAny(value, template, world)
  return made === gone ? undefined : made
}

/** The resources of one type, by logical id, with their properties resolved. A resource whose condition is false is not there. */
export const resourcesOf = (template: Template, type: string, world: World): Readonly<Record<string, Readonly<Record<string, unknown>>>> =>
  Object.fromEntries(Object.entries(template.Resources).flatMap(([id, resource]) => {
    const condition = resource['Condition']
    const there = typeof condition !== 'string' || conditionOf({ Condition: condition }, template, world)
    return resource.Type === type && there ? [[id, resolve(resource.Properties ?? {}, template, world) as Readonly<Record<string, unknown>>]] : []
  }))

// ARM templates as typed values: an expression knows which resources it speaks of, so that what must be deployed first follows from what is used and is never written by hand.

/** What Azure works out when it deploys: a parameter, a property, a function of others. */
export class Expression {
  readonly code: string
  readonly needs: readonly Resource[]

  constructor(code: string, needs: readonly Resource[] = []) {
    this.code = code
    this.needs = needs
  }
}

/** A value of a template. What is `undefined` is left out. */
export type Value = string | number | boolean | null | undefined | Expression | readonly Value[] | { readonly [key: string]: Value }

/** One resource. `name`: a segment for each part of `type` behind the provider, unless it extends another (`scope`). */
export interface Resource {
  readonly type: string
  readonly apiVersion: string
  readonly name: readonly (string | Expression)[]
  /** The resource that it is said of: an assignment of a role, a diagnostic setting. */
  readonly scope?: Resource
  /** Deployed only where it is true. */
  readonly condition?: Expression
  /** What must be there before and is not spoken of. */
  readonly after?: readonly Resource[]
  readonly body: { readonly [key: string]: Value }
}

/** A parameter as whoever deploys is told of it. */
export interface Parameter {
  readonly type: 'string' | 'int' | 'bool' | 'array' | 'object'
  readonly defaultValue?: Value
  readonly allowedValues?: readonly Value[]
  readonly minValue?: number
  readonly maxValue?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly description: string
}

/** A template before it is JSON. */
export interface Template {
  readonly parameters: Readonly<Record<string, Parameter>>
  readonly variables: Readonly<Record<string, Value>>
  readonly resources: readonly Resource[]
  readonly outputs: Readonly<Record<string, { readonly type: 'string' | 'object'; readonly value: Value }>>
}

type Argument = string | number | Expression

const codeOf = (argument: Argument): string => (argument instanceof Expression ? argument.code : typeof argument === 'number' ? String(argument) : `'${argument.replaceAll("'", "''")}'`)
const needsOf = (argument: Argument): readonly Resource[] => (argument instanceof Expression ? argument.needs : [])

/** A function of ARM, applied. Text is quoted. */
export const call = (name: string, ...given: readonly Argument[]): Expression => new Expression(`${name}(${given.map(codeOf).join(', ')})`, given.flatMap(needsOf))

/** A property of what an expression gives, by its path. */
export const at = ({ code, needs }: Expression, path: string): Expression => new Expression(`${code}.${path}`, needs)

/** The value of a parameter. */
export const parameter = (name: string): Expression => call('parameters', name)

/** The value of a variable. */
export const variable = (name: string): Expression => call('variables', name)

/** Text with `{0}`, `{1}` for what follows. */
export const format = (text: string, ...given: readonly Argument[]): Expression => call('format', text, ...given)

/** The resource's id. Whoever uses it is deployed after it. */
export const idOf = (resource: Resource): Expression => {
  const { type, name, scope } = resource
  const { code, needs } = scope === undefined ? call('resourceId', type, ...name) : call('extensionResourceId', idOf(scope), type, ...name)
  return new Expression(code, [...needs, resource])
}

/** A property that the resource has once it is deployed, such as `principalId`. */
export const propertyOf = (resource: Resource, path: string): Expression => at(call('reference', idOf(resource), resource.apiVersion), path)

const nameOf = ({ name }: Resource): string | Expression => (name.length === 1 ? (name[0] ?? '') : format(name.map((_, index) => `{${index}}`).join('/'), ...name))

const rendered = (value: Value, needs: Set<Resource>): unknown => {
  if (value instanceof Expression) {
    for (const need of value.needs) needs.add(need)
    return `[${value.code}]`
  }
  // What begins with a bracket and is no expression would be taken for one.
  if (typeof value === 'string') return value.startsWith('[') ? `[${value}` : value
  if (Array.isArray(value)) return value.map((item: Value) => rendered(item, needs))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value as Record<string, Value>).flatMap(([key, item]) => (item === undefined ? [] : [[key, rendered(item, needs)]])))
}

const resourceJson = (resource: Resource): object => {
  const { type, apiVersion, scope, condition, after = [], body } = resource
  const needs = new Set<Resource>(after)
  const head = { condition, type, apiVersion, scope: scope === undefined ? undefined : idOf(scope), name: nameOf(resource), ...body }
  const json = rendered(head, needs) as object
  needs.delete(resource)
  return needs.size === 0 ? json : { ...json, dependsOn: [...needs].map((need) => `[${idOf(need).code}]`).toSorted() }
}

const parameterJson = ({ description, ...rest }: Parameter): unknown => rendered({ ...rest, metadata: { description } }, new Set())

/** The template as JSON text: the same from the same values. */
export const templateJson = ({ parameters, variables, resources, outputs }: Template): string => {
  const of = <T>(record: Readonly<Record<string, T>>, json: (value: T) => unknown): object => Object.fromEntries(Object.entries(record).map(([name, value]) => [name, json(value)]))
  const template = {
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    parameters: of(parameters, parameterJson),
    variables: rendered(variables, new Set()),
    resources: resources.map(resourceJson),
    outputs: of(outputs, (output) => rendered(output, new Set())),
  }
  return `${JSON.stringify(template, null, 2)}\n`
}

// The template as the emulator can take it: the shipped one, without what is listed here. Copy and comparison know nothing of each other, so that a copy that leaves out
// more than the list allows is found.
/** What is left out, and why. Each is shown, in the run, to be still needed. */
export const leftOut = {
  types: {
    'AWS::SecretsManager::RotationSchedule': 'the emulator refuses a template that has one',
    'AWS::EC2::FlowLog': 'the same',
    'AWS::EC2::SecurityGroupEgress': 'the same',
    'AWS::EC2::SecurityGroupIngress': 'the same',
    'AWS::ApiGateway::ClientCertificate': 'the same; with it goes the property of the stage that refers to it',
    'AWS::WAFv2::WebACLAssociation': 'the same',
    'AWS::WAFv2::LoggingConfiguration': 'the same',
  },
  conditionKeys: {
    'secretsmanager:Name': 'the emulator never has it, so a statement that asks for it allows nothing',
    'sts:ExternalId': "the emulator has it for the trust policy, and never for the caller's own",
  },
} as const

/** A template, as far as it is looked at. */
export interface Template {
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly DependsOn?: readonly string[]; readonly [key: string]: unknown }>>
  readonly [key: string]: unknown
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)
const keyIsLeftOut = (key: string): boolean => Object.hasOwn(leftOut.conditionKeys, key)

const refersTo = (value: unknown, ids: readonly string[]): boolean => isObject(value) && Object.keys(value).length === 1 && ids.includes(String(value['Ref']))

const withoutKeys = (value: unknown, gone: readonly string[]): unknown => {
  if (Array.isArray(value)) return value.map((one) => withoutKeys(one, gone))
  if (!isObject(value)) return value
  const entries = Object.entries(value).flatMap(([key, inner]) => (refersTo(inner, gone) ? [] : [[key, withoutKeys(inner, gone)] as const]))
  const condition = value['Condition']
  if (!isObject(condition) || typeof value['Effect'] !== 'string') return Object.fromEntries(entries)
  const operators = Object.entries(condition).map(([operator, keys]) => [operator, Object.fromEntries(Object.entries(keys as object).filter(([key]) => !keyIsLeftOut(key)))] as const)
  const left = operators.filter(([, keys]) => Object.keys(keys).length > 0)
  return { ...Object.fromEntries(entries.filter(([key]) => key !== 'Condition')), ...(left.length === 0 ? {} : { Condition: Object.fromEntries(left) }) }
}

/** The copy that is deployed. */
export const copyOf = (template: Template): Template => {
  const gone = Object.keys(template.Resources).filter((id) => Object.hasOwn(leftOut.types, template.Resources[id]?.Type ?? ''))
  const kept = Object.entries(template.Resources).filter(([id]) => !gone.includes(id))
  return withoutKeys({ ...template, Resources: Object.fromEntries(kept) }, gone) as Template
}

/** Every place in which the copy is not the template, and which the list does not explain. */
export const unexplained = (template: Template, copy: Template): readonly string[] => differences(template, copy, [], Object.keys(template.Resources).filter((id) => Object.hasOwn(leftOut.types, template.Resources[id]?.Type ?? '')))

const differences = (template: unknown, copy: unknown, path: readonly string[], gone: readonly string[]): readonly string[] => {
  const at = path.join('.')
  if (Array.isArray(template) && Array.isArray(copy)) return template.length === copy.length ? template.flatMap((one, index) => differences(one, copy[index], [...path, String(index)], gone)) : [at]
  if (!isObject(template) || !isObject(copy)) return Object.is(template, copy) ? [] : [at]
  const added = Object.keys(copy).filter((key) => !Object.hasOwn(template, key)).map((key) => `${at}.${key}`)
  return [...added, ...Object.entries(template).flatMap(([key, inner]) => (Object.hasOwn(copy, key) ? differences(inner, copy[key], [...path, key], gone) : isExplained(inner, [...path, key], gone) ? [] : [`${at}.${key}`]))]
}

const isExplained = (missing: unknown, path: readonly string[], gone: readonly string[]): boolean => {
  const [first, id = '', ...rest] = path
  if (first !== 'Resources') return false
  if (rest.length === 0) return gone.includes(id)
  if (rest[0] === 'Properties' && refersTo(missing, gone)) return true
  const within = path.indexOf('Condition')
  if (within < 0 || path[within - 2] !== 'Statement') return false
  const keys = path.length - within === 1 && isObject(missing) ? Object.values(missing).flatMap((operator) => Object.keys(operator as object)) : path.length - within === 2 && isObject(missing) ? Object.keys(missing) : [path.at(-1) ?? '']
  return keys.length > 0 && keys.every(keyIsLeftOut)
}

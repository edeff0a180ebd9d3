// Weakenings that somebody could make of policies and stacks by one careless line, each with the check that must see it. A check that no mutant breaks proves nothing.
import { actionsWithoutResource } from '../../../infra/policies.ts'
import type { PolicyDocument, WrittenStatement } from './iam.ts'
import type { Subject } from './subject.ts'
import type { Template } from './template.ts'

/** One weakening of a subject. */
export interface Mutant<S> {
  readonly what: string
  /** The title of the check that must report it. */
  readonly caughtBy: string
  readonly weaken: (subject: S) => S
}

/** Every statement of a value, wherever it stands, made anew. */
const mapStatements = (value: unknown, change: (statement: WrittenStatement) => unknown): unknown => {
  if (Array.isArray(value)) return value.map((item: unknown) => mapStatements(item, change))
  if (value === null || typeof value !== 'object') return value
  if ('Effect' in value && ('Action' in value || 'NotAction' in value)) return change(value as WrittenStatement)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapStatements(item, change)]))
}

const inPart = <S, K extends keyof S>(part: K, sid: RegExp, change: (statement: WrittenStatement) => unknown) => (subject: S): S => {
  let hit = false
  const made = mapStatements(subject[part], (statement) => {
    if (!sid.test(statement.Sid ?? '')) return statement
    hit = true
    return change(statement)
  })
  if (!hit) throw new Error(`No statement is called ${String(sid)}; the mutant changes nothing`)
  return { ...subject, [part]: made }
}

const without = (value: object | undefined, ...path: readonly string[]): Record<string, unknown> => {
  const [key = '', ...rest] = path
  const copy: Record<string, unknown> = { ...value }
  if (rest.length === 0 || typeof copy[key] !== 'object') delete copy[key]
  else {
    copy[key] = without(copy[key] as object, ...rest)
    if (Object.keys(copy[key] as object).length === 0) delete copy[key]
  }
  return copy
}

/** A condition dropped, by operator and key. */
const drop = (...path: readonly string[]) => (statement: WrittenStatement): unknown => {
  const found = JSON.stringify(statement.Condition ?? {})
  if (path.some((key) => !found.includes(key))) throw new Error(`${statement.Sid ?? ''} has no ${path.join('.')}`)
  return { ...statement, Condition: dropDeep(statement.Condition, path) }
}

/** The key may stand inside an `Fn::If`. */
const dropDeep = (value: unknown, path: readonly string[]): unknown => {
  const [operator = '', key] = path
  const condition = value as Readonly<Record<string, unknown>>
  if (key === undefined) return without(condition, operator)
  const strip = (item: unknown): unknown => (Array.isArray(item) ? item.map(strip) : item !== null && typeof item === 'object' ? Object.fromEntries(Object.entries(item).filter(([name]) => name !== key).map(([name, inner]) => [name, strip(inner)])) : item)
  const rest = strip(condition[operator])
  return Object.keys(rest as object).length === 0 ? without(condition, operator) : { ...condition, [operator]: rest }
}

const put = (more: Partial<WrittenStatement>) => (statement: WrittenStatement): unknown => ({ ...statement, ...more })
const alsoActions = (...actions: readonly string[]) => (statement: WrittenStatement): unknown => ({ ...statement, Action: [...[statement.Action ?? []].flat(), ...actions] })
const shorter = (statement: WrittenStatement): unknown => JSON.parse(JSON.stringify(statement).replaceAll('secret:litellm/*', 'secret:litellm*'))

const addToRoles = (name: 'read' | 'keys' | 'rotate', statement: WrittenStatement) => (subject: Subject): Subject => {
  const add = (document: PolicyDocument): PolicyDocument => ({ ...document, Statement: [...([document.Statement].flat() as readonly WrittenStatement[]), statement] })
  return { ...subject, roles: Object.fromEntries(Object.entries(subject.roles).map(([mode, roles]) => [mode, { ...roles, [name]: add(roles[name]) }])) as unknown as Subject['roles'] }
}

const onlyMode = (mode: keyof Subject['roles'], from: keyof Subject['roles'], name: 'keys' | 'read') => (subject: Subject): Subject => ({ ...subject, roles: { ...subject.roles, [mode]: { ...subject.roles[mode], [name]: subject.roles[from][name] } } })

const boundaryOf = (template: Template, change: (statements: readonly unknown[]) => readonly unknown[]): Template => ({
  ...template,
  Resources: Object.fromEntries(Object.entries(template.Resources).map(([id, resource]) => {
    if (!id.includes('Boundary')) return [id, resource]
    const document = resource.Properties?.['PolicyDocument'] as { readonly Statement: readonly unknown[] }
    return [id, { ...resource, Properties: { ...resource.Properties, PolicyDocument: { ...document, Statement: change(document.Statement) } } }]
  })),
})

const checkOf = (number: number): string => `check ${number}`

/** The mutants of policies, of the access template and of federation. */
export const policyMutants: readonly Mutant<Subject>[] = [
  { what: 'read may read every secret', caughtBy: checkOf(7), weaken: inPart('roles', /^ReadValues$/, put({ Resource: '*' })) },
  { what: 'read loses the slash of its prefix', caughtBy: checkOf(9), weaken: inPart('roles', /^ReadValues$/, shorter) },
  { what: 'read reaches our own records', caughtBy: checkOf(9), weaken: inPart('roles', /^NeverOwnRecords$/, put({ Effect: 'Allow' })) },
  { what: 'read keeps its grants in write_only', caughtBy: checkOf(9), weaken: onlyMode('writes', 'both', 'read') },
  { what: 'read may write', caughtBy: checkOf(10), weaken: inPart('roles', /^ReadValues$/, alsoActions('secretsmanager:PutSecretValue')) },
  { what: 'keys reads values in write_only', caughtBy: checkOf(11), weaken: onlyMode('writes', 'both', 'keys') },
  { what: 'keys writes without store_virtual_keys', caughtBy: checkOf(11), weaken: onlyMode('reads', 'both', 'keys') },
  { what: 'keys deletes for good', caughtBy: checkOf(11), weaken: inPart('roles', /^DeleteKeysRecoverably$/, drop('NumericGreaterThanEquals')) },
  { what: 'keys may create a secret of any name', caughtBy: checkOf(11), weaken: inPart('roles', /^CreateKeys$/, drop('StringLike')) },
  { what: 'rotate works on every secret', caughtBy: checkOf(12), weaken: inPart('roles', /^ChangeKeys$/, put({ Resource: '*' })) },
  { what: 'a variable brings the right to every secret', caughtBy: checkOf(5), weaken: inPart('roles', /^ReadVariables$/, put({ Resource: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:*' })) },
  { what: 'a variable brings the right to whatever begins like its secret', caughtBy: checkOf(5), weaken: inPart('roles', /^ReadVariables$/, (statement) => JSON.parse(JSON.stringify(statement).replaceAll('-??????', '*')) as WrittenStatement) },
  { what: 'a variable brings the right to change its secret', caughtBy: checkOf(5), weaken: inPart('roles', /^ReadVariables$/, alsoActions('secretsmanager:PutSecretValue')) },
  { what: "rotate reads the callers' master key", caughtBy: checkOf(5), weaken: addToRoles('rotate', { Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:master-??????' }) },
  { what: 'a role may pass roles', caughtBy: checkOf(13), weaken: addToRoles('rotate', { Effect: 'Allow', Action: 'iam:PassRole', Resource: '*' }) },
  { what: 'a role may assume any role that has an id', caughtBy: checkOf(13), weaken: inPart('roles', /^AssumeWithExternalId$/, put({ Resource: '*' })) },
  { what: 'roles of other accounts are assumed without an external id', caughtBy: checkOf(14), weaken: inPart('roles', /^AssumeWithExternalId$/, drop('Null')) },
  { what: 'a role without an external id may be in any account', caughtBy: checkOf(14), weaken: inPart('roles', /^AssumeInOwnAccount$/, put({ Resource: 'arn:aws:iam::*:role/own-secrets' })) },
  { what: 'any tag may be passed', caughtBy: checkOf(14), weaken: inPart('roles', /^DescribeTheSession$/, drop('ForAllValues:StringEquals')) },
  { what: 'keys are used past Secrets Manager', caughtBy: checkOf(15), weaken: inPart('roles', /^KeyThroughSecretsManager$/, drop('StringEquals')) },
  { what: 'every KMS key may be used', caughtBy: checkOf(15), weaken: inPart('roles', /^KeyThroughSecretsManager$/, put({ Resource: 'arn:aws:kms:eu-central-1:111122223333:key/*' })) },
  { what: 'the STS endpoint has the default policy', caughtBy: checkOf(30), weaken: inPart('endpoints', /^AssumeTheRoles$/, put({ Action: '*', Resource: '*', Condition: {} })) },
  { what: "the endpoint lets other accounts' callers through", caughtBy: checkOf(30), weaken: inPart('endpoints', /^TheSecrets$/, put({ Condition: {}, Resource: '*' })) },
  { what: 'the tenant drops the external id', caughtBy: checkOf(32), weaken: inPart('access', /^Assume$/, drop('StringEquals', 'sts:ExternalId')) },
  { what: "the tenant drops the team's tag", caughtBy: checkOf(32), weaken: inPart('access', /^(Assume|TagSession)$/, drop('StringEquals', 'aws:RequestTag/latchkey-team')) },
  { what: 'the tenant lets any role of our account in', caughtBy: checkOf(32), weaken: inPart('access', /^(Assume|TagSession)$/, drop('ArnEquals')) },
  { what: 'the tenant lets any tag key in', caughtBy: checkOf(32), weaken: inPart('access', /^(Assume|TagSession)$/, drop('ForAllValues:StringEquals')) },
  { what: 'the tenant lets any session name in', caughtBy: checkOf(32), weaken: inPart('access', /^Assume$/, drop('StringLike')) },
  { what: 'the tenant trusts any account', caughtBy: checkOf(32), weaken: inPart('access', /^(Assume|TagSession)$/, (statement) => ({ ...statement, Principal: { AWS: '*' }, Condition: without(statement.Condition, 'ArnEquals') })) },
  { what: 'the boundary is wider than the policy', caughtBy: checkOf(33), weaken: (subject) => ({ ...subject, access: boundaryOf(subject.access, (statements) => [...statements, { Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' }]) }) },
  { what: 'the role has no boundary', caughtBy: checkOf(33), weaken: (subject) => ({ ...subject, access: JSON.parse(JSON.stringify(subject.access).replace('"PermissionsBoundary"', '"Ignored"')) as Template }) },
  { what: 'the template asks for a bootstrapped account', caughtBy: checkOf(34), weaken: (subject) => ({ ...subject, access: { ...subject.access, Parameters: { ...subject.access.Parameters, BootstrapVersion: { Type: 'AWS::SSM::Parameter::Value<String>', Default: '/cdk-bootstrap/hnb659fds/version' } } } }) },
  { what: 'every identity of the directory comes in', caughtBy: checkOf(35), weaken: inPart('federation', /^ManagedIdentities$/, (statement) => ({ ...statement, Condition: JSON.parse(JSON.stringify(statement.Condition).replace(/,"[^"]+:sub":\[[^\]]*\]/, '')) as WrittenStatement['Condition'] })) },
  { what: 'the issuer loses its slash', caughtBy: checkOf(35), weaken: inPart('federation', /^ManagedIdentities$/, (statement) => JSON.parse(JSON.stringify(statement).replaceAll('/:', ':')) as WrittenStatement) },
  { what: "Google's audience is not asked for", caughtBy: checkOf(35), weaken: inPart('federation', /^ServiceAccount1$/, drop('StringEquals', 'accounts.google.com:oaud')) },
  { what: 'tokens for any audience', caughtBy: checkOf(36), weaken: inPart('roles', /^TokenForAnotherCloud$/, drop('ForAllValues:StringEquals')) },
  { what: 'tokens without an audience', caughtBy: checkOf(36), weaken: inPart('roles', /^TokenForAnotherCloud$/, drop('Null')) },
  { what: 'tokens for an hour', caughtBy: checkOf(36), weaken: inPart('roles', /^TokenForAnotherCloud$/, put({ Condition: { 'ForAllValues:StringEquals': { 'sts:IdentityTokenAudience': ['api://AzureADTokenExchange'] }, Null: { 'sts:IdentityTokenAudience': 'false' }, NumericLessThanEquals: { 'sts:DurationSeconds': '3600' }, StringEquals: { 'sts:SigningAlgorithm': 'RS256' } } })) },
  { what: `a data action stands beside ${actionsWithoutResource[0] ?? ''}`, caughtBy: checkOf(7), weaken: inPart('roles', /^ListNames$/, alsoActions('secretsmanager:GetSecretValue')) },
]

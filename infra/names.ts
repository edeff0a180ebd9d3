// Names that two accounts must agree on: roles, functions, log groups, and the ARNs of secrets. Written down once, because a trust policy in another account pins them.
import { internalSegment } from '../shared/core/names.ts'

/** The functions of a deployment; each has a role of its own. */
export const functionNames = ['read', 'keys', 'rotate'] as const

/** One of {@link functionNames}. */
export type FunctionName = (typeof functionNames)[number]

/** Where something is, in AWS. Each may be a token that CloudFormation resolves. */
export interface Place {
  readonly partition: string
  readonly region: string
  readonly account: string
}

/** The fixed name of a function's role: tenants' trust policies name it. No path, so that the ARN fits into 127 bytes, which is all that Google takes as a subject. */
export const roleName = (deployment: string, name: FunctionName): string => `${deployment}-${name}`

/** The name of the function itself. */
export const lambdaName = roleName

/** The log group of a function. */
export const logGroupName = (deployment: string, name: FunctionName): string => `/aws/lambda/${lambdaName(deployment, name)}`

/** The role that a gateway, also of another account, assumes to call the API. */
export const invokerRoleName = (deployment: string): string => `${deployment}-invoker`

/** The ARN of a role of that name, with its path if it has one. */
export const roleArn = ({ partition, account }: Pick<Place, 'partition' | 'account'>, name: string): string => `arn:${partition}:iam::${account}:role/${name}`

/** The ARNs of the functions' roles. */
export const functionRoleArns = (place: Pick<Place, 'partition' | 'account'>, deployment: string): readonly string[] => functionNames.map((name) => roleArn(place, roleName(deployment, name)))

const secret = ({ partition, region, account }: Place, resource: string): string => `arn:${partition}:secretsmanager:${region}:${account}:secret:${resource}`

/** The ARN of exactly one secret, by its name: AWS adds a hyphen and six characters. A name that ends in `*` is every secret that begins so. A full ARN stays as it is. */
export const secretArn = (place: Place, name: string): string => (name.startsWith('arn:') ? name : secret(place, name.endsWith('*') ? name : `${name}-??????`))

/** The ARNs of everything below a prefix, which ends with its slash. */
export const belowPrefix = (place: Place, prefix: string): string => secret(place, `${prefix}*`)

/** The ARNs of Latchkey's own records below a prefix. */
export const ownRecords = (place: Place, prefix: string): string => secret(place, `${prefix}${internalSegment}/*`)

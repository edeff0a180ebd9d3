// Who API Gateway, or a function URL with AWS_IAM, proved to be calling. `requestContext` is the platform's: no HTTP caller can write into it. Whoever may
// invoke the function directly can, which is why only the gateway is given lambda:InvokeFunction.
import type { ApiRequest } from '../../shared/http/api.ts'

/** What Latchkey reads of it. Everything is looked at, nothing trusted to be there. */
export interface RequestContext {
  readonly authorizer?: { readonly iam?: { readonly userArn?: unknown } | null; readonly jwt?: { readonly claims?: unknown } | null; readonly claims?: unknown } | null
  readonly identity?: { readonly userArn?: unknown } | null
}

/** Sessions of a role are that role: its own ARN without its path, which a session's does not have. */
const rolesOf = (arn: string): readonly string[] => [...new Set([arn, arn.replace(/^(arn:aws[a-z-]*):sts::(\d{12}):assumed-role\/([^/]+)\/[^/]+$/, '$1:iam::$2:role/$3')])]

/** A claim is text, or a list that the gateway writes as `[a b]`. */
const textsOf = (claim: unknown): readonly string[] => (typeof claim !== 'string' || claim === '' ? [] : /^\[.*\]$/.test(claim) ? claim.slice(1, -1).split(' ') : [claim])

/** The identity, or nothing. Claims of a Lambda authorizer are its own words and no proof: it can only give scalars, never an object of that name. */
export const identityOf = ({ authorizer, identity }: RequestContext): Pick<ApiRequest, 'identity'> => {
  const arn = authorizer?.iam?.userArn ?? identity?.userArn
  if (typeof arn === 'string') return { identity: { kind: 'aws_arn', facts: { aws_arn: rolesOf(arn) } } }
  const claims = authorizer?.jwt?.claims ?? authorizer?.claims
  if (typeof claims !== 'object' || claims === null) return {}
  const { iss, sub, aud, client_id: client } = claims as Readonly<Record<string, unknown>>
  return { identity: { kind: 'jwt', facts: { issuer: textsOf(iss), subject: textsOf(sub), audience: textsOf(aud ?? client) } } }
}

// Callers that the platform in front of a function proves: what an entry of `latchkey.access` pins, and whose headers are believed. Every pin is exact
// text: a pattern that means more than was meant would let a stranger in.
import type { Issue } from '../errors.ts'
import type { Env } from '../runtime.ts'
import { readSettings, type Setting, type SettingsTable } from '../settings.ts'

/** How an identity is proved: AWS IAM, a JWT authorizer, App Service authentication, Google IAM. Each is the name of its setting. */
export type IdentityKind = 'aws_arn' | 'jwt' | 'entra' | 'google'

/** What an entry demands of an identity: every field, as it stands. */
export interface PinnedIdentity {
  readonly kind: IdentityKind
  readonly fields: Readonly<Record<string, string>>
}

/** Whose word is taken for who calls. Default: nobody's; the same headers are what any caller may have sent. */
export interface Trust {
  readonly easy_auth: boolean
  readonly google_iam: boolean
}

/** What reads identities, for whoever has a file with some: a function without them does not load it, and there they are unknown settings. */
export interface IdentityReader {
  readonly kinds: readonly IdentityKind[]
  readIdentity(entry: Readonly<Record<string, unknown>>, path: string, env: Env, issues: Issue[]): PinnedIdentity | undefined
  readTrust(given: unknown, pinned: readonly (PinnedIdentity | undefined)[], env: Env, issues: Issue[]): Trust
}

/** `latchkey.trust`. */
export const trustSettings: SettingsTable<Trust> = {
  easy_auth: { type: 'boolean', default: false, env: ['LATCHKEY_TRUST_EASY_AUTH'], text: 'Azure: whether `X-MS-CLIENT-PRINCIPAL` is believed. Only where App Service authentication is switched on for this app; without it every caller can send that header.' },
  google_iam: { type: 'boolean', default: false, env: ['LATCHKEY_TRUST_GOOGLE_IAM'], text: 'Google: whether the claims of a forwarded identity token are believed. Only where this service refuses unauthenticated calls; Google takes the signature off, so nobody can check it again.' },
}

const guid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i
const aGuid = [guid, 'must be a GUID; of a service principal the object id, not the application id'] as const
const forms: Readonly<Record<string, readonly [form: RegExp, message: string]>> = {
  aws_arn: [
    /^arn:aws[a-z-]*:(iam::\d{12}:((role|user)\/[\w+=,.@/-]*[\w+=,.@-]|root)|sts::\d{12}:(assumed-role\/[\w+=,.@-]+|federated-user)\/[\w+=,.@-]+)$/,
    'must be the ARN of an IAM role, user or account root, or of one session of a role, without wildcards',
  ],
  tenant_id: aGuid,
  object_id: aGuid,
  email: [/^[^@\s*]+@[^@\s*]+$/, 'must be one e-mail address'],
}
const anything = [/^\S(.*\S)?$/, 'must not be empty or have a space at either end'] as const

/** The fields of each kind of identity. `aws_arn` is one text, the others are mappings. */
export const identitySettings: Readonly<Record<IdentityKind, Readonly<Record<string, Setting>>>> = {
  aws_arn: { aws_arn: { type: 'string', required: true, text: 'The ARN of an IAM role or user, proved by an IAM authorizer or a function URL. A role stands for all its sessions: `arn:aws:sts::…:assumed-role/ROLE/…` is `arn:aws:iam::…:role/ROLE`.' } },
  jwt: {
    issuer: { type: 'string', required: true, text: 'The claim `iss`, as a JWT or Cognito authorizer of API Gateway checked it.' },
    audience: { type: 'string', required: true, text: 'One of the claim `aud`; where there is none, `client_id`.' },
    subject: { type: 'string', required: true, text: 'The claim `sub`.' },
  },
  entra: {
    tenant_id: { type: 'string', required: true, text: 'The id of the directory, as App Service authentication says it. Needs `trust.easy_auth`.' },
    object_id: { type: 'string', required: true, text: 'The object id of the user or service principal.' },
  },
  google: {
    email: { type: 'string', required: true, text: 'The e-mail address of the service account or user that Cloud Run let in. Needs `trust.google_iam`.' },
    subject: { type: 'string', text: 'Its unique id, which no later account of the same address has.' },
  },
}

const kinds = Object.keys(identitySettings) as readonly IdentityKind[]

/** A role's path stands in its own ARN and in none of its sessions'; role names are unique without it. Directory ids are the same in any case. */
const spelt = (kind: IdentityKind, value: string): string => (kind === 'entra' ? value.toLowerCase() : kind === 'aws_arn' ? value.replace(/:role\/.*\//, ':role/') : value)

/** The identity that an entry pins, if any; whatever does not fit is an issue. */
const readIdentity: IdentityReader['readIdentity'] = (entry, path, env, issues) => {
  const kind = kinds.find((name) => entry[name] !== undefined && entry[name] !== null)
  if (kind === undefined) return undefined
  const [given, at] = kind === 'aws_arn' ? [{ aws_arn: entry[kind] }, path] : [entry[kind], `${path}.${kind}`]
  const { settings, issues: found } = readSettings<Record<string, string>>(identitySettings[kind], given, { path: at, env })
  const fields = Object.entries(settings).map(([field, value]) => {
    const [form, message] = forms[field] ?? anything
    if (!form.test(value)) issues.push({ path: `${at}.${field}`, message })
    return [field, spelt(kind, value)]
  })
  issues.push(...found)
  return { kind, fields: Object.fromEntries(fields) as PinnedIdentity['fields'] }
}

/** What `latchkey.trust` says. An entry that could never match for want of it is an issue. */
const readTrust: IdentityReader['readTrust'] = (given, pinned, env, issues) => {
  const { settings: trust, issues: found } = readSettings(trustSettings, given, { path: 'latchkey.trust', env })
  issues.push(...found)
  for (const [kind, setting] of [['entra', 'easy_auth'], ['google', 'google_iam']] as const) {
    if (trust[setting] !== true && pinned.some((identity) => identity?.kind === kind)) issues.push({ path: `latchkey.trust.${setting}`, message: `must be true where latchkey.access has an entry with ${kind}` })
  }
  return trust
}

/** Reads `latchkey.trust`, and what entries of `latchkey.access` pin. */
export const identities: IdentityReader = { kinds, readIdentity, readTrust }

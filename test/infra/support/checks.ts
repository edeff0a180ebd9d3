// The checks that are about policies, by their numbers in the project's plan: each looks at a subject and says what is wrong with it. Tests expect silence, mutants expect a word.
import { actionsWithoutResource } from '../../../infra/policies.ts'
import { decide, decideAssume, type Caller, type Context, type Decision, type Policies, type PolicyDocument, type Question, type WrittenStatement } from './iam.ts'
import { callers, ownKey, place, teamAccount, teamWorld, type Mode, type Subject } from './subject.ts'
import { resourcesOf, type Template, type World } from './template.ts'

/** Says what is wrong; silent where nothing is. */
export type Check = (subject: Subject) => readonly string[]

const secret = (name: string, { account = place.account, region = place.region } = {}): string => `arn:aws:secretsmanager:${region}:${account}:secret:${name}`
const sm = (action: string): string => `secretsmanager:${action}`
const functions = ['read', 'keys', 'rotate'] as const

/** One question with the answer that is wanted. */
type Probe = readonly [wanted: 'allowed' | 'denied', action: string, resource: string, context?: Context]

const wrongOf = (what: string, policies: Policies, probes: readonly Probe[]): readonly string[] =>
  probes.flatMap(([wanted, action, resource, context]) => {
    const { allowed, why } = decide(policies, { action, resource, ...(context !== undefined && { context }) })
    return allowed === (wanted === 'allowed') ? [] : [`${what}: ${action} on ${resource} is ${allowed ? 'allowed' : 'denied'} (${why})`]
  })

const inModes = (subject: Subject, modes: readonly Mode[], name: (typeof functions)[number], probes: readonly Probe[]): readonly string[] => modes.flatMap((mode) => wrongOf(`${name}, ${mode}`, { identity: [subject.roles[mode][name]] }, probes))

const every = ['reads', 'writes', 'both', 'writes hosted'] as const
const strange = [secret('other/x-AbCdEf'), secret('litellmx-AbCdEf'), secret('litellm-AbCdEf'), secret('litellm/x-AbCdEf', { account: '999999999999' }), secret('litellm/x-AbCdEf', { region: 'us-east-1' })]
const changing = ['CreateSecret', 'PutSecretValue', 'UpdateSecret', 'UpdateSecretVersionStage', 'DeleteSecret', 'RestoreSecret', 'TagResource', 'UntagResource', 'PutResourcePolicy', 'RotateSecret', 'ReplicateSecretToRegions'].map(sm)
const asCreate = (name: string): Context => ({ 'secretsmanager:Name': name })
const recoverable: Context = { 'secretsmanager:RecoveryWindowInDays': '7' }

const statementsOf = (documents: readonly PolicyDocument[]): readonly WrittenStatement[] => documents.flatMap(({ Statement }) => [Statement].flat() as readonly WrittenStatement[])
const textsOf = (value: unknown): readonly string[] => (value === undefined ? [] : ([value].flat() as readonly unknown[]).map(String))

/** The documents of every role of a subject: of functions in every mode, of tenants and of other clouds. */
const allDocuments = (subject: Subject): readonly (readonly [string, PolicyDocument])[] => [
  ...every.flatMap((mode) => functions.map((name) => [`${name}, ${mode}`, subject.roles[mode][name]] as const)),
  ...policiesOf(subject.access, teamWorld()).map((document) => ['access', document] as const),
  ...policiesOf(subject.federation, { ...place }).map((document) => ['federation', document] as const),
]

const policiesOf = (template: Template, world: World): readonly PolicyDocument[] => Object.values(resourcesOf(template, 'AWS::IAM::ManagedPolicy', world)).map((properties) => properties['PolicyDocument'] as PolicyDocument)

/** The role of a tenant's template, with what decides about it. */
export const tenantOf = (template: Template, world: World = teamWorld()): { readonly arn: string; readonly identity: readonly PolicyDocument[]; readonly boundary: readonly PolicyDocument[]; readonly trust: readonly PolicyDocument[] } => {
  const [role = {}] = Object.values(resourcesOf(template, 'AWS::IAM::Role', world))
  const policies = Object.entries(resourcesOf(template, 'AWS::IAM::ManagedPolicy', world)).map(([id, properties]) => ({ id, document: properties['PolicyDocument'] as PolicyDocument }))
  const boundary = policies.filter(({ id }) => `<${id}>` === role['PermissionsBoundary'])
  return {
    arn: `arn:aws:iam::${world.account}:role/${String(role['RoleName'])}`,
    identity: policies.filter((policy) => !boundary.includes(policy)).map(({ document }) => document),
    boundary: boundary.map(({ document }) => document),
    trust: [role['AssumeRolePolicyDocument'] as PolicyDocument],
  }
}

/** One question, and the policies that have a say in it. */
export interface Asked {
  readonly policies: Policies
  readonly question: Question & { readonly caller: Caller }
}

/** How somebody tries to assume a tenant's role. */
export interface Attempt {
  readonly caller?: string
  readonly externalId?: string
  readonly session?: string
  readonly tags?: Readonly<Record<string, string>>
}

const anything: readonly PolicyDocument[] = [{ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }]

/** What is asked when a caller who may do anything at home assumes a tenant's role: AssumeRole, and TagSession where tags are passed. All of it must be allowed. */
export const trustQuestions = (template: Template, { caller = `arn:aws:iam::${place.account}:role/latchkey-keys`, externalId, session = 'latchkey-payments-0a1b2c3d', tags = {} }: Attempt, world = teamWorld(), identity = anything): readonly Asked[] => {
  const { arn, trust } = tenantOf(template, world)
  const context: Context = {
    'sts:RoleSessionName': session,
    ...(externalId !== undefined && { 'sts:ExternalId': externalId }),
    ...(Object.keys(tags).length > 0 && { 'aws:TagKeys': Object.keys(tags) }),
    ...Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:RequestTag/${key}`, value])),
  }
  const actions = ['sts:AssumeRole', ...(Object.keys(tags).length > 0 ? ['sts:TagSession'] : [])]
  return actions.map((action) => ({ policies: { identity, trust }, question: { action, resource: arn, caller: { kind: 'AWS', id: caller }, context } }))
}

/** The answer to {@link trustQuestions}: the first that is denied, or the last. */
export const tryTrust = (...[template, attempt, world, identity]: Parameters<typeof trustQuestions>): Decision => {
  const decisions = trustQuestions(template, attempt, world, identity).map(({ policies, question }) => decideAssume(policies, question))
  return decisions.find(({ allowed }) => !allowed) ?? (decisions.at(-1) as Decision)
}

const own = { 'latchkey-team': 'payments' }
const right: Attempt = { externalId: 'payments-0123456789', tags: own }

/** Attempts on a team's role, and what must come of them. */
export const attempts: readonly (readonly [what: string, attempt: Attempt, allowed: boolean])[] = [
  ['the right id and the right tag', right, true],
  ['the tag of the request beside it', { ...right, tags: { ...own, 'latchkey-request': 'req-1' } }, true],
  ['no external id', { tags: own }, false],
  ['another external id', { ...right, externalId: 'payments-0123456780' }, false],
  ['an empty external id', { ...right, externalId: '' }, false],
  ['another role of the Latchkey account', { ...right, caller: `arn:aws:iam::${place.account}:role/admin` }, false],
  ['a role whose name only begins so', { ...right, caller: `arn:aws:iam::${place.account}:role/latchkey-keys-2` }, false],
  ['a user of the Latchkey account', { ...right, caller: `arn:aws:iam::${place.account}:user/latchkey-keys` }, false],
  ['a role of that name in another account', { ...right, caller: 'arn:aws:iam::999999999999:role/latchkey-keys' }, false],
  ["another team's tag", { ...right, tags: { 'latchkey-team': 'search' } }, false],
  ['no tag', { externalId: 'payments-0123456789' }, false],
  ['a further tag key', { ...right, tags: { ...own, admin: 'yes' } }, false],
  ['a session name outside the pattern', { ...right, session: 'litellm-session' }, false],
]

const federated = (template: Template, cloud: 'azure' | 'google'): readonly PolicyDocument[] =>
  Object.values(resourcesOf(template, 'AWS::IAM::Role', place)).filter((role) => role['RoleName'] === `latchkey-${cloud}`).map((role) => role['AssumeRolePolicyDocument'] as PolicyDocument)

const entra = `sts.windows.net/${callers.tenant}/`

const webAttempts = (template: Template): readonly string[] => {
  const [provider = ''] = Object.keys(resourcesOf(template, 'AWS::IAM::OIDCProvider', place)).map((id) => `<${id}.Arn>`)
  const entraContext = { [`${entra}:aud`]: 'api://latchkey-aws', [`${entra}:sub`]: callers.principal }
  const googleContext = { 'accounts.google.com:oaud': 'latchkey-aws', 'accounts.google.com:aud': callers.google, 'accounts.google.com:sub': callers.google }
  const without = (context: Context, key: string): Context => ({ ...context, [key]: undefined })
  const rows: readonly (readonly [string, 'azure' | 'google', string, Context, boolean])[] = [
    ['the managed identity', 'azure', provider, entraContext, true],
    ['another identity of the directory', 'azure', provider, { ...entraContext, [`${entra}:sub`]: callers.tenant }, false],
    ['another audience', 'azure', provider, { ...entraContext, [`${entra}:aud`]: 'api://other' }, false],
    ['a token without a subject', 'azure', provider, without(entraContext, `${entra}:sub`), false],
    ['a token without an audience', 'azure', provider, without(entraContext, `${entra}:aud`), false],
    ['an issuer without its slash', 'azure', provider, { [`${entra.slice(0, -1)}:aud`]: 'api://latchkey-aws', [`${entra.slice(0, -1)}:sub`]: callers.principal }, false],
    ['another provider', 'azure', 'arn:aws:iam::111122223333:oidc-provider/sts.windows.net/other/', entraContext, false],
    ['the service account', 'google', 'accounts.google.com', googleContext, true],
    ['another audience', 'google', 'accounts.google.com', { ...googleContext, 'accounts.google.com:oaud': 'other' }, false],
    ['a token without a Google audience', 'google', 'accounts.google.com', without(googleContext, 'accounts.google.com:oaud'), false],
    ['another service account', 'google', 'accounts.google.com', { ...googleContext, 'accounts.google.com:sub': '1', 'accounts.google.com:aud': '1' }, false],
    ['a token issued to another party', 'google', 'accounts.google.com', { ...googleContext, 'accounts.google.com:aud': '1' }, false],
    ['a token about somebody else', 'google', 'accounts.google.com', without(googleContext, 'accounts.google.com:sub'), false],
  ]
  return rows.flatMap(([what, cloud, id, context, wanted]) => {
    const { allowed, why } = decideAssume({ trust: federated(template, cloud) }, { action: 'sts:AssumeRoleWithWebIdentity', resource: `arn:aws:iam::${place.account}:role/latchkey-${cloud}`, caller: { kind: 'Federated', id }, context })
    return allowed === wanted ? [] : [`${cloud}: ${what} is ${allowed ? 'let in' : 'refused'} (${why})`]
  })
}

const outboundContext: Context = { 'sts:IdentityTokenAudience': ['api://AzureADTokenExchange'], 'sts:DurationSeconds': '300', 'sts:SigningAlgorithm': 'RS256' }

/** Every check by its number. */
export const checks: Readonly<Record<string, Check>> = {
  'check 7: a resource * stands only beside actions that know no other': (subject) =>
    allDocuments(subject).flatMap(([what, document]) =>
      statementsOf([document]).flatMap((statement) => {
        const open = statement.Effect === 'Allow' && (textsOf(statement.Resource).some((resource) => resource === '*' || /:secret:\*?$|:key\/\*?$/.test(resource)) || statement.NotResource !== undefined)
        return open ? textsOf(statement.Action ?? ['everything']).filter((action) => !actionsWithoutResource.includes(action)).map((action) => `${what}: ${action} on every resource`) : []
      }),
    ),
  'check 9: read reads below its prefix, its hosted names, and nothing else': (subject) => [
    ...inModes(subject, ['reads', 'both'], 'read', [
      ['allowed', sm('GetSecretValue'), secret('litellm/x-AbCdEf')],
      ['allowed', sm('GetSecretValue'), secret('OPENAI_API_KEY-AbCdEf')],
      ...strange.map((resource): Probe => ['denied', sm('GetSecretValue'), resource]),
      ['denied', sm('GetSecretValue'), secret('OPENAI_API_KEY_2-AbCdEf')],
      ['denied', sm('GetSecretValue'), secret('litellm/__latchkey/pending/x-AbCdEf')],
    ]),
    ...inModes(subject, ['writes', 'writes hosted'], 'read', [['denied', sm('GetSecretValue'), secret('litellm/x-AbCdEf')], ['denied', sm('GetSecretValue'), secret('OPENAI_API_KEY-AbCdEf')]]),
  ],
  'check 10: read changes nothing': (subject) =>
    inModes(subject, every, 'read', changing.flatMap((action) => ['litellm/x-AbCdEf', 'OPENAI_API_KEY-AbCdEf'].map((name): Probe => ['denied', action, secret(name), { ...asCreate('litellm/x'), ...recoverable }]))),
  'check 11: keys reads no value in write_only but our own records, and writes as store_virtual_keys says': (subject) => [
    ...inModes(subject, ['writes', 'writes hosted'], 'keys', [
      ['denied', sm('GetSecretValue'), secret('litellm/x-AbCdEf')],
      ['denied', sm('GetSecretValue'), secret('OPENAI_API_KEY-AbCdEf')],
      ['denied', sm('BatchGetSecretValue'), '*'],
      ['allowed', sm('GetSecretValue'), secret('litellm/__latchkey/pending/x-AbCdEf')],
    ]),
    ...inModes(subject, ['reads', 'both'], 'keys', [['allowed', sm('GetSecretValue'), secret('litellm/x-AbCdEf')]]),
    ...inModes(subject, ['writes', 'both'], 'keys', [
      ['allowed', sm('CreateSecret'), secret('litellm/x-AbCdEf'), asCreate('litellm/x')],
      ['allowed', sm('PutSecretValue'), secret('litellm/x-AbCdEf')],
      ['allowed', sm('DeleteSecret'), secret('litellm/x-AbCdEf'), recoverable],
      ['denied', sm('DeleteSecret'), secret('litellm/x-AbCdEf')],
      ['denied', sm('DeleteSecret'), secret('litellm/x-AbCdEf'), { 'secretsmanager:ForceDeleteWithoutRecovery': 'true' }],
      ['denied', sm('CreateSecret'), secret('litellm/x-AbCdEf'), asCreate('other/x')],
      ...strange.flatMap((resource) => changing.map((action): Probe => ['denied', action, resource, { ...asCreate('litellm/x'), ...recoverable }])),
      ['denied', sm('PutResourcePolicy'), secret('litellm/x-AbCdEf')],
    ]),
    ...inModes(subject, ['reads', 'writes hosted'], 'keys', changing.map((action): Probe => ['denied', action, secret('litellm/x-AbCdEf'), { ...asCreate('litellm/x'), ...recoverable }])),
    ...inModes(subject, ['both', 'writes hosted'], 'keys', [['allowed', sm('PutSecretValue'), secret('OPENAI_API_KEY-AbCdEf')]]),
    ...inModes(subject, ['reads'], 'keys', [['denied', sm('PutSecretValue'), secret('OPENAI_API_KEY-AbCdEf')]]),
  ],
  'check 12: rotate does nothing outside the prefix, and makes no key': (subject) => [
    ...inModes(subject, every, 'rotate', [...strange, secret('OPENAI_API_KEY-AbCdEf')].flatMap((resource) => [...changing, sm('DescribeSecret')].map((action): Probe => ['denied', action, resource, { ...asCreate('litellm/x'), ...recoverable }]))),
    ...inModes(subject, every, 'rotate', strange.map((resource): Probe => ['denied', sm('GetSecretValue'), resource])),
    ...inModes(subject, ['both'], 'rotate', [
      ['allowed', sm('PutSecretValue'), secret('litellm/x-AbCdEf')],
      ['allowed', sm('UpdateSecretVersionStage'), secret('litellm/x-AbCdEf')],
      ['denied', sm('CreateSecret'), secret('litellm/x-AbCdEf'), asCreate('litellm/x')],
      ['denied', sm('RotateSecret'), secret('litellm/x-AbCdEf')],
    ]),
    ...inModes(subject, ['writes'], 'rotate', [['denied', sm('GetSecretValue'), secret('litellm/x-AbCdEf')]]),
  ],
  'check 5: a role reads the secrets that the variables of its function refer to, and changes none of them': (subject) =>
    every.flatMap((mode) => functions.flatMap((name) =>
      wrongOf(`${name}, ${mode}`, { identity: [subject.roles[mode][name]] }, [
        ['allowed', sm('GetSecretValue'), secret('vault/token-AbCdEf')],
        [name === 'rotate' ? 'denied' : 'allowed', sm('GetSecretValue'), secret('master-AbCdEf')],
        ...['vault/tokens-AbCdEf', 'vault/token', 'vault/token-AbCdEf-AbCdEf', 'vault/x-AbCdEf'].map((other): Probe => ['denied', sm('GetSecretValue'), secret(other)]),
        ['denied', sm('GetSecretValue'), secret('vault/token-AbCdEf', { account: '999999999999' })],
        ['denied', sm('GetSecretValue'), secret('vault/token-AbCdEf', { region: 'us-east-1' })],
        ...[...changing, sm('DescribeSecret')].map((action): Probe => ['denied', action, secret('vault/token-AbCdEf'), { ...asCreate('vault/token'), ...recoverable }]),
      ]),
    )),
  'check 13: no role may touch IAM, or assume any role it likes': (subject) =>
    allDocuments(subject).flatMap(([what, document]) =>
      wrongOf(what, { identity: [document] }, [
        ...['iam:PassRole', 'iam:CreateUser', 'iam:AttachRolePolicy', 'organizations:ListAccounts', 'lambda:UpdateFunctionCode', 'kms:ScheduleKeyDeletion'].map((action): Probe => ['denied', action, '*']),
        ['denied', 'iam:PassRole', `arn:aws:iam::${place.account}:role/admin`],
        ['denied', 'sts:AssumeRole', `arn:aws:iam::${place.account}:role/admin`, { 'sts:ExternalId': 'x1' }],
        ['denied', 'sts:AssumeRole', `arn:aws:iam::${teamAccount}:role/admin`, { 'sts:ExternalId': 'x1' }],
      ]),
    ),
  'check 13: no role has a wildcard among its actions': (subject) =>
    allDocuments(subject).flatMap(([what, document]) => statementsOf([document]).flatMap(({ Effect, Action, NotAction }) => (Effect === 'Allow' ? [...textsOf(Action).filter((action) => action.includes('*')), ...textsOf(NotAction)].map((action) => `${what}: ${action}`) : []))),
  'check 14: a role of another account is never assumed without an external id, by our own policy': (subject) =>
    every.flatMap((mode) => functions.flatMap((name) =>
      wrongOf(`${name}, ${mode}`, { identity: [subject.roles[mode][name]] }, [
        ...['role/corp-secrets', 'role/latchkey-access'].flatMap((role): readonly Probe[] => [
          ['denied', 'sts:AssumeRole', `arn:aws:iam::${teamAccount}:${role}`],
          ['allowed', 'sts:AssumeRole', `arn:aws:iam::${teamAccount}:${role}`, { 'sts:ExternalId': 'x1' }],
          ['denied', 'sts:TagSession', `arn:aws:iam::${teamAccount}:${role}`, { 'aws:TagKeys': ['admin'] }],
        ]),
        ['allowed', 'sts:AssumeRole', `arn:aws:iam::${place.account}:role/own-secrets`],
        ['denied', 'sts:AssumeRole', `arn:aws:iam::${teamAccount}:role/own-secrets`],
      ]),
    )),
  'check 15: keys are used through Secrets Manager only, and no other key': (subject) =>
    every.flatMap((mode) => functions.flatMap((name) =>
      wrongOf(`${name}, ${mode}`, { identity: [subject.roles[mode][name]] }, [
        ['allowed', 'kms:Decrypt', ownKey, { 'kms:ViaService': 'secretsmanager.eu-central-1.amazonaws.com' }],
        ['denied', 'kms:Decrypt', ownKey],
        ['denied', 'kms:Decrypt', ownKey, { 'kms:ViaService': 's3.eu-central-1.amazonaws.com' }],
        ['denied', 'kms:Decrypt', ownKey.replace('0001', '0002'), { 'kms:ViaService': 'secretsmanager.eu-central-1.amazonaws.com' }],
        [name === 'read' ? 'denied' : 'allowed', 'kms:GenerateDataKey', ownKey, { 'kms:ViaService': 'secretsmanager.eu-central-1.amazonaws.com' }],
        ...['kms:Encrypt', 'kms:CreateGrant', 'kms:PutKeyPolicy'].map((action): Probe => ['denied', action, ownKey, { 'kms:ViaService': 'secretsmanager.eu-central-1.amazonaws.com' }]),
      ]),
    )),
  'check 32: a tenant lets in its own team, with its id, by our functions only': ({ access }) =>
    attempts.flatMap(([what, attempt, wanted]) => {
      const { allowed, why } = tryTrust(access, attempt)
      return allowed === wanted ? [] : [`${what}: ${allowed ? 'let in' : 'refused'} (${why})`]
    }),
  'check 33: the boundary is there, and allows nothing that the policy does not': ({ access }) =>
    (['read_only', 'write_only', 'read_and_write'] as const).flatMap((AccessMode) => (['true', 'false'] as const).flatMap((StoreVirtualKeys) => {
      const { identity, boundary } = tenantOf(access, teamWorld({ AccessMode, StoreVirtualKeys }))
      const what = `tenant, ${AccessMode}, store ${StoreVirtualKeys}`
      if (boundary.length !== 1 || identity.length !== 1) return [`${what}: ${boundary.length} boundaries and ${identity.length} policies`]
      const allows = (documents: readonly PolicyDocument[]): ReadonlySet<string> => new Set(statementsOf(documents).flatMap(({ Effect, Action, Resource, Condition }) => (Effect === 'Allow' ? textsOf(Action).flatMap((action) => textsOf(Resource).map((resource) => `${action} on ${resource} if ${JSON.stringify(Condition ?? {})}`)) : [])))
      return [...allows(boundary)].filter((one) => !allows(identity).has(one)).map((one) => `${what}: the boundary allows ${one}`)
    })),
  'check 33: a hand edit of the role does not widen it': ({ access }) => {
    const { boundary } = tenantOf(access)
    return wrongOf('tenant, edited', { identity: anything, boundary }, [
      ['denied', sm('GetSecretValue'), secret('litellm/search/x-AbCdEf', { account: teamAccount })],
      ['denied', sm('PutResourcePolicy'), secret('litellm/payments/x-AbCdEf', { account: teamAccount })],
      ['denied', 'iam:CreateUser', '*'],
      ['denied', 's3:GetObject', 'arn:aws:s3:::bucket/file'],
    ])
  },
  'check 34: the access template has no asset, no bootstrap parameter and no metadata of the CDK': ({ access }) => {
    const text = JSON.stringify(access)
    return ['BootstrapVersion', 'cdk-bootstrap', 'AWS::CDK::Metadata', 'aws:cdk:path', 'aws:asset', 'CDKMetadata', 'cdk-hnb659fds'].filter((word) => text.includes(word)).map((word) => `holds ${word}`)
  },
  'check 35: other clouds come in by exact subject and audience': ({ federation }) => webAttempts(federation),
  'check 36: a token for another cloud is for its audience, for five minutes, and signed with RS256': (subject) =>
    functions.flatMap((name) =>
      wrongOf(name, { identity: [subject.roles.both[name]] }, [
        ['allowed', 'sts:GetWebIdentityToken', '*', outboundContext],
        ['denied', 'sts:GetWebIdentityToken', '*', { ...outboundContext, 'sts:IdentityTokenAudience': ['https://elsewhere.example'] }],
        ['denied', 'sts:GetWebIdentityToken', '*', { ...outboundContext, 'sts:IdentityTokenAudience': ['api://AzureADTokenExchange', 'https://elsewhere.example'] }],
        ['denied', 'sts:GetWebIdentityToken', '*', { ...outboundContext, 'sts:IdentityTokenAudience': undefined }],
        ['denied', 'sts:GetWebIdentityToken', '*', { ...outboundContext, 'sts:DurationSeconds': '301' }],
        ['denied', 'sts:GetWebIdentityToken', '*', { ...outboundContext, 'sts:SigningAlgorithm': 'ES384' }],
      ]),
    ),
  'check 30: endpoints let only our requests through, to our roles and secrets': ({ endpoints }) => {
    const mine = { 'aws:PrincipalAccount': place.account }
    const theirs = { 'aws:PrincipalAccount': '999999999999' }
    return [
      ...wrongOf('sts endpoint', { endpoint: [endpoints.sts] }, [
        ['allowed', 'sts:AssumeRole', `arn:aws:iam::${teamAccount}:role/latchkey-access`, mine],
        ['denied', 'sts:AssumeRole', `arn:aws:iam::${teamAccount}:role/latchkey-access`, theirs],
        ['denied', 'sts:AssumeRole', 'arn:aws:iam::999999999999:role/theirs', mine],
        ['denied', 'sts:AssumeRoleWithWebIdentity', `arn:aws:iam::${place.account}:role/pod`],
      ]),
      ...wrongOf('secrets endpoint', { endpoint: [endpoints.secrets] }, [
        ['allowed', sm('GetSecretValue'), secret('litellm/x-AbCdEf'), mine],
        ['allowed', sm('GetSecretValue'), secret('litellm/payments/x-AbCdEf', { account: teamAccount }), { 'aws:PrincipalAccount': teamAccount }],
        ['allowed', sm('GetSecretValue'), secret('master-AbCdEf'), mine],
        ['allowed', sm('GetSecretValue'), secret('vault/token-AbCdEf'), mine],
        ['denied', sm('GetSecretValue'), secret('vault/other-AbCdEf'), mine],
        ['allowed', sm('GetSecretValue'), secret('litellm/x-AbCdEf', { account: teamAccount }), { 'aws:PrincipalAccount': teamAccount }],
        ['denied', sm('GetSecretValue'), secret('other/x-AbCdEf'), mine],
        ['denied', sm('PutSecretValue'), secret('litellm/x-AbCdEf', { account: '999999999999' }), theirs],
        ['denied', sm('PutResourcePolicy'), secret('litellm/x-AbCdEf'), mine],
      ]),
    ]
  },
}

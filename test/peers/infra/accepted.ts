// What checkov finds in the templates and what we leave as it is, each with its reason. A finding that is not here fails the run, and so does a line that is found no more.

/** What is deployed to AWS: the kinds of `test/infra/support/stacks.ts`, and the template for the account that owns the secrets. */
export type Deployed = (typeof kinds)[number] | 'access'

const kinds = ['shipped', 'isolated', 'private', 'urls', 'tokens', 'federated'] as const
const networks = ['isolated', 'private'] as const

/** One accepted finding: where, the rule, what of ours it is about, and why it stays. */
export interface Accepted {
  readonly in: 'azure' | 'azure with a private network' | 'google' | `aws ${Deployed}`
  readonly rule: string
  readonly about: RegExp
  readonly reason: string
}

const everyAzure = (rule: string, about: RegExp, reason: string): readonly Accepted[] => (['azure', 'azure with a private network'] as const).map((where) => ({ in: where, rule, about, reason }))
const everyAws = (where: readonly Deployed[], rule: string, about: RegExp, reason: string): readonly Accepted[] => where.map((kind) => ({ in: `aws ${kind}`, rule, about, reason }))
const sites = /^Microsoft\.Web\/sites\.latchkey-(?:read|keys|rotate)-/
const front = /\/authsettingsV2$/

/** All of them. */
export const accepted: readonly Accepted[] = [
  ...everyAws(kinds, 'CKV_AWS_27', /DeadLetters/, 'SQS encrypts it with a key of its own; the rule knows keys of KMS only. What lies there are events, which hold no value.'),
  ...everyAws(kinds.filter((kind) => !(networks as readonly string[]).includes(kind)), 'CKV_AWS_117', /^AWS::Lambda::Function\.Latchkey(?:read|keys|rotate)Function/, 'The functions take no connection and reach AWS over TLS with signed requests; network.mode puts them into a VPC.'),
  ...everyAws(networks, 'CKV_AWS_111', /^AWS::IAM::ManagedPolicy\.Latchkey(?:read|keys|rotate)Policy/, 'Lambda makes network interfaces with the role of the function, and AWS knows no narrower resource; a second statement denies the same to the code of the function.'),
  { in: 'aws private', rule: 'CKV_AWS_120', about: /Stagelatchkey/, reason: 'A cache of the gateway would keep secrets outside of the functions and answer after a grant was taken away.' },
  { in: 'aws private', rule: 'CKV_AWS_73', about: /Stagelatchkey/, reason: 'Traces are asked for by functions.tracing; they cost by request, and the access log has the time of each.' },
  { in: 'aws private', rule: 'CKV_AWS_192', about: /Firewall/, reason: 'The rule is about a logger of Java; nothing here runs on it.' },
  { in: 'azure', rule: 'CKV_AZURE_109', about: /vaults/, reason: 'The addresses of the functions are not known; roles guard the vault. privateNetwork closes it.' },
  { in: 'azure', rule: 'CKV_AZURE_189', about: /vaults/, reason: 'As above: privateNetwork takes the public address away.' },
  ...everyAzure('CKV_AZURE_35', /storageAccounts/, 'The addresses of the functions and of Event Grid are not known; keys are off, so only identities with a role get in.'),
  ...everyAzure('CKV_AZURE_206', /storageAccounts/, 'It holds code that can be deployed again, and events that come again; three zones are enough.'),
  ...everyAzure('CKV_AZURE_225', /serverfarms/, 'A zone-redundant plan of this kind needs instances that are always ready, and costs without calls.'),
  ...everyAzure('CKV_AZURE_212', sites, 'How many instances run is the plan’s business, which begins at none.'),
  ...everyAzure('CKV_AZURE_213', sites, 'The plan replaces its instances by itself, and a health check would need a path without authentication.'),
  ...everyAzure('CKV_AZURE_222', sites, 'Callers are outside of Azure’s network; each needs a token of Entra, and the app that rotates denies every address.'),
  ...everyAzure('CKV_AZURE_17', sites, 'Callers prove themselves by tokens of Entra, not by certificates.'),
  ...everyAzure('CKV_AZURE_18', sites, 'One request has one small answer: HTTP/2 gives a gateway nothing here.'),
  ...everyAzure('CKV_AZURE_67', sites, 'As above.'),
  ...[
    ['CKV_AZURE_13', 'This is that authentication, in its second version; the rule looks for the first.'],
    ['CKV_AZURE_63', 'The rule takes the settings of authentication for those of a site.'],
    ['CKV_AZURE_65', 'The rule takes the settings of authentication for those of a site.'],
    ['CKV_AZURE_66', 'The rule takes the settings of authentication for those of a site.'],
    ['CKV_AZURE_80', 'The rule takes the settings of authentication for those of a site.'],
    ['CKV_AZURE_88', 'The rule takes the settings of authentication for those of a site.'],
    ['CKV_AZURE_222', 'The rule takes the settings of authentication for those of a site.'],
  ].flatMap(([rule = '', reason = '']) => everyAzure(rule, front, reason)),
  { in: 'google', rule: 'CKV_GCP_62', about: /google_storage_bucket\.code/, reason: 'Who reads code that is public is no secret; who writes it stands in the audit log of the project.' },
  { in: 'google', rule: 'CKV_GCP_84', about: /google_artifact_registry_repository\.images/, reason: 'The images hold the published code, and no secret.' },
  { in: 'google', rule: 'CKV_GCP_125', about: /google_iam_workload_identity_pool_provider\.aws/, reason: 'The rule is about GitHub; this provider is AWS, and its condition names the account and the roles.' },
]

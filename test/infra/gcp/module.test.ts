// The module of Google: that every check finds nothing, that it refuses what would open it, and that each weakening of it is found by the check that is meant to.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { plan, type HclModule } from '../support/hcl.ts'
import { checks, committed, parsed, plans, rights, type Check } from './checks.ts'

const folder = join(import.meta.dirname, '../../../infra/gcp')
const files = readdirSync(folder).filter((file) => file.endsWith('.tf'))
const names = Object.keys(checks) as Check[]
const sound = plans(committed)

describe('the module of Google', () => {
  it.each(names)('%s', (name) => {
    const found = checks[name](sound)

    expect(found).toEqual([])
  })

  it.each([
    ['an empty prefix', { prefix: '' }],
    ['a prefix without its slash', { prefix: 'litellm' }],
    ['everybody as a caller', { read_invokers: ['allUsers'] }],
    ['everybody who has an account as a caller', { keys_invokers: ['group:a@example.com', 'allAuthenticatedUsers'] }],
    ['an access mode that there is not', { access_mode: 'all' }],
    ['an ingress that there is not', { ingress: 'ALLOW' }],
    ['a rotation more often than daily', { rotated_secrets: { x: { first: '2027-01-01T00:00:00Z', days: 0 } } }],
    ['a name that makes accounts too long', { name: 'latchkey-in-the-europe' }],
    ['an account of AWS that is none', { aws_account: '1' }],
  ])('refuses %s', (_what, given) => {
    const planned = (): unknown => plan(committed, { project: 'fake', ...given })

    expect(planned).toThrow(/must/)
  })

  it('asks the provider in a version that was checked, and not beyond', () => {
    const [{ required_providers: providers }] = committed.terraform as readonly [{ readonly required_providers: readonly [{ readonly google: object }] }]

    expect(providers[0].google).toEqual({ source: 'hashicorp/google', version: '>= 6.50, < 8' })
  })

  it('counts by what is known before anything is made', () => {
    const counted = Object.values(committed.resource).flatMap((named) => Object.values(named)).flatMap(([body]) => [body['for_each'], body['count']]).filter((value) => value !== undefined)

    expect(counted.length).toBeGreaterThan(10)
    expect(counted.filter((value) => /google_|data\./.test(JSON.stringify(value)))).toEqual([])
  })

  it('marks no variable as a secret, because none is one, and explains each', () => {
    const bodies = Object.values(committed.variable).map(([body]) => body)

    expect(bodies.filter((body) => 'sensitive' in body || typeof body['description'] !== 'string')).toEqual([])
  })

  it.each(files)('%s is indented by two spaces, and has its equals signs in a column', (file) => {
    const lines = readFileSync(join(folder, file), 'utf8').split('\n')

    expect(lines.filter((line) => /\t|\s$/.test(line) || (/^ */.exec(line)?.[0].length ?? 0) % 2 === 1)).toEqual([])
    expect(misaligned(lines)).toEqual([])
  })
})

/** Lines of one block that follow one another and whose equals signs do not stand below one another, as `terraform fmt` would put them. Values over several lines end a column. */
const misaligned = (lines: readonly string[]): readonly string[] => {
  const found: string[] = []
  let column: number | undefined
  let depth = 0
  for (const line of lines) {
    const [, indent, name, space = ''] = /^( *)([\w"./-]+)( +)= \S/.exec(line) ?? []
    const isOpen = /[[{(]$/.test(line)
    if (name === undefined || indent === undefined || isOpen || depth !== indent.length) column = undefined
    if (name !== undefined && indent !== undefined && !isOpen) {
      const at = indent.length + name.length + space.length
      if (column !== undefined && column !== at) found.push(line)
      column = at
      depth = indent.length
    }
  }
  return found
}

describe('the rights on Google', () => {
  it.each(rights.map((row) => ({ row, what: `${row[1].replace(/google_service_account\.|\.member/g, '')}, ${row[2]} on ${row[3]} (${row[0]}): ${row[4]}` })))('$what', ({ row: [where, who, permission, resource] }) => {
    const found = checks['each account may do what its function needs, and nothing more'](sound)

    expect(found.filter((line) => line.startsWith(`${where}: ${who} `) && line.endsWith(` ${permission} on ${resource}`))).toEqual([])
  })
})

type Body = Record<string, unknown>
/** A weakened module: what was done to it, and who must notice. */
interface Weakening {
  readonly what: string
  readonly noticed: readonly Check[]
  weaken(body: (type: string, name: string) => Body, module: HclModule): void
}

const needed: Check = 'each account may do what its function needs, and nothing more'
const end: Check = 'rights on secrets end at the prefix'
const unnamed: Check = 'nobody is let in unnamed'
const kept: Check = 'what cannot be handled is kept, and told'
const mounted: Check = 'credentials are mounted, and none is text'
const drop = (module: HclModule, type: string, name: string): void => void delete (module.resource[type] as Record<string, unknown>)[name]
const serviceOf = (body: Body): Body => (body['service_config'] as readonly [Body])[0]

const weakenings: readonly Weakening[] = [
  { what: 'the read account administers secrets', noticed: [needed], weaken: (body) => void (body('google_project_iam_member', 'read_values')['role'] = 'roles/secretmanager.admin') },
  { what: 'reading is not confined to the prefix', noticed: [needed, end], weaken: (body) => void delete body('google_project_iam_member', 'read_values')['condition'] },
  { what: 'writing is not confined to the prefix', noticed: [needed, end], weaken: (body) => void delete body('google_project_iam_member', 'write')['condition'] },
  { what: 'the prefix ends without its slash', noticed: [needed], weaken: (_body, module) => void ((module.locals[0] as Body)['native_prefix'] = 'litellm') },
  { what: 'read may write', noticed: [needed], weaken: (body) => void (body('google_project_iam_member', 'write')['for_each'] = '${toset(["read", "keys", "rotate"])}') },
  { what: 'read may make secrets', noticed: [needed], weaken: (body) => void (body('google_project_iam_member', 'create')['for_each'] = '${toset(["read", "keys", "rotate"])}') },
  { what: 'who writes may open secrets to others', noticed: [needed], weaken: (body) => void (body('google_project_iam_custom_role', 'write')['permissions'] as string[]).push('secretmanager.secrets.setIamPolicy') },
  { what: 'keys reads values under write_only', noticed: [needed], weaken: (_body, module) => void ((module.locals[0] as Body)['values'] = '${local.reach}') },
  { what: 'everybody may call read', noticed: [needed, unnamed], weaken: (body) => Object.assign(body('google_cloud_run_v2_service_iam_member', 'read_invoker'), { for_each: '${toset(["allUsers"])}' }) },
  { what: 'rotate is reached from anywhere', noticed: [unnamed], weaken: (body) => void (serviceOf(body('google_cloudfunctions2_function', 'rotate'))['ingress_settings'] = 'ALLOW_ALL') },
  { what: 'the gateway may call rotate', noticed: [needed], weaken: (body) => Object.assign(body('google_cloud_run_v2_service_iam_member', 'read_invoker'), { name: '${google_cloudfunctions2_function.rotate.name}' }) },
  { what: 'Secret Manager may not publish', noticed: [needed, 'Secret Manager may tell the topic'], weaken: (body) => void (body('google_pubsub_topic_iam_member', 'secret_manager')['member'] = '${local.pubsub_agent}') },
  { what: 'what cannot be handled is dropped', noticed: [kept], weaken: (body) => void delete body('google_pubsub_subscription', 'rotation')['dead_letter_policy'] },
  { what: 'Pub/Sub may not move dead letters', noticed: [needed, kept], weaken: (_body, module) => drop(module, 'google_pubsub_subscription_iam_member', 'dead_letters') },
  { what: 'the subscription expires', noticed: [kept], weaken: (body) => void delete body('google_pubsub_subscription', 'rotation')['expiration_policy'] },
  { what: 'nobody is told of dead letters', noticed: [kept], weaken: (_body, module) => drop(module, 'google_monitoring_alert_policy', 'dead_letters') },
  { what: 'a push bears no token', noticed: ['deliveries bear the token of an account of their own'], weaken: (body) => void delete (body('google_pubsub_subscription', 'rotation')['push_config'] as readonly [Body])[0]['oidc_token'] },
  { what: 'a credential is plain text', noticed: [mounted], weaken: (body) => Object.assign(serviceOf(body('google_cloudfunctions2_function', 'http'))['environment_variables'] as Body, { OPENAI_API_KEY: 'sk-x' }) },
  { what: 'read runs as keys', noticed: ['each function runs as its own account'], weaken: (body) => void (serviceOf(body('google_cloudfunctions2_function', 'http'))['service_account_email'] = '${google_service_account.function["keys"].email}') },
  { what: 'a binding takes what others have given', noticed: ['no binding takes what others have given'], weaken: (_body, module) => Object.assign(module.resource, { google_storage_bucket_iam_policy: { x: [{ member: 'x', role: 'roles/run.invoker', name: 'x' }] } }) },
  { what: 'the sweep says something else', noticed: ['the sweep says what the function understands'], weaken: (body) => Object.assign((body('google_cloud_scheduler_job', 'sweep')['pubsub_target'] as readonly [Body])[0], { data: '${base64encode(jsonencode({ source = "latchkey.scheduler", action = "sweep" }))}' }) },
  { what: 'a rotated secret has no topic', noticed: ['a rotated secret has its topic, its time and its period'], weaken: (body) => void delete body('google_secret_manager_secret', 'rotated')['topics'] },
  { what: 'the key may be destroyed', noticed: ['the key of the customer is where it was asked for, and stays'], weaken: (body) => void delete body('google_kms_crypto_key', 'secrets')['lifecycle'] },
  { what: 'any role of the account of AWS is trusted', noticed: ['AWS is trusted only where an account is named, and then one role for one account'], weaken: (body) => void (body('google_iam_workload_identity_pool_provider', 'aws')['attribute_condition'] = "assertion.account == '${var.aws_account}'") },
  { what: 'a role of AWS may act as each account', noticed: ['AWS is trusted only where an account is named, and then one role for one account'], weaken: (body) => void (body('google_service_account_iam_member', 'aws')['member'] = 'principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.aws[0].name}/*') },
  { what: 'an older Node runs the functions', noticed: ['the functions are what is built'], weaken: (body) => Object.assign((body('google_cloudfunctions2_function', 'http')['build_config'] as readonly [Body])[0], { runtime: 'nodejs20' }) },
  { what: 'the code may be made public', noticed: ['the code lies where nobody else writes'], weaken: (body) => void delete body('google_storage_bucket', 'code')['public_access_prevention'] },
]

describe('a weakened module of Google', () => {
  it.each(weakenings)('in which $what is noticed', ({ weaken, noticed }) => {
    const module = parsed()
    weaken((type, name) => module.resource[type]?.[name]?.[0] as Body, module)

    const found = plans(module)

    expect(names.filter((name) => checks[name](found).length > 0)).toEqual(names.filter((name) => noticed.includes(name)))
  })
  it('is there for every check', () => {
    expect(names.filter((name) => !weakenings.some(({ noticed }) => noticed.includes(name)))).toEqual([])
  })
})

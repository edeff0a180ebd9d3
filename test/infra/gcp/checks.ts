// What must hold of the module of Google, each as a function of what would be made that says what is wrong with it, so that a weakened module can be given to it as well.
import { join } from 'node:path'
import { plan, readModule, type HclModule, type Made, type Plan } from '../support/hcl.ts'
import { account, bindingsOf, may, project } from './rights.ts'

/** What the function makes of a schedule's message. By a computed address, because stacks are checked by looser rules of types than what runs. */
const { scheduledEvents } = (await import(join(import.meta.dirname, '../../../functions/events.ts'))) as { readonly scheduledEvents: (sent: unknown, source: string, delivery: string) => readonly { readonly kind?: string }[] }

/** The committed module. */
export const committed = await readModule(join(import.meta.dirname, '../../../infra/gcp'))

/** The module anew, to be weakened. */
export const parsed = (): HclModule => structuredClone(committed)

const gateway = 'serviceAccount:gateway@fake.iam.gserviceaccount.com'
const administrators = 'group:administrators@example.com'
const everything = {
  project: 'fake',
  customer_key: true,
  aws_account: '111122223333',
  hosted_secrets: ['OPENAI_API_KEY'],
  rotated_secrets: { 'db-password': { first: '2027-01-01T00:00:00Z', days: 30 } },
  read_invokers: [gateway],
  keys_invokers: [administrators],
}

/** Made as it is by default, with all that can be asked for, and where nobody may read values. */
export interface Plans {
  readonly usual: Plan
  readonly full: Plan
  readonly writeOnly: Plan
}

/** The three plans of a module. */
export const plans = (module: HclModule): Plans => ({ usual: plan(module, { project: 'fake' }), full: plan(module, everything), writeOnly: plan(module, { project: 'fake', access_mode: 'write_only', hosted_secrets: ['OPENAI_API_KEY'] }) })

const of = ({ made }: Plan, type: string): readonly Made[] => made.filter((each) => each.type === type)
const at = ({ made }: Plan, address: string): Made['body'] => made.find((each) => each.address === address)?.body ?? {}
const valueAt = (value: unknown, path: string): unknown => path.split('.').reduce<unknown>((from, key) => (typeof from === 'object' && from !== null ? (from as Record<string, unknown>)[key] : undefined), value)
const wanted = (from: Plan, address: string, values: Readonly<Record<string, unknown>>): readonly string[] => Object.entries(values).flatMap(([path, value]) => (JSON.stringify(valueAt(at(from, address), path)) === JSON.stringify(value) ? [] : [`${address}: ${path} must be ${JSON.stringify(value)}`]))

const secret = (name: string): string => `${project}/secrets/${name}`
const [key, version, record] = [secret('litellm-2fteam-2dkey'), `${secret('litellm-2fteam-2dkey')}/versions/1`, `${secret('litellm-2f__latchkey-2fpending-2fx')}/versions/1`]
const beside = `${secret('litellm-other')}/versions/1`
const writes = ['secrets.update', 'secrets.delete', 'versions.add', 'versions.enable', 'versions.disable', 'versions.destroy']
const never = ['secrets.setIamPolicy', 'secrets.getIamPolicy']
const agent = (name: string): string => `serviceAccount:service-123456789@gcp-sa-${name}.iam.gserviceaccount.com`

type Right = readonly [plan: keyof Plans, who: string, permission: string, resource: string, allowed: boolean]
const sm = (who: string, permissions: readonly string[], resource: string, allowed: boolean, where: keyof Plans = 'usual'): readonly Right[] => permissions.map((permission) => [where, account(who), `secretmanager.${permission}`, resource, allowed])

/** Plan, member, permission, resource, and whether it is allowed. */
export const rights: readonly Right[] = [
  ...sm('read', ['versions.access'], version, true),
  ...sm('read', ['secrets.get', 'versions.list', 'versions.get'], key, true),
  ...sm('read', [...writes, ...never], key, false),
  ...sm('read', ['secrets.list'], project, true),
  ...sm('read', ['secrets.create'], project, false),
  ...sm('read', ['versions.access'], secret('LITELLM_MASTER_KEY'), true),
  ...['read', 'keys', 'rotate'].flatMap((who) => [...sm(who, ['versions.access', 'secrets.get', ...writes], beside, false), ...sm(who, ['versions.access', 'secrets.get', ...writes], `${secret('OPENAI_API_KEY')}/versions/1`, false)]),
  ...['keys', 'rotate'].flatMap((who) => [...sm(who, writes, key, true), ...sm(who, ['versions.access'], version, true), ...sm(who, ['secrets.create', 'secrets.list'], project, true), ...sm(who, never, key, false)]),
  // What is hosted elsewhere is read, and by one function only.
  ...sm('read', ['versions.access', 'secrets.get'], `${secret('OPENAI_API_KEY')}/versions/1`, true, 'full'),
  ...sm('read', writes, secret('OPENAI_API_KEY'), false, 'full'),
  ...sm('keys', ['versions.access', ...writes], secret('OPENAI_API_KEY'), false, 'full'),
  ...sm('rotate', ['versions.access', 'secrets.get', ...writes], secret('db-password'), true, 'full'),
  ...sm('rotate', ['versions.access', 'versions.add'], secret('__latchkey-2fpending-2fdb-2dpassword'), true, 'full'),
  ...sm('keys', ['versions.access', 'versions.add'], secret('db-password'), false, 'full'),
  ...sm('read', ['versions.access'], secret('db-password'), false, 'full'),
  // Under write_only nobody reads a value but Latchkey's own records.
  ...sm('read', ['versions.access'], version, false, 'writeOnly'),
  ...sm('read', ['versions.access'], `${secret('OPENAI_API_KEY')}/versions/1`, false, 'writeOnly'),
  ...['keys', 'rotate'].flatMap((who) => [...sm(who, ['versions.access'], version, false, 'writeOnly'), ...sm(who, ['versions.access'], record, true, 'writeOnly'), ...sm(who, ['versions.add', 'secrets.update'], key, true, 'writeOnly')]),
  // Who delivers and who builds may do that.
  ...['deliverer', 'builder'].flatMap((who) => [...sm(who, ['versions.access', 'secrets.get', 'versions.add'], version, false), ...sm(who, ['secrets.list', 'secrets.create'], project, false)]),
  ['usual', account('deliverer'), 'run.routes.invoke', 'google_cloudfunctions2_function.rotate', true],
  ...['read', 'keys'].map((name) => ['usual', account('deliverer'), 'run.routes.invoke', `google_cloudfunctions2_function.http["${name}"]`, false] as const),
  ['full', gateway, 'run.routes.invoke', 'google_cloudfunctions2_function.http["read"]', true],
  ['full', gateway, 'run.routes.invoke', 'google_cloudfunctions2_function.http["keys"]', false],
  ['full', administrators, 'run.routes.invoke', 'google_cloudfunctions2_function.http["keys"]', true],
  ['full', gateway, 'run.routes.invoke', 'google_cloudfunctions2_function.rotate', false],
  ['usual', agent('secretmanager'), 'pubsub.topics.publish', 'google_pubsub_topic.rotation', true],
  ['usual', agent('secretmanager'), 'pubsub.topics.publish', 'google_pubsub_topic.sweep', false],
  ['usual', agent('pubsub'), 'pubsub.topics.publish', 'google_pubsub_topic.dead_letters', true],
  ['usual', agent('pubsub'), 'pubsub.subscriptions.consume', 'google_pubsub_subscription.rotation', true],
  ...['read', 'keys', 'rotate', 'deliverer', 'builder'].map((who) => ['usual', account(who), 'pubsub.topics.publish', 'google_pubsub_topic.rotation', false] as const),
  ['usual', account('builder'), 'storage.objects.get', 'projects/_/buckets/gcf-v2-sources-123456789-europe-west3/objects/x', true],
  ['usual', account('builder'), 'storage.objects.get', 'projects/_/buckets/other/objects/x', false],
  ['full', agent('secretmanager'), 'cloudkms.cryptoKeyVersions.useToEncrypt', 'google_kms_crypto_key.secrets[0]', true],
]

const plainVariables = ['NODE_ENV', 'GOOGLE_SECRET_MANAGER_PROJECT_ID']
const functionsOf = (from: Plan): readonly Made[] => of(from, 'google_cloudfunctions2_function')
/** What may be given on the whole project without a condition. */
const onProject = ['secretmanager.secrets.list', 'secretmanager.secrets.create', ...['logging.logEntries.create', 'logging.logEntries.route']]

/** The checks, by what they hold. */
export const checks = {
  'each account may do what its function needs, and nothing more': (all) => rights.flatMap(([where, who, permission, resource, allowed]) => (may(all[where], who, permission, resource) === allowed ? [] : [`${where}: ${who} ${allowed ? 'may not' : 'may'} ${permission} on ${resource}`])),
  'rights on secrets end at the prefix': ({ full }) => bindingsOf(full).flatMap(({ address, on, condition, permissions }) => (on !== 'project' || condition !== undefined || permissions.every((each) => onProject.includes(each)) ? [] : [`${address} holds everywhere`])),
  'nobody is let in unnamed': ({ usual, full }) => [
    ...bindingsOf(full).flatMap(({ address, member }) => (/^all(?:Users|AuthenticatedUsers)$/.test(member) ? [`${address} is for everybody`] : [])),
    ...of(usual, 'google_cloud_run_v2_service_iam_member').flatMap(({ address }) => (address === 'google_cloud_run_v2_service_iam_member.rotate_invoker' ? [] : [`${address} was not asked for`])),
    ...functionsOf(usual).flatMap(({ address }) => wanted(usual, address, { 'service_config.0.ingress_settings': 'ALLOW_INTERNAL_ONLY' })),
    ...functionsOf(full).flatMap(({ address }) => (address.endsWith('.rotate') ? wanted(full, address, { 'service_config.0.ingress_settings': 'ALLOW_INTERNAL_ONLY' }) : [])),
  ],
  'no binding takes what others have given': ({ full }) => full.made.flatMap(({ address, type }) => (/_iam_(?:binding|policy)$/.test(type) ? [address] : [])),
  'each function runs as its own account': ({ usual }) => ['http["read"]', 'http["keys"]', 'rotate'].flatMap((name) => wanted(usual, `google_cloudfunctions2_function.${name}`, { 'service_config.0.service_account_email': `google_service_account.function["${/read|keys|rotate/.exec(name)?.[0] ?? ''}"].email`, 'build_config.0.service_account': 'google_service_account.builder.id' })),
  'credentials are mounted, and none is text': ({ usual, full }) => [
    ...functionsOf(usual).flatMap(({ address, body }) => {
      const { environment_variables: plain, secret_environment_variables: mounted } = (body['service_config'] as readonly [{ readonly environment_variables: object; readonly secret_environment_variables?: readonly object[] }])[0]
      return [...Object.keys(plain).flatMap((name) => (plainVariables.includes(name) ? [] : [`${address}: ${name} is plain text`])), ...(JSON.stringify(mounted) === JSON.stringify([{ key: 'LITELLM_MASTER_KEY', project_id: 'fake', secret: 'LITELLM_MASTER_KEY', version: 'latest' }]) ? [] : [`${address} mounts something else`])]
    }),
    ...full.made.flatMap(({ address, type }) => (/secret_version$|service_account_key$/.test(type) ? [`${address} holds a secret`] : [])),
  ],
  'what cannot be handled is kept, and told': ({ usual }) => [
    ...wanted(usual, 'google_pubsub_subscription.rotation', { 'dead_letter_policy.0.dead_letter_topic': 'google_pubsub_topic.dead_letters.id', 'expiration_policy.0.ttl': '' }),
    ...wanted(usual, 'google_pubsub_subscription.dead_letters', { topic: 'google_pubsub_topic.dead_letters.id', 'expiration_policy.0.ttl': '' }),
    ...(may(usual, agent('pubsub'), 'pubsub.topics.publish', 'google_pubsub_topic.dead_letters') && may(usual, agent('pubsub'), 'pubsub.subscriptions.consume', 'google_pubsub_subscription.rotation') ? [] : ['Pub/Sub may not move dead letters']),
    ...(String(valueAt(at(usual, 'google_monitoring_alert_policy.dead_letters'), 'conditions.0.condition_threshold.0.filter')).includes('google_pubsub_subscription.dead_letters.name') ? [] : ['nobody is told of dead letters']),
  ],
  'Secret Manager may tell the topic': ({ usual }) => (may(usual, agent('secretmanager'), 'pubsub.topics.publish', 'google_pubsub_topic.rotation') ? [] : ['Secret Manager may not publish']),
  'deliveries bear the token of an account of their own': ({ usual }) => [
    ...wanted(usual, 'google_pubsub_subscription.rotation', {
      'push_config.0.push_endpoint': 'google_cloudfunctions2_function.rotate.service_config[0].uri',
      'push_config.0.oidc_token.0.service_account_email': 'google_service_account.deliverer.email',
      'push_config.0.oidc_token.0.audience': 'google_cloudfunctions2_function.rotate.service_config[0].uri',
    }),
    ...wanted(usual, 'google_cloudfunctions2_function.rotate', { 'event_trigger.0.service_account_email': 'google_service_account.deliverer.email', 'event_trigger.0.pubsub_topic': 'google_pubsub_topic.sweep.id' }),
  ],
  'the sweep says what the function understands': ({ usual }) => {
    const data = valueAt(at(usual, 'google_cloud_scheduler_job.sweep'), 'pubsub_target.0.data')
    const events = scheduledEvents(JSON.parse(Buffer.from(String(data), 'base64').toString('utf8')), 'scheduler', 'x')
    return events.length > 0 && events.every(({ kind }) => kind === 'due') ? [] : ['the sweep is malformed']
  },
  'a rotated secret has its topic, its time and its period': ({ full }) => [
    ...wanted(full, 'google_secret_manager_secret.rotated["db-password"]', { 'topics.0.name': 'google_pubsub_topic.rotation.id', 'rotation.0': { next_rotation_time: '2027-01-01T00:00:00Z', rotation_period: '2592000s' }, 'lifecycle.0.prevent_destroy': true }),
    ...(JSON.stringify(at(full, 'google_secret_manager_secret.rotated["db-password"]')['depends_on']).includes('google_pubsub_topic_iam_member.secret_manager') ? [] : ['it is made before Secret Manager may publish']),
  ],
  'the key of the customer is where it was asked for, and stays': ({ usual, full }) => [
    ...of(usual, 'google_kms_crypto_key').map(({ address }) => `${address} was not asked for`),
    ...wanted(full, 'google_kms_crypto_key.secrets[0]', { 'lifecycle.0.prevent_destroy': true, rotation_period: '7776000s' }),
    ...wanted(full, 'google_secret_manager_secret.rotated["db-password"]', { 'replication.0.auto.0.customer_managed_encryption.0.kms_key_name': 'google_kms_crypto_key.secrets[0].id' }),
    ...['rotation', 'sweep', 'dead_letters'].flatMap((topic) => wanted(full, `google_pubsub_topic.${topic}`, { kms_key_name: 'google_kms_crypto_key.secrets[0].id' })),
  ],
  'AWS is trusted only where an account is named, and then one role for one account': ({ usual, full }) => [
    ...usual.made.filter(({ type }) => /workload_identity|google_service_account_iam/.test(type)).map(({ address }) => `${address} was not asked for`),
    ...wanted(full, 'google_iam_workload_identity_pool_provider.aws[0]', { 'aws.0.account_id': '111122223333', attribute_condition: "assertion.account == '111122223333' && attribute.aws_role in ['latchkey-read', 'latchkey-keys', 'latchkey-rotate']" }),
    ...['read', 'keys', 'rotate'].flatMap((name) => wanted(full, `google_service_account_iam_member.aws["${name}"]`, { member: `principalSet://iam.googleapis.com/google_iam_workload_identity_pool.aws[0].name/attribute.aws_role/latchkey-${name}`, service_account_id: `google_service_account.function["${name}"].name`, role: 'roles/iam.workloadIdentityUser' })),
  ],
  'the code lies where nobody else writes': ({ usual }) => wanted(usual, 'google_storage_bucket.code', { uniform_bucket_level_access: true, public_access_prevention: 'enforced', 'versioning.0.enabled': true }),
  'the functions are what is built': ({ usual }) => functionsOf(usual).flatMap(({ address }) => wanted(usual, address, { 'build_config.0.runtime': 'nodejs24', 'build_config.0.entry_point': /read|keys|rotate/.exec(address)?.[0], 'service_config.0.environment_variables.NODE_ENV': 'production' })),
} satisfies Record<string, (all: Plans) => readonly string[]>

/** The name of a check. */
export type Check = keyof typeof checks

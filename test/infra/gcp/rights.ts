// Who may do what after a deployment on Google: the bindings of a plan, read with what Google's predefined roles hold (cloud.google.com/iam/docs, "roles and permissions") and with our own.
import type { Made, Plan } from '../support/hcl.ts'

/** Predefined roles that the module may name, and wider ones that it must not; `*` is everything. */
const predefined: Readonly<Record<string, readonly string[]>> = {
  'roles/secretmanager.secretAccessor': ['secretmanager.versions.access'],
  'roles/secretmanager.admin': ['secretmanager.*'],
  'roles/editor': ['*'],
  'roles/owner': ['*'],
  'roles/run.invoker': ['run.jobs.run', 'run.routes.invoke'],
  'roles/pubsub.publisher': ['pubsub.topics.publish'],
  'roles/pubsub.subscriber': ['pubsub.snapshots.seek', 'pubsub.subscriptions.consume', 'pubsub.topics.attachSubscription'],
  'roles/logging.logWriter': ['logging.logEntries.create', 'logging.logEntries.route'],
  'roles/artifactregistry.writer': ['artifactregistry.repositories.downloadArtifacts', 'artifactregistry.repositories.uploadArtifacts', 'artifactregistry.tags.create', 'artifactregistry.tags.update'],
  'roles/storage.objectViewer': ['storage.objects.get', 'storage.objects.list'],
  'roles/cloudkms.cryptoKeyEncrypterDecrypter': ['cloudkms.cryptoKeyVersions.useToDecrypt', 'cloudkms.cryptoKeyVersions.useToEncrypt'],
  'roles/iam.workloadIdentityUser': ['iam.serviceAccounts.getAccessToken', 'iam.serviceAccounts.getOpenIdToken'],
}

/** One binding. `on`: what it is given on, `project` for all of it. */
export interface Binding {
  readonly address: string
  readonly member: string
  readonly permissions: readonly string[]
  readonly on: string
  readonly condition: string | undefined
}

const targets = ['secret_id', 'topic', 'subscription', 'name', 'service_account_id', 'crypto_key_id', 'repository'] as const

const permissionsOf = ({ made }: Plan, role: string): readonly string[] => {
  const own = made.find(({ type, address }) => type === 'google_project_iam_custom_role' && role === `${address}.name`)
  const found = own === undefined ? predefined[role] : (own.body['permissions'] as readonly string[])
  if (found === undefined) throw new Error(`${role} is no role of the table.`)
  return found
}

const onOf = ({ type, body }: Made): string => (type === 'google_project_iam_member' ? 'project' : String(targets.map((target) => body[target]).find((value) => value !== undefined)))

/** All bindings of a plan. @throws for a role that the table does not know */
export const bindingsOf = (plan: Plan): readonly Binding[] =>
  plan.made
    .filter(({ type }) => /_iam_(?:member|binding|policy)$/.test(type))
    .map((made) => {
      const { member, role, condition } = made.body as { readonly member: string; readonly role: string; readonly condition?: readonly [{ readonly expression: string }] }
      return { address: made.address, member, permissions: permissionsOf(plan, role), on: onOf(made), condition: condition?.[0].expression }
    })

const holds = (permissions: readonly string[], permission: string): boolean => permissions.some((each) => each === permission || (each.endsWith('*') && permission.startsWith(each.slice(0, -1))))

/** Whether a condition holds for a name. @throws for a condition that is more than beginnings of names */
export const admits = (condition: string | undefined, name: string): boolean =>
  condition === undefined ||
  condition.split(' || ').some((part) => {
    const [, beginning] = /^resource\.name\.startsWith\("([^"]+)"\)$/.exec(part) ?? []
    if (beginning === undefined) throw new Error(`This condition is not known here: ${condition}`)
    return name.startsWith(beginning)
  })

/** The project by its number, as conditions see it. */
export const project = 'projects/123456789'

/**
 * Whether a member may do something to a resource: a secret or version by its full name, the project itself (`project`), or the address of what the module makes. Lists and creations of
 * secrets are judged on the project.
 */
export const may = (plan: Plan, member: string, permission: string, resource: string): boolean =>
  bindingsOf(plan).some((binding) => {
    if (binding.member !== member || !holds(binding.permissions, permission)) return false
    if (binding.on === 'project') return admits(binding.condition, resource)
    const secret = `${project}/secrets/${plan.made.some(({ address }) => binding.on === `${address}.secret_id`) ? (/\["(.+)"\]/.exec(binding.on)?.[1] ?? '') : binding.on}`
    return admits(binding.condition, resource) && (resource === secret || resource.startsWith(`${secret}/`) || binding.on.startsWith(`${resource}.`))
  })

/** The service account of one of the functions, or another of the module, as a member. */
export const account = (name: string): string => (['read', 'keys', 'rotate'].includes(name) ? `google_service_account.function["${name}"].member` : `google_service_account.${name}.member`)

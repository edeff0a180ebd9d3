// Which secret of a place Google's own name for it means. Answers and messages name a project by its number, configurations mostly by its id: the service says
// which number is ours.
import type { GoogleSecret, GoogleSecrets } from './secrets.ts'
import { googleNameOf } from './records.ts'
import type { Call } from '../../core/runtime.ts'
import type { SecretName } from '../../core/secret.ts'

/** The secret, under our name; nothing when it is of another project or location, or not there. `resource` may go on to a version. */
export const locateSecret = async (secrets: GoogleSecrets, parent: string, resource: string, call: Call): Promise<{ readonly name: SecretName; readonly secret: GoogleSecret } | undefined> => {
  const [, path = '', id = ''] = /^(projects\/[a-z0-9.:-]{1,100}(?:\/locations\/[a-z0-9-]{1,40})?\/secrets\/([A-Za-z0-9_-]{1,255}))(?:\/versions\/[\w-]{1,64})?$/.exec(resource) ?? []
  if (path === '' || path.includes('/locations/') !== parent.includes('/locations/')) return undefined
  const secret = await secrets.get(id, id, call)
  if (secret === undefined || (path !== secret.resource && path !== `${parent}/secrets/${id}`)) return undefined
  const name = googleNameOf(secret)
  return name && { name, secret }
}

// IAM takes policies of a certain size only, and says so half way through a deployment. A file with too many names is told before.
import type { InfraConfig, Report } from '../config.ts'
import { functionNames } from '../names.ts'
import { assumeStatements, kmsStatements, keysStatements, outboundIdentityStatements, readStatements, rotateStatements, variableStatements } from '../policies.ts'

/** Characters of a managed policy, white space aside. */
export const longestPolicy = 6_144
/** What a function's role has beside: its log, its own key, its dead letters, traces and a network. */
const besides = 1_500

/** Reports a role that would not be taken, with what makes it so long. */
export const checkPolicySize = ({ secrets, secretVariables, keyArns, roles, federation, region }: InfraConfig, report: Report): void => {
  const place = { partition: 'aws', region: region ?? 'ap-southeast-1', account: '123456789012' }
  const around = [...variableStatements(Object.values(secretVariables), place), ...kmsStatements(keyArns, place, true), ...assumeStatements(roles, place), ...outboundIdentityStatements(federation.outbound_audiences ?? [])]
  const own = secrets === undefined ? undefined : { read: readStatements(secrets, place), keys: keysStatements(secrets, place), rotate: rotateStatements(secrets, place) }
  const sizes = functionNames.map((name) => ({ name, characters: JSON.stringify({ Version: '2012-10-17', Statement: [...(own?.[name] ?? []), ...around] }).length + besides }))
  const longest = sizes.reduce((one, other) => (other.characters > one.characters ? other : one))
  if (longest.characters <= longestPolicy) return
  const many = JSON.stringify(around).length > longestPolicy / 2
  report(
    many ? 'latchkey.deployment.teams' : 'general_settings.key_management_settings.hosted_keys',
    `and what else this file names make the policy of ${longest.name} about ${longest.characters} characters long, and IAM takes ${longestPolicy}; ${many ? 'give teams a deployment each, or fewer of them one' : 'keep them as keys of one JSON secret (primary_secret_name), or below one beginning that latchkey.deployment.functions.readable_names names with a * at its end'}`,
  )
}

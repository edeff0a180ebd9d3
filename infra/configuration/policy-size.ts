// IAM takes policies of a certain size only, and says so half way through a deployment. A file with too many names is told before.
import type { InfraConfig, Report } from '../config.ts'
import { functionStatements } from '../deployment/function-statements.ts'
import { functionNames } from '../names.ts'
import { assumeStatements } from '../policies.ts'

/** Characters of a managed policy, white space aside. */
const longestPolicy = 6_144
/** What a function's role has beside: its log, its own key, its dead letters, traces and a network. */
const besides = 1_500

/** Reports a role that would not be taken, with what makes it so long. */
export const checkPolicySize = (config: InfraConfig, report: Report): void => {
  const place = { partition: 'aws', region: config.region ?? 'ap-southeast-1', account: '123456789012' }
  const statements = functionStatements(config, place)
  const sizes = functionNames.map((name) => ({ name, characters: JSON.stringify({ Version: '2012-10-17', Statement: statements[name] }).length + besides }))
  const longest = sizes.reduce((one, other) => (other.characters > one.characters ? other : one))
  if (longest.characters <= longestPolicy) return
  const many = JSON.stringify(assumeStatements(config.roles, place)).length > longestPolicy / 2
  report(
    many ? 'latchkey.deployment.teams' : 'general_settings.key_management_settings.hosted_keys',
    `and what else this file names make the policy of ${longest.name} about ${longest.characters} characters long, and IAM takes ${longestPolicy}; ${many ? 'give teams a deployment each, or fewer of them one' : 'keep them as keys of one JSON secret (primary_secret_name), or below one beginning that latchkey.deployment.functions.readable_names names with a * at its end'}`,
  )
}

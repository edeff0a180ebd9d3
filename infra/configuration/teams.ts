// `latchkey.deployment.teams`: the roles of teams. One team never reaches another's secrets, so no prefix may hold another one's, and no role is assumed across accounts without an id.
import { LatchkeyError } from '../../shared/core/errors.ts'
import { encodeSegment, isBelow } from '../../shared/core/names.ts'
import { parsePrefix } from '../../shared/core/names/created.ts'
import type { Env } from '../../shared/core/runtime.ts'
import { readSettings } from '../../shared/core/settings.ts'
import type { Report, TeamRole } from '../config.ts'
import { teamSettings } from '../settings.ts'

/** What teams must stand beside. */
interface Surroundings {
  readonly account: string | undefined
  readonly region: string | undefined
  readonly prefix: string
  readonly env: Env
}

const attempt = (read: () => string, report: (message: string) => void): string => {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error
    report(error.details.issues?.[0]?.message ?? error.message)
    return ''
  }
}

/** An AWS account's id. */
export const isAccount = (text: string): boolean => /^\d{12}$/.test(text)
/** What STS takes as an external id. */
export const isExternalId = (text: string): boolean => /^[\w+=,.@:/-]{2,1224}$/.test(text)
/** The ARN of a KMS key itself, no alias. */
export const isKeyArn = (text: string): boolean => /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/.test(text)

/** The teams of the file; whatever does not fit is reported. */
export const readTeams = (given: unknown, around: Surroundings, report: Report): readonly TeamRole[] => {
  const path = 'latchkey.deployment.teams'
  if (given === undefined || given === null) return []
  if (!Array.isArray(given)) {
    report(path, 'must be a list')
    return []
  }
  const teams = (given as readonly unknown[]).flatMap((entry, index): readonly TeamRole[] => {
    const at = `${path}[${index}]`
    const { settings, issues } = readSettings(teamSettings, entry, { path: at, env: around.env })
    for (const issue of issues) report(issue.path, issue.message)
    if (issues.length > 0) return []
    const { team, account, role_name: roleName, external_id: externalId, access_mode: accessMode, store_virtual_keys: storeVirtualKeys, region, key_arn: keyArn } = settings
    if (!isAccount(account)) report(`${at}.account`, 'must be 12 digits, in quotes')
    if (!/^[\w+=,.@/-]{1,512}$/.test(roleName)) report(`${at}.role_name`, 'must be made of A-Z a-z 0-9 _ + = , . @ - /')
    if (externalId === undefined && account !== around.account) {
      report(`${at}.external_id`, `is required for a role of ${around.account === undefined ? 'an account that may be another one (or write latchkey.deployment.account)' : 'another account'}: without it, whoever knows the role's name could have it used for them`)
    }
    if (externalId !== undefined && !isExternalId(externalId)) report(`${at}.external_id`, 'must have 2 to 1224 of A-Z a-z 0-9 _ + = , . @ : / -')
    if (keyArn !== undefined && !isKeyArn(keyArn)) report(`${at}.key_arn`, 'must be the ARN of a key, no alias: arn:aws:kms:<region>:<account>:key/<id>')
    const bare = attempt(() => parsePrefix(settings.prefix, `${at}.prefix`), (message) => report(`${at}.prefix`, message))
    if (bare === '') report(`${at}.prefix`, "must not be empty: every secret of the account would be this team's")
    const segment = attempt(() => encodeSegment(team, `${at}.team`), (message) => report(`${at}.team`, message))
    return [{ team, segment, account, roleName, externalId, prefix: `${bare}/`, accessMode, storeVirtualKeys, region, keyArn }]
  })
  reportOverlaps(teams, around, report)
  return teams
}

const reportOverlaps = (teams: readonly TeamRole[], { account, region, prefix }: Surroundings, report: Report): void => {
  teams.forEach((team, index) => {
    const at = `latchkey.deployment.teams[${index}]`
    const sameStore = (other: { readonly account: string | undefined; readonly region?: string | undefined }): boolean => other.account === team.account && (other.region ?? region) === (team.region ?? region)
    const swallows = (outer: string, inner: string): boolean => isBelow(outer.replace(/\/$/, ''), inner)
    if (sameStore({ account }) && (swallows(prefix, team.prefix) || swallows(team.prefix, prefix))) report(`${at}.prefix`, `and the prefix of this deployment (${prefix}) lie in one account, and one holds the other; give the team a prefix beside it`)
    teams.slice(0, index).forEach((other, before) => {
      if (other.segment === team.segment && sameStore(other)) report(`${at}.team`, `is the same as latchkey.deployment.teams[${before}].team; each team has one entry`)
      if (other.externalId !== undefined && other.externalId === team.externalId) report(`${at}.external_id`, `is the same as latchkey.deployment.teams[${before}].external_id; each team needs its own`)
      if (sameStore(other) && (swallows(other.prefix, team.prefix) || swallows(team.prefix, other.prefix))) report(`${at}.prefix`, `swallows, or is swallowed by, latchkey.deployment.teams[${before}].prefix (${other.prefix}); give each team a prefix that holds no other`)
    })
  })
}

// Who can do what, as the evaluator answers it over the shipped policies: role × action × resource. Printed for the README by `node test/infra/support/access-table.ts`.
import { tenantOf, trustQuestions, tryTrust, type Asked, type Attempt } from './checks.ts'
import { decide, type Context, type Policies, type Question } from './iam.ts'
import { makeSubject, ownKey, place, teamAccount, type Mode, type Subject } from './subject.ts'

/** One line of the table: what is asked, in words and as a question, and the answer that there must be. */
export interface Row {
  readonly role: string
  readonly action: string
  readonly on: string
  readonly wanted: 'allowed' | 'denied'
  readonly answer: (subject: Subject) => boolean
  /** The same as questions, of which all must be allowed: for an evaluator that is not ours. */
  readonly asked: (subject: Subject) => readonly Asked[]
}

const sm = (action: string): string => (action.includes(':') ? action : `secretsmanager:${action}`)
const secret = (name: string, account = place.account): string => `arn:aws:secretsmanager:${place.region}:${account}:secret:${name}-AbCdEf`
const below = secret('litellm/alias')
const outside = secret('payroll/password')
const records = secret('litellm/__latchkey/pending/1')
const hosted = secret('OPENAI_API_KEY')
const [ofVariable, ofCallers] = [secret('vault/token'), secret('master')]
const elsewhere = secret('litellm/alias', '999999999999')
const named = (name: string): Context => ({ 'secretsmanager:Name': name })
const recoverable: Context = { 'secretsmanager:RecoveryWindowInDays': '7' }
const viaSecrets: Context = { 'kms:ViaService': `secretsmanager.${place.region}.amazonaws.com` }
const corp = `arn:aws:iam::${teamAccount}:role/corp-secrets`

const words: Readonly<Record<string, string>> = {
  [below]: 'a secret below the prefix', [outside]: 'a secret outside the prefix', [records]: "Latchkey's own records", [hosted]: 'a hosted secret', [ofVariable]: 'a secret that a variable refers to', [ofCallers]: "the secret of the callers' master key in a variable", [elsewhere]: 'the same name in a foreign account', [ownKey]: 'the key of the secrets',
  [corp]: 'a listed role of another account', [`arn:aws:iam::${place.account}:role/own-secrets`]: 'a listed role of the own account', [`arn:aws:iam::${place.account}:role/admin`]: 'any other role', '*': 'everything',
}

type Line = readonly [wanted: Row['wanted'], action: string, resource: string, context?: Context, how?: string]

const rows = (role: string, arnOf: (subject: Subject) => string, policies: (subject: Subject) => Policies, lines: readonly Line[]): readonly Row[] =>
  lines.map(([wanted, action, resource, context, how]) => {
    const question: Question = { action: sm(action), resource, ...(context !== undefined && { context }) }
    return {
      role, action: sm(action), on: `${words[resource] ?? resource}${how === undefined ? '' : `, ${how}`}`, wanted,
      answer: (subject) => decide(policies(subject), question).allowed,
      asked: (subject) => [{ policies: policies(subject), question: { ...question, caller: { kind: 'AWS', id: arnOf(subject) } } }],
    }
  })

const ofFunction = (name: 'read' | 'keys' | 'rotate', mode: Mode, lines: readonly Line[], note: string): readonly Row[] => rows(`\`${name}\`${note}`, () => `arn:aws:iam::${place.account}:role/latchkey-${name}`, ({ roles }) => ({ identity: [roles[mode][name]] }), lines)
const ofTenant = (lines: readonly Line[]): readonly Row[] => rows("the team's role", ({ access }) => tenantOf(access).arn, ({ access }) => { const { identity, boundary } = tenantOf(access); return { identity, boundary } }, lines)

/** What no role may ever do. */
const never: readonly Line[] = [
  ['denied', 'GetSecretValue', outside], ['denied', 'GetSecretValue', elsewhere], ['denied', 'PutResourcePolicy', below], ['denied', 'DeleteSecret', below, { 'secretsmanager:ForceDeleteWithoutRecovery': 'true' }, 'for good'],
  ['denied', 'iam:PassRole', '*'], ['denied', 'sts:AssumeRole', `arn:aws:iam::${place.account}:role/admin`], ['denied', 'sts:AssumeRole', corp, {}, 'without an external id'],
  ['denied', 'kms:Decrypt', ownKey, {}, 'past Secrets Manager'],
]

const trust = (what: string, attempt: Attempt, wanted: Row['wanted']): Row => ({ role: what, action: 'sts:AssumeRole', on: "the team's role", wanted, answer: ({ access }) => tryTrust(access, attempt).allowed, asked: ({ access }) => trustQuestions(access, attempt) })
const right: Attempt = { externalId: 'payments-0123456789', tags: { 'latchkey-team': 'payments' } }
const team = (name: string): string => secret(`litellm/${name}/x`, teamAccount)

/** The whole table. */
export const accessRows: readonly Row[] = [
  ...ofFunction('read', 'both', [
    ['allowed', 'GetSecretValue', below], ['allowed', 'GetSecretValue', hosted], ['denied', 'GetSecretValue', records], ['denied', 'PutSecretValue', below], ['denied', 'CreateSecret', below, named('litellm/alias')], ['denied', 'DeleteSecret', below, recoverable], ['denied', 'PutSecretValue', hosted],
    ['allowed', 'GetSecretValue', ofVariable], ['allowed', 'GetSecretValue', ofCallers], ['denied', 'PutSecretValue', ofVariable],
    ['allowed', 'kms:Decrypt', ownKey, viaSecrets, 'through Secrets Manager'], ['denied', 'kms:GenerateDataKey', ownKey, viaSecrets], ...never,
  ], ''),
  ...ofFunction('read', 'writes', [['denied', 'GetSecretValue', below], ['denied', 'GetSecretValue', hosted]], ', `write_only`'),
  ...ofFunction('keys', 'both', [
    ['allowed', 'GetSecretValue', below], ['allowed', 'CreateSecret', below, named('litellm/alias')], ['allowed', 'PutSecretValue', below], ['allowed', 'DeleteSecret', below, recoverable, 'recoverable for a week'], ['denied', 'PutSecretValue', outside], ['denied', 'CreateSecret', outside, named('payroll/password')],
    ['allowed', 'GetSecretValue', ofVariable], ['allowed', 'GetSecretValue', ofCallers], ['denied', 'PutSecretValue', ofVariable],
    ['allowed', 'PutSecretValue', hosted], ['allowed', 'sts:AssumeRole', corp, { 'sts:ExternalId': 'any' }, 'with an external id'], ['allowed', 'sts:AssumeRole', `arn:aws:iam::${place.account}:role/own-secrets`, {}, 'without an external id'], ...never,
  ], ''),
  ...ofFunction('keys', 'writes', [['denied', 'GetSecretValue', below], ['denied', 'GetSecretValue', hosted], ['allowed', 'GetSecretValue', records], ['allowed', 'PutSecretValue', below]], ', `write_only`'),
  ...ofFunction('keys', 'reads', [['denied', 'PutSecretValue', below], ['denied', 'CreateSecret', below, named('litellm/alias')], ['denied', 'DeleteSecret', below, recoverable]], ', without `store_virtual_keys`'),
  ...ofFunction('rotate', 'both', [
    ['allowed', 'GetSecretValue', below], ['allowed', 'PutSecretValue', below], ['allowed', 'UpdateSecretVersionStage', below], ['denied', 'CreateSecret', below, named('litellm/alias')], ['denied', 'PutSecretValue', hosted], ['denied', 'PutSecretValue', outside], ['denied', 'DescribeSecret', outside],
    ['allowed', 'GetSecretValue', ofVariable], ['denied', 'GetSecretValue', ofCallers], ['denied', 'PutSecretValue', ofVariable], ...never,
  ], ''),
  ...ofTenant([
    ['allowed', 'GetSecretValue', team('payments'), {}], ['allowed', 'PutSecretValue', team('payments')], ['denied', 'GetSecretValue', team('search')], ['denied', 'PutSecretValue', team('search')], ['denied', 'TagResource', team('payments'), { 'aws:RequestTag/latchkey-team': 'search' }, "with another team's tag"],
    ['denied', 'DeleteSecret', team('payments'), { 'secretsmanager:ForceDeleteWithoutRecovery': 'true' }, 'for good'], ['denied', 'iam:PassRole', '*'],
  ]).map((row) => ({ ...row, on: row.on.replace(team('payments'), "a secret below the team's prefix").replace(team('search'), "a secret below another team's prefix") })),
  trust('`keys`, with the external id and the team', right, 'allowed'),
  trust('`keys`, without an external id', { tags: { 'latchkey-team': 'payments' } }, 'denied'),
  trust('`keys`, with a random external id', { ...right, externalId: 'random-0123456789' }, 'denied'),
  trust("`keys`, with another team's tag", { ...right, tags: { 'latchkey-team': 'search' } }, 'denied'),
  trust('another role of the Latchkey account', { ...right, caller: `arn:aws:iam::${place.account}:role/admin` }, 'denied'),
  trust('a role of a foreign account', { ...right, caller: 'arn:aws:iam::999999999999:role/latchkey-keys' }, 'denied'),
]

/** The table as Markdown: what is asked of one role by one action and answered alike stands in one line. */
export const accessTable = (subject: Subject): string => {
  const lines = Map.groupBy(accessRows, (row) => [row.role, row.action, row.answer(subject) ? 'allowed' : '**denied**'].join(' | '))
  return ['| role | action | answer | resource |', '| --- | --- | --- | --- |', ...[...lines].map(([key, group]) => `| ${key.replace(/ \| ([^|]+) \| /, ' | `$1` | ')} | ${[...new Set(group.map(({ on }) => on))].join('; ')} |`)].join('\n')
}

if (import.meta.main) process.stdout.write(`${accessTable(await makeSubject())}\n`)

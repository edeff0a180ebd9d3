// What a login may do in Conjur, asked of Conjur itself: nothing is written, and what is missing is named as a policy names it.
import { asLatchkeyError } from '../../core/errors.ts'
import type { Finding } from '../../core/provider.ts'
import type { Call } from '../../core/runtime.ts'
import type { ConjurVariables } from './variables.ts'

const looked = 3

/** What a check is about: the policy that variables go into, whether they are deleted, and which of them are Latchkey's own records. */
export interface CheckedConjur {
  readonly branch: string
  readonly deletes: boolean
  isRecord(id: string): boolean
}

/** Whether the login works, what it sees, and what it may do. Privileges stand on each variable: reading is asked of the first few that it sees, writing of the first few that Latchkey has written. */
export const checkConjur = async (variables: ConjurVariables, { branch, deletes, isRecord }: CheckedConjur, depth: 'reach' | 'read' | 'write', call: Call): Promise<readonly Finding[]> => {
  const findings: Finding[] = []
  const find = async (subject: string, setting: string, look: () => Promise<string | undefined>): Promise<void> => {
    const message = await look().catch((error: unknown) => asLatchkeyError(error).message)
    findings.push({ ok: message === undefined, subject, message: message ?? 'Allowed.', ...(message !== undefined && { setting }) })
  }
  const onSome = (privilege: string, ids: readonly string[]) => async (): Promise<string | undefined> => {
    const lacking: string[] = []
    for (const id of ids) if (!(await variables.may(privilege, 'variable', id, call))) lacking.push(id)
    return lacking.length < ids.length || ids.length === 0 ? undefined : `This login has not the privilege ${privilege} on the first variables that it sees: permit it, or make the login the owner of their policy.`
  }
  const onBranch = (privilege: string) => async (): Promise<string | undefined> =>
    (await variables.may(privilege, 'policy', branch, call)) ? undefined : `This login has not the privilege ${privilege} on the policy ${branch}: permit it there, or name a policy that it owns.`

  await find('login', 'cyberark_api_key', () => variables.whoami(call).then(() => undefined))
  if (depth === 'reach' || findings.some(({ ok }) => !ok)) return findings
  let ids: readonly string[] = []
  await find('read on variables', 'cyberark_username', async () => {
    ids = (await variables.first(call)).map(({ id }) => id)
    return undefined
  })
  await find('execute on variables', 'cyberark_username', onSome('execute', ids.slice(0, looked)))
  if (depth === 'read') return findings
  await find('update on variables', 'cyberark_username', onSome('update', ids.filter(isRecord).slice(0, looked)))
  await find(`create on the policy ${branch}`, 'cyberark_policy_branch', onBranch('create'))
  if (deletes) await find(`update on the policy ${branch}`, 'cyberark_delete', onBranch('update'))
  return findings
}

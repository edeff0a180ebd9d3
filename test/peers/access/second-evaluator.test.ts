// The access table once more, answered by an evaluator of IAM's policies that somebody else wrote: whole policies in, no template and no code of ours. What ministack cannot show, that our roles never
// assume a role of another account without an external id, is asked here.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, it } from 'vitest'
import { run } from '../python-peers.ts'

const peer = inject('peers').iam_simulate
const root = join(import.meta.dirname, '../../..')

interface Asked {
  readonly policies: { readonly identity?: readonly object[]; readonly boundary?: readonly object[]; readonly trust?: readonly object[] }
  readonly question: { readonly action: string; readonly resource: string; readonly caller: { readonly id: string }; readonly context?: object }
}
interface Row {
  readonly title: string
  readonly wanted: 'allowed' | 'denied'
  readonly asked: readonly Asked[]
  /** The same where neither policies nor requests know `sts:ExternalId`. */
  readonly weakened: readonly Asked[]
}

const accountOf = (arn: string): string => arn.split(':')[4] ?? ''
const named = (documents: readonly object[] = []): readonly object[] => documents.map((policy, index) => ({ name: String(index), policy }))

/** What the other side says where the question is about one side only: a key, and a role of another account, leave it to the policies of who asks. */
const otherSide = ({ action, caller }: Asked['question']): object | undefined =>
  action.startsWith('kms:') || action === 'sts:AssumeRole'
    ? { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${accountOf(caller.id)}:root` }, Action: action.startsWith('kms:') ? 'kms:*' : 'sts:AssumeRole', ...(action.startsWith('kms:') ? { Resource: '*' } : {}) }] }
    : undefined

const simulationOf = ({ policies: { identity, boundary, trust }, question }: Asked): object => {
  const { action, resource, caller, context = {} } = question
  return {
    request: { principal: caller.id, action, resource: { resource, accountId: accountOf(resource) === '' || resource === '*' ? accountOf(caller.id) : accountOf(resource) }, contextVariables: { 'aws:PrincipalArn': caller.id, 'aws:PrincipalAccount': accountOf(caller.id), ...context } },
    identityPolicies: named(identity), ...(boundary === undefined ? {} : { permissionBoundaryPolicies: named(boundary) }), resourcePolicy: trust?.[0] ?? otherSide(question), serviceControlPolicies: [], resourceControlPolicies: [],
  }
}

describe('an evaluator by somebody else', () => {
  if ('missing' in peer) {
    it(`is left out: ${peer.missing}`, () => expect(peer.missing).not.toBe(''))
    return
  }
  let rows: readonly Row[] = []
  let answers: readonly string[] = []
  let weakened: readonly string[] = []

  /** A row's answer: of its questions, the first that is not allowed, or the last. */
  const answered = (all: readonly string[], of: (row: Row) => readonly Asked[]): readonly string[] => {
    const left = [...all]
    return rows.map((row) => {
      const own = left.splice(0, of(row).length)
      return own.find((answer) => answer !== 'Allowed') ?? 'Allowed'
    })
  }

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-evaluator-'))
    const env = { PATH: process.env['PATH'], HOME: folder }
    rows = JSON.parse(await run(process.execPath, [join(root, 'test/infra/support/write-questions.ts')], env)) as readonly Row[]
    const [asked, changed] = [rows.flatMap((row) => row.asked), rows.flatMap((row) => row.weakened)]
    writeFileSync(join(folder, 'simulations.json'), JSON.stringify([...asked, ...changed].map(simulationOf)))
    const printed = await run(process.execPath, [join(import.meta.dirname, '../iam-simulate/answers.ts'), peer.url, join(folder, 'simulations.json')], env).finally(() => rmSync(folder, { recursive: true }))
    const all = JSON.parse(printed) as readonly string[]
    answers = answered(all.slice(0, asked.length), (row) => row.asked)
    weakened = answered(all.slice(asked.length), (row) => row.weakened)
  }, 120_000)

  it('answers every line of the access table as ours does', () => {
    expect(rows.length).toBeGreaterThan(60)
    expect(new Set(rows.map(({ wanted }) => wanted))).toEqual(new Set(['allowed', 'denied']))
    expect(rows.flatMap(({ title, wanted }, index) => ((answers[index] === 'Allowed' ? 'allowed' : /^(?:Im|Ex)plicitlyDenied$/.test(answers[index] ?? '') ? 'denied' : answers[index]) === wanted ? [] : [`${title}: ${answers[index] ?? 'nothing'}`]))).toEqual([])
  })

  it('denies our roles the role of another account without an external id, and by nothing but that condition', () => {
    const changed = rows.flatMap(({ title }, index) => (answers[index] === weakened[index] ? [] : [`${title}: ${answers[index] ?? ''}, and ${weakened[index] ?? ''} without the condition`]))

    expect(changed.toSorted()).toEqual([
      ...['keys', 'read', 'rotate'].map((name) => `\`${name}\`: sts:AssumeRole on a listed role of another account, without an external id: ImplicitlyDenied, and Allowed without the condition`),
      ...['with a random external id', 'without an external id'].map((how) => `\`keys\`, ${how}: sts:AssumeRole on the team's role: ImplicitlyDenied, and Allowed without the condition`),
    ].toSorted())
  })
})

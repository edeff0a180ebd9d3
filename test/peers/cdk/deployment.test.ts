// The shipped stack, deployed by CDK's own command line to a server that nobody here wrote, whose IAM is on: every function runs with the credentials of its own role, and what
// they may not is refused by the server. Only what the list in template-copy.ts names is left out of the template.
import { hash, randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { tenantTrust } from '../../../infra/tenant-policies.ts'
import { watch } from '../../support/canary.ts'
import { outside, ownAccount, told, type Answer, type Ask } from './outside.ts'
import { account, region } from './server.ts'
import { copyOf, leftOut, unexplained, type Template } from './template-copy.ts'

const peer = inject('peers').ministack_cdk
const root = join(import.meta.dirname, '../../..')
const mark = randomBytes(3).toString('hex')
const teamRole = `arn:aws:iam::${account}:role/team-payments`
const auditSecret = 'gateway/audit-key'
const auditKey = randomBytes(32).toString('hex')
const externalId = `team-${randomBytes(16).toString('hex')}`

/** The shipped example, for this account, with a caller that is known by its role and a team whose role asks for an external id. */
const configuration = (): string => {
  const example = parse(readFileSync(join(root, 'examples/aws.yaml'), 'utf8')) as { latchkey: { deployment: object } }
  const grants = [{ action: 'keys:*' }, { action: 'keys:reveal', names: ['litellm/**'] }, { action: 'secrets:*', names: ['**'] }, { action: 'ops:read' }]
  const access = [{ name: 'gateway', aws_arn: `arn:aws:iam::${account}:role/latchkey-invoker`, grants }]
  const teams = [{ team: 'payments', account, role_name: 'team-payments', external_id: externalId, prefix: 'payments/' }]
  return stringify({ ...example, latchkey: { ...example.latchkey, access, deployment: { ...example.latchkey.deployment, account, region, teams, functions: { secret_variables: { LATCHKEY_AUDIT_KEY: auditSecret } } } } })
}

/** A function of our own making, whose role may do this. */
const worker = (name: string, statement: object): readonly Ask[] => [
  { kind: 'call', service: 'iam', call: 'create_role', with: { RoleName: name, AssumeRolePolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }] }) } },
  { kind: 'call', service: 'iam', call: 'put_role_policy', with: { RoleName: name, PolicyName: 'own', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [statement] }) } },
  { kind: 'probe', function: name, role: `arn:aws:iam::${account}:role/${name}` },
]

/** What the roles of the three functions try, each from within a function that has the role; and what they are answered. */
const tried = [
  ['read', 'reads below its prefix', 'secretsmanager', 'get_secret_value', { SecretId: 'litellm/there' }, 'done'],
  ['read', 'does not write', 'secretsmanager', 'put_secret_value', { SecretId: 'litellm/there', SecretString: 'x' }, 'AccessDeniedException'],
  ['read', 'does not create', 'secretsmanager', 'create_secret', { Name: 'litellm/new', SecretString: 'x' }, 'AccessDeniedException'],
  ['read', 'does not delete', 'secretsmanager', 'delete_secret', { SecretId: 'litellm/there' }, 'AccessDeniedException'],
  ['read', 'does not read below another prefix', 'secretsmanager', 'get_secret_value', { SecretId: 'another/there' }, 'AccessDeniedException'],
  ['read', 'reads what a variable refers to', 'secretsmanager', 'get_secret_value', { SecretId: auditSecret }, 'done'],
  ['read', 'does not read what only begins so', 'secretsmanager', 'get_secret_value', { SecretId: `${auditSecret}s` }, 'AccessDeniedException'],
  ['keys', 'does not write what a variable refers to', 'secretsmanager', 'put_secret_value', { SecretId: auditSecret, SecretString: 'x' }, 'AccessDeniedException'],
  ['rotate', 'reads what a variable refers to', 'secretsmanager', 'get_secret_value', { SecretId: auditSecret }, 'done'],
  ['read', "does not read Latchkey's own records", 'secretsmanager', 'get_secret_value', { SecretId: 'litellm/__latchkey/there' }, 'AccessDeniedException'],
  ['read', 'assumes the role of a team with its external id', 'sts', 'assume_role', { RoleArn: teamRole, RoleSessionName: 'latchkey-payments', ExternalId: externalId }, 'done'],
  ['read', 'does not assume it with another one', 'sts', 'assume_role', { RoleArn: teamRole, RoleSessionName: 'latchkey-payments', ExternalId: 'another' }, 'AccessDenied'],
  ['read', 'does not assume it without one', 'sts', 'assume_role', { RoleArn: teamRole, RoleSessionName: 'latchkey-payments' }, 'AccessDenied'],
  ['read', 'assumes no other role', 'sts', 'assume_role', { RoleArn: `arn:aws:iam::${account}:role/latchkey-keys`, RoleSessionName: 'latchkey-x', ExternalId: externalId }, 'AccessDenied'],
  ['keys', 'writes below its prefix', 'secretsmanager', 'put_secret_value', { SecretId: 'litellm/there', SecretString: 'x' }, 'done'],
  ['keys', 'does not write below another prefix', 'secretsmanager', 'put_secret_value', { SecretId: 'another/there', SecretString: 'x' }, 'AccessDeniedException'],
  ['keys', 'creates nothing below another prefix', 'secretsmanager', 'create_secret', { Name: 'another/new', SecretString: 'x' }, 'AccessDeniedException'],
  ['rotate', 'creates no key', 'secretsmanager', 'create_secret', { Name: 'litellm/new', SecretString: 'x' }, 'AccessDeniedException'],
  ['rotate', 'does not touch another prefix', 'secretsmanager', 'update_secret_version_stage', { SecretId: 'another/there', VersionStage: 'x' }, 'AccessDeniedException'],
] as const

describe('the stack, deployed', () => {
  if ('missing' in peer) {
    it(`is left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
    return
  }
  const scratch = mkdtempSync(join(tmpdir(), 'latchkey-cdk-'))
  const [shipped, copy, bundles, outputsFile] = [join(scratch, 'shipped'), join(scratch, 'copy'), join(scratch, 'dist'), join(scratch, 'outputs.json')]
  const { node, cdk, asked } = outside(peer.url, peer.facts['authority'] ?? '', scratch)
  let outputs: Readonly<Record<string, string>>
  let answered: readonly Answer[]

  beforeAll(async () => {
    const file = join(scratch, 'config.yaml')
    writeFileSync(file, configuration())
    const context = ['-c', `configFile=${file}`, '-c', `codeRoot=${join(bundles, 'lambda')}`]
    await Promise.all([node([join(root, 'functions/build.ts'), '--host', 'lambda', '--only', 'aws_secret_manager', '--config', file, '--out', bundles]), cdk(['bootstrap', `aws://${account}/${region}`], scratch)])
    await cdk(['synth', '--quiet', '--output', shipped, ...context])
    cpSync(shipped, copy, { recursive: true })
    writeFileSync(join(copy, 'Latchkey.template.json'), JSON.stringify(copyOf(JSON.parse(readFileSync(join(shipped, 'Latchkey.template.json'), 'utf8')) as Template)))
    watch('audit key', auditKey)
    await asked(...[auditSecret, `${auditSecret}s`].map((Name): Ask => ({ kind: 'call', service: 'secretsmanager', call: 'create_secret', with: { Name, SecretString: auditKey } })))
    const log = await cdk(['deploy', 'Latchkey', '--app', copy, '--require-approval', 'never', '--outputs-file', outputsFile, '--progress', 'events'])
    told('cdk deploy', log.split('\n').slice(-20))
    outputs = (JSON.parse(readFileSync(outputsFile, 'utf8')) as { Latchkey: Record<string, string> }).Latchkey
    // The emulator calls a session by its own ARN where AWS names the role, so this one condition has no chance there.
    const trust = tenantTrust({ partition: 'aws', latchkeyAccount: account, deployment: 'latchkey', externalIds: [externalId], sessionNames: 'latchkey-*' }).map(({ Condition: { ArnEquals: _, ...Condition } = {}, ...one }) => ({ ...one, Condition }))
    await asked(
      { kind: 'call', service: 'iam', call: 'create_role', with: { RoleName: 'team-payments', AssumeRolePolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: trust }) } },
      ...['litellm/there', 'litellm/__latchkey/there', 'another/there'].map((Name): Ask => ({ kind: 'call', service: 'secretsmanager', call: 'create_secret', with: { Name, SecretString: 'x' } })),
      ...(['Read', 'Keys', 'Rotate'] as const).map((name): Ask => ({ kind: 'probe', function: `probe-${name.toLowerCase()}`, role: outputs[`${name}RoleArn`] })),
    )
    answered = await asked(...tried.map(([name, , service, call, parameters]): Ask => ({ kind: 'as_function', function: `probe-${name}`, service, call, with: parameters })))
  }, 240_000)
  afterAll(() => rmSync(scratch, { recursive: true, force: true }))

  it('is the shipped template but for what the emulator cannot take', () => {
    const read = (folder: string): Template => JSON.parse(readFileSync(join(folder, 'Latchkey.template.json'), 'utf8')) as Template

    expect(unexplained(read(shipped), read(copy))).toEqual([])
    expect(unexplained({ ...read(shipped), Resources: {} }, read(copy))).not.toEqual([])
  })

  it('lets a gateway create, read, rotate and delete a key through API Gateway', async () => {
    const alias = `first-${mark}`
    const ask = (method: string, path: string, body?: object): Ask => ({ kind: 'request', url: outputs['ApiUrl'], method, path, role: outputs['InvokerRoleArn'], ...(body === undefined ? {} : { body }) })

    const answers = await asked(
      ask('GET', '/whoami'),
      ask('POST', '/key/generate', { key_alias: alias, team_id: 'payments' }),
      ask('GET', `/secrets/litellm/${alias}`),
      ask('POST', '/key/regenerate', { key_alias: alias }),
      ask('POST', '/key/delete', { key_aliases: [alias] }),
      ask('GET', `/secrets/litellm/${alias}?refresh=true`),
    )

    const shown = answers.map(({ status, body = '' }) => `${status} ${body.replaceAll(/sk-[\w-]+/g, (token) => (watch('token', token), 'sk-…')).slice(0, 200)}`)
    told('answers', shown)
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 404])
  })

  it('chains its audit lines under the key that a variable refers to, which stands in no variable', async () => {
    const [log, ...functions] = await asked({ kind: 'call', service: 'logs', call: 'filter_log_events', with: { logGroupName: '/aws/lambda/latchkey-keys' } }, ...['read', 'keys', 'rotate'].map((name): Ask => ({ kind: 'call', service: 'lambda', call: 'get_function_configuration', with: { FunctionName: `latchkey-${name}` } })))

    const lines = (log?.answer as { events?: readonly { message: string }[] } | undefined)?.events ?? []
    const variables = functions.map(({ answer }) => (answer as { Environment: { Variables: Record<string, string> } }).Environment.Variables['LATCHKEY_AUDIT_KEY'])
    expect(lines.some(({ message }) => message.includes(`"key_id":"${hash('sha256', `latchkey-audit-key${auditKey}`).slice(0, 16)}"`))).toBe(true)
    expect(variables).toEqual(Array(3).fill(`secret://aws_secret_manager/${auditSecret}`))
  })

  it('refuses a request without a signature, with a wrong one, and one by a role whose policy names another API', async () => {
    const path = '/secrets/LITELLM_MASTER_KEY'
    const foreign = `foreign-${mark}`
    const elsewhere = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'execute-api:Invoke', Resource: `arn:aws:execute-api:${region}:${account}:another/*` }] }
    const ask = (more: object): Ask => ({ kind: 'request', url: outputs['ApiUrl'], method: 'GET', path, ...more })

    const [, , unsigned, forged, foreigner] = await asked(
      { kind: 'call', service: 'iam', call: 'create_role', with: { RoleName: foreign, AssumeRolePolicyDocument: JSON.stringify(ownAccount) } },
      { kind: 'call', service: 'iam', call: 'put_role_policy', with: { RoleName: foreign, PolicyName: 'own', PolicyDocument: JSON.stringify(elsewhere) } },
      ask({}),
      ask({ role: outputs['InvokerRoleArn'], forge: true }),
      ask({ role: `arn:aws:iam::${account}:role/${foreign}` }),
    )

    told('refused', [unsigned, forged, foreigner].map((one) => `${one?.status} ${one?.body}`))
    expect([unsigned, forged, foreigner].map((one) => one?.status)).toEqual([403, 403, 403])
  })

  it('sweeps with the role of the rotate function, as Scheduler has it do, and leaves the line that the alarm counts', async () => {
    const [swept, log] = await asked({ kind: 'as_function', function: 'latchkey-rotate', payload: { source: 'latchkey.scheduler', action: 'rotate due', scheduledTime: new Date().toISOString() } }, { kind: 'call', service: 'logs', call: 'filter_log_events', with: { logGroupName: '/aws/lambda/latchkey-rotate' } })

    told('sweep', [JSON.stringify(swept)])
    const lines = (log?.answer as { events?: readonly { message: string }[] } | undefined)?.events ?? []
    expect(swept).toMatchObject({ outcomes: [{ decision: 'done', reason: 'swept', message: expect.stringContaining('0 failed') }] })
    expect(lines.some(({ message }) => message.includes('"code":"swept"'))).toBe(true)
  })

  it.each(tried.map((row, index) => [row[0], row[1], row[5], index] as const))("has a role of '%s' that %s: %s, as the emulator sees it", (_name, _what, expected, index) => {
    expect(answered[index]?.error ?? 'done').toBe(expected)
  })

  it('differs in nothing after it was deployed', async () => {
    const log = await cdk(['diff', 'Latchkey', '--app', copy, '--fail'])

    expect(log).not.toContain('[~]')
  })

  it('has to go without aws:PrincipalArn in a trust, which the emulator still calls by its session', async () => {
    const name = `principal-${mark}`
    const trusting = (suffix: string, arn: string): Ask => ({ kind: 'call', service: 'iam', call: 'create_role', with: { RoleName: `${name}${suffix}`, AssumeRolePolicyDocument: JSON.stringify({ ...ownAccount, Statement: ownAccount.Statement.map((one) => ({ ...one, Condition: { ArnLike: { 'aws:PrincipalArn': arn } } })) }) } })
    const assume = (suffix: string): Ask => ({ kind: 'as_function', function: name, service: 'sts', call: 'assume_role', with: { RoleArn: `arn:aws:iam::${account}:role/${name}${suffix}`, RoleSessionName: 'test' } })

    const answers = await asked(...worker(name, { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' }), trusting('-role', `arn:aws:iam::${account}:role/${name}`), trusting('-session', `arn:aws:sts::${account}:assumed-role/${name}/*`), assume('-role'), assume('-session'))

    expect(answers.slice(-2).map(({ error }) => error)).toEqual(['AccessDenied', undefined])
  })

  it('lets a token in the place of a signature through to the function, which refuses it; AWS would not have asked it', async () => {
    const [answer] = await asked({ kind: 'request', url: outputs['ApiUrl'], method: 'GET', path: '/whoami', headers: { authorization: `Bearer sk-${randomBytes(24).toString('hex')}` } })

    expect([answer?.status, answer?.body]).toEqual([401, expect.stringContaining('"code":"unauthenticated"')])
  })

  it.each([
    ['secretsmanager:Name', { StringLike: { 'secretsmanager:Name': '*' } }, 'secretsmanager', 'create_secret', (name: string) => ({ Name: name, SecretString: 'x' }), 'secretsmanager:CreateSecret', 'AccessDeniedException'],
    ['sts:ExternalId', { Null: { 'sts:ExternalId': 'false' } }, 'sts', 'assume_role', () => ({ RoleArn: `arn:aws:iam::${account}:role/anyone-${mark}`, RoleSessionName: 'test', ExternalId: externalId }), 'sts:AssumeRole', 'AccessDenied'],
  ] as const)('has to go without %s, which the emulator still never has', async (key, Condition, service, call, parameters, Action, refused) => {
    const name = `condition-${key.replace(':', '-').toLowerCase()}-${mark}`
    const attempt = (suffix: string, more: object): readonly Ask[] => [...worker(`${name}${suffix}`, { Effect: 'Allow', Action, Resource: '*', ...more }), { kind: 'as_function', function: `${name}${suffix}`, service, call, with: parameters(`${name}${suffix}`) }]

    const answers = await asked({ kind: 'call', service: 'iam', call: 'create_role', with: { RoleName: `anyone-${mark}`, AssumeRolePolicyDocument: JSON.stringify(ownAccount) } }, ...attempt('', { Condition }), ...attempt('-without', {}))

    expect([answers[4]?.error, answers[8]?.error]).toEqual([refused, undefined])
    expect(Object.keys(leftOut.conditionKeys)).toContain(key)
  })

  it('has to go without resources of kinds that the emulator still does not know', async () => {
    const types = Object.keys(leftOut.types)
    const template = { Resources: Object.fromEntries(types.map((Type, index) => [`One${index}`, { Type, Properties: {} }])) }

    const [made] = await asked({ kind: 'call', service: 'cloudformation', call: 'create_stack', with: { StackName: `types-${mark}`, TemplateBody: JSON.stringify(template) } })

    const [, unknown = ''] = /^Template format error: Unrecognized resource types: \[(.*)\]$/.exec(made?.text ?? '') ?? []
    expect(made?.error).toBe('ValidationError')
    expect(unknown.split(', ').toSorted()).toEqual(types.toSorted())
  })

  it('leaves no function when it is destroyed', async () => {
    const before = await asked({ kind: 'call', service: 'lambda', call: 'list_functions' })
    await cdk(['destroy', 'Latchkey', '--app', copy, '--force'])
    const after = await asked({ kind: 'call', service: 'lambda', call: 'list_functions' })

    const ours = ([answer]: readonly Answer[]): readonly string[] => ((answer?.answer as { Functions: { FunctionName: string }[] } | undefined)?.Functions ?? []).map(({ FunctionName }) => FunctionName).filter((name) => name.startsWith('latchkey-'))
    expect(ours(before)).toHaveLength(3)
    expect(ours(after)).toEqual([])
  })
})

// checkov over what is deployed: the stacks of AWS as they are synthesized, the template of Azure as it would be deployed, and the module of Google. Each finding is accepted with a reason or mended.
// The front in Bicep holds no resource.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, it } from 'vitest'
import { deployments, parsed } from '../../infra/azure/checks.ts'
import type { Deployment } from '../../infra/support/arm.ts'
import { run } from '../python-peers.ts'
import { accepted, type Accepted } from './accepted.ts'

const { checkov } = inject('peers')

interface Report {
  readonly check_type: string
  readonly summary: { readonly passed: number; readonly resource_count: number }
  readonly results: { readonly failed_checks: readonly { readonly check_id: string; readonly resource: string; readonly file_path: string; readonly check_name: string }[] }
}
type Finding = { readonly in: Accepted['in'] | typeof weakened; readonly rule: string; readonly resource: string }

const root = join(import.meta.dirname, '../../..')
const weakened = 'aws weakened'
const places: Readonly<Record<string, Accepted['in']>> = { usual: 'azure', full: 'azure with a private network', gcp: 'google' }
const placeOf = (path: string): Finding['in'] => {
  const [, folder = '', file = ''] = path.split('/')
  return folder === 'aws' ? (`aws ${file.split(/[-.]/)[0] ?? ''}` as Finding['in']) : (places[folder] as Accepted['in'])
}
const templateOf = ({ resources }: Deployment): string => JSON.stringify({ $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#', contentVersion: '1.0.0.0', resources: resources.map(({ type, apiVersion, name, body }) => ({ type, apiVersion, name, ...body })) })

/** The templates in one folder, as checkov is given them. Answers how many resources are in those of AWS. */
const laidOut = async (folder: string): Promise<number> => {
  const all = deployments(parsed())
  for (const which of ['usual', 'full'] as const) {
    mkdirSync(join(folder, which))
    writeFileSync(join(folder, which, 'main.json'), templateOf(all[which]))
  }
  cpSync(join(root, 'infra/gcp'), join(folder, 'gcp'), { recursive: true })
  const aws = join(folder, 'aws')
  mkdirSync(aws)
  await run(process.execPath, [join(root, 'test/infra/support/write-templates.ts'), aws], { PATH: process.env['PATH'], HOME: folder })
  cpSync(join(root, 'infra/access.template.json'), join(aws, 'access.template.json'))
  writeFileSync(join(aws, 'weakened-Latchkey.json'), JSON.stringify(JSON.parse(readFileSync(join(aws, 'shipped-Latchkey.json'), 'utf8'), (key, value: unknown) => (key === 'KmsKeyId' ? undefined : value))))
  return readdirSync(aws).reduce((sum, name) => sum + Object.keys((JSON.parse(readFileSync(join(aws, name), 'utf8')) as { readonly Resources: object }).Resources).length, 0)
}

describe('checkov', () => {
  if ('missing' in checkov) {
    it(`is left out: ${checkov.missing}`, () => expect(checkov.missing).not.toBe(''))
    return
  }
  let findings: readonly Finding[] = []
  let reports: readonly Report[] = []
  let resources = 0

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-checkov-'))
    resources = await laidOut(folder)
    const printed = await run(checkov.url, ['-d', folder, '--framework', 'arm', 'terraform', 'cloudformation', '--quiet', '--compact', '--skip-download', '--soft-fail', '-o', 'json'], { ...process.env }).finally(() => rmSync(folder, { recursive: true }))
    reports = JSON.parse(printed) as readonly Report[]
    findings = reports.flatMap(({ results }) => results.failed_checks.map(({ check_id: rule, resource, file_path: path }) => ({ in: placeOf(path), rule, resource })))
  }, 180_000)

  const covers = (line: Accepted, finding: Finding): boolean => line.in === finding.in && line.rule === finding.rule && line.about.test(finding.resource)

  it('reads every template: a file that it cannot read it leaves out without a word', () => {
    const passed = reports.flatMap(({ check_type: kind, summary }) => (kind === 'cloudformation' ? [] : [summary.passed]))

    expect(passed.length).toBe(2)
    expect(Math.min(...passed)).toBeGreaterThan(75)
    expect(reports.find(({ check_type: kind }) => kind === 'cloudformation')?.summary.resource_count).toBe(resources)
  })

  it('finds nothing that is not accepted', () => {
    expect(findings.filter((finding) => finding.in !== weakened && !accepted.some((line) => covers(line, finding)))).toEqual([])
  })

  it('finds what is weakened: logs and a secret under no key of ours', () => {
    expect(new Set(findings.flatMap(({ in: where, rule }) => (where === weakened && !accepted.some((line) => line.in === 'aws shipped' && line.rule === rule) ? [rule] : [])))).toEqual(new Set(['CKV_AWS_149', 'CKV_AWS_158']))
  })

  it('still finds everything that is accepted', () => {
    expect(accepted.filter((line) => !findings.some((finding) => covers(line, finding))).map(({ in: where, rule, about }) => `${where}: ${rule} ${about.source}`)).toEqual([])
  })
})

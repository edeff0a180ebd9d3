// checkov over what is deployed: the template of Azure as it would be deployed, and the module of Google. Each finding is accepted with a reason or mended. The front in Bicep holds no resource.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, it } from 'vitest'
import { deployments, parsed } from '../../infra/azure/checks.ts'
import type { Deployment } from '../../infra/support/arm.ts'
import { run } from '../python-peers.ts'
import { accepted, type Accepted } from './accepted.ts'

const { checkov } = inject('peers')

interface Report {
  readonly summary: { readonly passed: number; readonly resource_count: number }
  readonly results: { readonly failed_checks: readonly { readonly check_id: string; readonly resource: string; readonly file_path: string; readonly check_name: string }[] }
}
type Finding = Pick<Accepted, 'in' | 'rule'> & { readonly resource: string }

const places: Readonly<Record<string, Accepted['in']>> = { usual: 'azure', full: 'azure with a private network', gcp: 'google' }
const templateOf = ({ resources }: Deployment): string => JSON.stringify({ $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#', contentVersion: '1.0.0.0', resources: resources.map(({ type, apiVersion, name, body }) => ({ type, apiVersion, name, ...body })) })

/** The templates in one folder, as checkov is given them. */
const laidOut = (folder: string): void => {
  const all = deployments(parsed())
  for (const which of ['usual', 'full'] as const) {
    mkdirSync(join(folder, which))
    writeFileSync(join(folder, which, 'main.json'), templateOf(all[which]))
  }
  cpSync(join(import.meta.dirname, '../../../infra/gcp'), join(folder, 'gcp'), { recursive: true })
}

describe('checkov', () => {
  if ('missing' in checkov) {
    it(`is left out: ${checkov.missing}`, () => expect(checkov.missing).not.toBe(''))
    return
  }
  let findings: readonly Finding[] = []
  let passed = 0

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-checkov-'))
    laidOut(folder)
    const printed = await run(checkov.url, ['-d', folder, '--framework', 'arm', 'terraform', '--quiet', '--compact', '--skip-download', '--soft-fail', '-o', 'json'], { ...process.env }).finally(() => rmSync(folder, { recursive: true }))
    const reports = JSON.parse(printed) as readonly Report[]
    passed = reports.reduce((sum, { summary }) => sum + summary.passed, 0)
    findings = reports.flatMap(({ results }) => results.failed_checks.map(({ check_id: rule, resource, file_path: path }) => ({ in: places[path.split('/')[1] ?? ''] as Accepted['in'], rule, resource })))
  }, 180_000)

  const covers = (line: Accepted, finding: Finding): boolean => line.in === finding.in && line.rule === finding.rule && line.about.test(finding.resource)

  it('finds nothing that is not accepted', () => {
    expect(passed).toBeGreaterThan(150)
    expect(findings.filter((finding) => !accepted.some((line) => covers(line, finding)))).toEqual([])
  })

  it('still finds everything that is accepted', () => {
    expect(accepted.filter((line) => !findings.some((finding) => covers(line, finding))).map(({ in: where, rule, about }) => `${where}: ${rule} ${about.source}`)).toEqual([])
  })
})

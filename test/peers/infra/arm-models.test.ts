// The template of Azure by Microsoft's own word: the models of its management libraries know every property, type and value in it, in exactly the versions of the API that it names.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { deployments, parsed, valueAt } from '../../infra/azure/checks.ts'
import type { Deployed } from '../../infra/support/arm.ts'
import { run } from '../python-peers.ts'

const { azure_models: models } = inject('peers')

/** What the models do not know of these resources. */
const complaintsOf = async (python: string, resources: readonly Deployed[]): Promise<readonly string[]> => {
  const scratch = mkdtempSync(join(tmpdir(), 'latchkey-arm-'))
  const file = join(scratch, 'resources.json')
  // The scope is the template's own word, and no property of the resource.
  writeFileSync(file, JSON.stringify(resources.map(({ type, apiVersion, name, body: { scope: _scope, ...body } }) => ({ type, apiVersion, name, body }))))
  const printed = await run(python, [join(import.meta.dirname, 'arm_models.py'), file], { ...process.env }).finally(() => rmSync(scratch, { recursive: true }))
  return JSON.parse(printed) as readonly string[]
}

describe("Microsoft's models of Azure's resources", () => {
  if ('missing' in models) {
    it(`are left out: ${models.missing}`, () => expect(models.missing).not.toBe(''))
    return
  }
  const { url: python } = models

  it.each(['usual', 'full'] as const)('know all of the deployment: %s', async (which) => {
    const { resources } = deployments(parsed())[which]

    const complaints = await complaintsOf(python, resources)

    expect(resources.length).toBeGreaterThan(40)
    expect(complaints).toEqual([])
  })

  const setAt = (holder: unknown, values: object): void => void Object.assign(holder as object, values)
  it.each<readonly [string, string, string, object, RegExp]>([
    ['a runtime that there is not', 'Microsoft.Web/sites', 'properties.functionAppConfig.runtime', { name: 'nodejs' }, /runtime\.name is 'nodejs'/],
    ['an unknown property', 'Microsoft.Web/sites', 'properties', { serverFarm: 'x' }, /serverFarm is not known/],
    ['text where a number belongs', 'Microsoft.Web/sites', 'properties.functionAppConfig.scaleAndConcurrency', { instanceMemoryMB: '512' }, /instanceMemoryMB must be int/],
    ['a property that only Azure sets', 'Microsoft.Web/sites', 'properties', { state: 'Running' }, /state is read-only/],
    ['a destination that there is not', 'Microsoft.EventGrid/systemTopics/eventSubscriptions', 'properties.deliveryWithResourceIdentity.destination', { endpointType: 'Queue' }, /is of no kind that there is/],
    ['a misspelt part of a destination', 'Microsoft.EventGrid/systemTopics/eventSubscriptions', 'properties.deliveryWithResourceIdentity.destination.properties', { queue: 'x' }, /queue is not known/],
    ['a misspelt part of an alert', 'Microsoft.Insights/scheduledQueryRules', 'properties.criteria.allOf.0', { querry: 'AppTraces' }, /querry is not known/],
    ['an alert of no kind', 'Microsoft.Insights/metricAlerts', 'properties.criteria', { 'odata.type': 'Single' }, /criteria is of no kind that there is/],
    ['a misspelt answer to the unnamed', 'Microsoft.Web/sites/config', 'properties.globalValidation', { unauthenticatedClientAction: 'Refuse' }, /unauthenticatedClientAction is 'Refuse'/],
  ])('report %s', async (_what, type, path, values, said) => {
    const resource = deployments(parsed()).usual.resources.find((each) => each.type === type) as Deployed
    setAt(valueAt(resource.body, path), values)

    const complaints = await complaintsOf(python, [resource])

    expect(complaints).toEqual([expect.stringMatching(said)])
  })

  it('report a version of the API that they do not speak', async () => {
    const [vault] = deployments(parsed()).usual.resources as readonly [Deployed]

    const complaints = await complaintsOf(python, [{ ...vault, apiVersion: '2019-09-01' }])

    expect(complaints).toEqual([expect.stringContaining('2019-09-01 is no version')])
  })
})

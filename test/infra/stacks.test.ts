// The checks of stacks by number, over the templates of every kind of deployment.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stackChecks } from './support/stack-checks.ts'
import { makeStacksOfAll, removeScratch, type Stacks } from './support/stacks.ts'

afterAll(removeScratch)

describe('the templates of every kind of deployment', () => {
  let stacks: Stacks

  beforeAll(async () => {
    stacks = await makeStacksOfAll()
  }, 60_000)

  it.each(Object.entries(stackChecks))('keep %s', (_title, check) => {
    expect(check(stacks)).toEqual([])
  })
})

// The front door of a deployment and the functions behind it: every route of a function is brought to it, and to no other.
import { describe, expect, it } from 'vitest'
import { apiRoutes } from '../infra/deployment/api-routes.ts'
import { commonRoutes } from '../shared/http/health.ts'
import { keyRoutes } from '../shared/http/keys.ts'
import { readRoutes } from '../shared/http/secrets.ts'

/** API Gateway takes an exact path before a greedy one. */
const brought = (method: string, path: string): string | undefined => {
  const matching = apiRoutes.filter((one) => one.method === method && new RegExp(`^${one.path.replace('{proxy+}', '.+')}$`).test(path))
  return (matching.find((one) => one.path === path) ?? matching[0])?.to
}

describe('the front door', () => {
  it.each([...readRoutes.map((one) => [one.method, one.path, 'read'] as const), ...commonRoutes.map((one) => [one.method, one.path, 'read'] as const), ...keyRoutes.map((one) => [one.method, one.path, 'keys'] as const)])('brings %s %s to the function that has it (%s)', (method, path, to) => {
    expect(brought(method, path)).toBe(to)
  })

  it('has no route that no function has', () => {
    const had = [...readRoutes, ...commonRoutes, ...keyRoutes]
    const unused = apiRoutes.filter((one) => !had.some(({ method, path }) => method === one.method && brought(method, path) === one.to && new RegExp(`^${one.path.replace('{proxy+}', '.+')}$`).test(path)))

    expect(unused).toEqual([])
  })
})

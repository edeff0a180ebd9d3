// A key's life in Conjur, by plain requests as the vendor documents them: the variable that LiteLLM reads, its numbered values, and the variable beside it, whose text is
// all that Conjur has for labels. Each look logs in anew, because tokens end after eight minutes.
import { onTestFinished } from 'vitest'
import { openConjur } from '../conformance/harnesses/cyberark.ts'
import { startConjurFake, type ConjurFake } from '../fakes/conjur/server.ts'
import { testRuntime } from '../support/runtime.ts'
import type { LifeReader, LifeScene } from './whole-life.ts'

const idOf = (id: string): string => id.split('/').map(encodeURIComponent).join('%2F')

const readerOf = ({ url, service }: ConjurFake): LifeReader => {
  const loggedIn = async (): Promise<(path: string, init?: RequestInit) => Promise<string>> => {
    const token = await (await fetch(`${url}/authn/acct/admin/authenticate`, { method: 'POST', body: service.keyOf('admin') })).text()
    const authorization = `Token token="${Buffer.from(token).toString('base64')}"`
    return async (path, init = {}) => {
      const answer = await fetch(`${url}${path}`, { ...init, headers: { authorization } })
      if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}`)
      return answer.text()
    }
  }
  return {
    see: async (name) => {
      const ask = await loggedIn()
      const { secrets } = JSON.parse(await ask(`/resources/acct/variable/${idOf(name)}`)) as { secrets: readonly { version: number }[] }
      const beside = name.replace('/', '/__latchkey/chain/')
      const all = JSON.parse(await ask('/resources/acct?kind=variable')) as readonly { readonly id: string }[]
      const kept = all.some(({ id }) => id === `acct:variable:${beside}`) ? (JSON.parse(await ask(`/secrets/acct/variable/${idOf(beside)}`)) as { labels: Record<string, string>; description?: string }) : { labels: {} }
      const versions = await Promise.all(secrets.map(async ({ version }) => ({ says: String(version), value: await ask(`/secrets/acct/variable/${idOf(name)}?version=${version}`) })))
      return { native: name, value: await ask(`/secrets/acct/variable/${idOf(name)}`), marks: kept.labels, description: kept.description, versions }
    },
    foreignWrite: async (name, value) => {
      const ask = await loggedIn()
      await ask('/policies/acct/policy/root', { method: 'POST', body: `- !variable ${name}\n` })
      await ask(`/secrets/acct/variable/${idOf(name)}`, { method: 'POST', body: value })
    },
  }
}

/** On the fake, until the test ends. */
export const conjurLife = async (): Promise<LifeScene & { readonly fake: ConjurFake }> => {
  const runtime = testRuntime({ hurries: true })
  const fake = await startConjurFake({ now: () => runtime.clock.now() })
  const provider = await openConjur(runtime, { cyberark_api_base: fake.url, cyberark_account: 'acct', cyberark_api_key: fake.service.keyOf('admin') })
  onTestFinished(async () => {
    await provider.close?.()
    await fake.close()
  })
  return { provider, runtime, forgets: false, reader: readerOf(fake), fake }
}

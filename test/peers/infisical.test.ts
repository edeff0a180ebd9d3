// Our fake of Infisical under examination by two clients of the vendor, in Go and in Python, and our provider beside them on one server. No registry has a server of Infisical.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { hostedName } from '../../shared/core/names.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { infisicalSettings, infisicalTargetHarness, openInfisical } from '../conformance/harnesses/infisical.ts'
import { providerConformance } from '../conformance/provider-conformance.ts'
import { fakeIdentity, fakeProject, startInfisicalFake, type Knobs, type RunningInfisical } from '../fakes/infisical/service.ts'
import { callOf, testRuntime } from '../support/runtime.ts'
import { goClient, pythonClient, type ClientStep, type InfisicalClient } from './infisical-clients.ts'
import type { ClientResult } from './python-peers.ts'

const peers = inject('peers')
const { clientId, clientSecret } = fakeIdentity
const where = { project: fakeProject.id, environment: 'dev' }
const identityId = '8b6c1d1e-0000-4000-8000-000000000001'

const examine = (title: string, client: InfisicalClient): void => {
  describe(`Infisical's ${title} client on the fake`, () => {
    let now = Date.now()
    let fake: RunningInfisical
    const knobs: Knobs = {}
    beforeAll(async () => {
      fake = await startInfisicalFake({ now: () => now, knobs })
    })
    afterAll(() => fake.close())

    const carried = (steps: readonly ClientStep[], more: object = {}): Promise<readonly ClientResult[]> => client({ url: fake.url, ...where, clientId, clientSecret, steps: [{ call: 'login' }, ...steps], ...more })
    const by = async (token: string): Promise<ClientResult | undefined> => (await client({ url: fake.url, ...where, token, steps: [{ call: 'list' }] }))[0]

    it('creates, reads by version, lists, changes and deletes', async () => {
      const results = await carried([
        { call: 'create', name: 'KEY', value: 'one' },
        { call: 'update', name: 'KEY', value: 'two' },
        { call: 'get', name: 'KEY' },
        { call: 'get', name: 'KEY', version: 1 },
        { call: 'list' },
        { call: 'delete', name: 'KEY' },
        { call: 'get', name: 'KEY' },
      ])

      expect(results.map(({ answer, status, error }) => error ?? status ?? answer)).toEqual([
        true,
        { name: 'KEY', value: 'one', version: 1, path: '/' },
        { name: 'KEY', value: 'two', version: 2, path: '/' },
        { name: 'KEY', value: 'two', version: 2, path: '/' },
        { name: 'KEY', value: 'one', version: 1, path: '/' },
        [{ name: 'KEY', value: 'two', version: 2, path: '/' }],
        true,
        404,
      ])
    })

    it('makes folders, reads below them, and meets the flags as they say', async () => {
      fake.service.project.imports.push({ environment: 'dev', path: '/', fromEnvironment: 'dev', fromPath: '/shared' })
      const results = await carried([
        { call: 'folder', name: 'shared' },
        { call: 'folder', name: 'deep', path: '/shared' },
        { call: 'folders' },
        { call: 'create', name: 'COMMON', path: '/shared', value: ' trimmed \n' },
        { call: 'create', name: 'REFERS', value: '${HOST}' },
        { call: 'create', name: 'HOST', value: 'db' },
        { call: 'get', name: 'REFERS' },
        { call: 'get', name: 'REFERS', expand: true },
        { call: 'list', imports: true },
        { call: 'list', path: '/shared' },
        ...(['HOST', 'REFERS'] as const).map((name): ClientStep => ({ call: 'delete', name })),
      ])
      const said = results.slice(1).map(({ answer, status, error }) => error ?? status ?? answer)

      expect(said.slice(0, 3)).toEqual(['shared', 'deep', ['shared']])
      expect((said[6] as { value: string }).value).toBe('${HOST}')
      expect((said[7] as { value: string }).value).toBe('db')
      expect((said[8] as readonly { name: string }[]).map(({ name }) => name).toSorted()).toEqual(['COMMON', 'HOST', 'REFERS'])
      expect((said[9] as readonly { value: string }[]).map(({ value }) => value)).toEqual(['trimmed\n'])
    })

    it('is refused as the service refuses', async () => {
      const results = await carried([
        { call: 'create', name: 'TAKEN', value: 'x' },
        { call: 'create', name: 'TAKEN', value: 'y' },
        { call: 'get', name: 'MISSING' },
        { call: 'update', name: 'MISSING', value: 'x' },
        { call: 'delete', name: 'MISSING' },
        { call: 'create', name: 'KEY', value: 'x', path: '/none' },
        { call: 'folder', name: 'a.b' },
        { call: 'folder', name: 'shared' },
        { call: 'list', project: 'another' },
        { call: 'delete', name: 'TAKEN' },
      ])

      expect(results.slice(2).map(({ status, answer }) => status ?? answer)).toEqual([400, 404, 404, 404, 404, 422, 400, 404, true])
    })

    it('is refused with wrong credentials, and with junk, foreign, expired and revoked tokens', async () => {
      const other = await startInfisicalFake({ now: () => now })
      const foreign = other.service.identities.issue(fakeIdentity.id)
      await other.close()
      const own = fake.service.identities.login('universal', { clientId, clientSecret }) as { accessToken: string }

      expect((await client({ url: fake.url, ...where, clientId, clientSecret: 'wrong', steps: [{ call: 'login' }] }))[0]?.status).toBe(401)
      expect([(await by('junk'))?.status, (await by(foreign))?.status, (await by(own.accessToken))?.status]).toEqual([403, 403, undefined])
      now += 7_300_000
      expect((await by(own.accessToken))?.status).toBe(403)
      const given = fake.service.identities.issue(fakeIdentity.id)
      expect((await by(given))?.status).toBeUndefined()
      fake.service.identities.revokeTokens()
      expect((await by(given))?.status).toBe(401)
    })

    it('logs in by the token of another issuer', async () => {
      fake.service.identities.add({ id: identityId, projects: [fakeProject.id], method: 'oidc', accepts: ({ jwt }) => jwt === 'header.payload.signature' })
      const steps: readonly ClientStep[] = [{ call: 'login' }, { call: 'list' }]

      expect((await client({ url: fake.url, ...where, identity: identityId, jwt: 'header.payload.signature', steps })).map(({ status }) => status)).toEqual([undefined, undefined])
      expect((await client({ url: fake.url, ...where, identity: identityId, jwt: 'another', steps }))[0]?.status).toBe(401)
    })

    it('stores nothing where a policy asks for approval', async () => {
      knobs.approvals = () => true
      await carried([{ call: 'create', name: 'WAITING', value: 'x' }])
      delete knobs.approvals

      expect(fake.service.project.row('dev', '/', 'WAITING')).toBeUndefined()
    })

    it('meets the end of its bucket as a 429, and the next minute as a new one', async () => {
      knobs.secretsPerMinute = 1
      now = Math.ceil(now / 60_000) * 60_000
      let asked = 0
      fake.fault({ kind: 'slow', nth: 1_000, only: ({ path }) => {
        if (path.startsWith('/api/v3/secrets') && (asked += 1) === 3) now += 60_000
        return false
      } })
      const results = await carried([{ call: 'list' }, { call: 'list' }])
      delete knobs.secretsPerMinute
      fake.heal()

      expect(results[1]?.status).toBeUndefined()
      expect([429, undefined]).toContain(results[2]?.status)
    })

    it('sees what our provider writes, and our provider what it writes', async () => {
      const runtime = testRuntime({ now })
      const provider = (await openInfisical(runtime, infisicalSettings(fake.url))) as Required<SecretProvider>
      const call = callOf(runtime.clock)
      const name = createdName('litellm/team-a/alias')
      await provider.write({ name, value: SecretValue.of('sk-first'), expect: 'absent', operation: `1-create-${'1'.repeat(32)}`, stage: 'current' }, call)
      await provider.write({ name, value: SecretValue.of('sk-second'), expect: 'any', operation: `2-rotate-${'2'.repeat(32)}`, stage: 'current' }, call)
      const results = await carried([{ call: 'get', name: 'alias', path: '/litellm/team-a' }, { call: 'create', name: 'THEIRS', value: 'by another client' }, { call: 'update', name: 'alias', path: '/litellm/team-a', value: 'changed by another' }])
      const read = [await provider.read(hostedName('THEIRS'), {}, call), await provider.read(name, {}, call), await provider.read(name, { stage: 'previous' }, call)]
      await provider.close()

      expect(results[1]?.answer).toMatchObject({ value: 'sk-second' })
      expect(read.map(({ value }) => value.reveal())).toEqual(['by another client', 'changed by another', 'sk-second'])
    })
  })
}

for (const [title, peer, client] of [['Go', peers.infisical_client, goClient], ['Python', peers.python_clients, pythonClient]] as const) {
  if ('url' in peer) examine(title, client(peer.url))
  else {
    describe(`Infisical's ${title} client`, () => {
      it(`is left out: ${peer.missing}`, () => {
        expect(peer.missing).not.toBe('')
      })
    })
  }
}

/** As for a server that somebody names: an address, a credential, a project, and nothing else. */
const server = await startInfisicalFake({ now: Date.now })
providerConformance('infisical, any server', infisicalTargetHarness({ url: server.url, settings: { infisical_token: server.service.identities.issue(fakeIdentity.id), infisical_project_id: fakeProject.id, infisical_secret_path: '/gateway' } }))
afterAll(() => server.close())

// Infisical under examination: on our fake, a server of its own each time; and on any server that somebody names, through a second provider as its operator.
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { capabilities } from '../../../shared/providers/custom.ts'
import { readSettings } from '../../../shared/core/settings.ts'
import { infisical } from '../../../shared/providers/infisical.ts'
import type { Runtime } from '../../../shared/core/runtime.ts'
import { fakeIdentity, fakeProject, startInfisicalFake, type InfisicalService } from '../../fakes/infisical/service.ts'
import { wireless } from '../../fakes/wire.ts'
import type { Hook } from '../../shapes/service.ts'
import { testRuntime, type TestRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, type Deviation, type Harness, type Target } from '../harness.ts'
import { onFake, onTarget, openConfigured, runByOthers, type Given } from '../opened.ts'

/** What a configuration says for the fake. */
export const infisicalSettings = (url: string): Record<string, unknown> => ({
  infisical_site_url: url,
  infisical_client_id: fakeIdentity.clientId,
  infisical_client_secret: fakeIdentity.clientSecret,
  infisical_project_id: fakeProject.id,
})

/** Opens the provider as a configuration would. */
export const openInfisical = (runtime: TestRuntime, given: Given): Promise<SecretProvider> => openConfigured(infisical, runtime, given)

/** What the provider can do, of all that a provider may. */
export const infisicalCapabilities = capabilities.filter((capability) => capability !== 'setEnabled' && capability !== 'recover')

const tokenOf = async (url: string, settings: Readonly<Record<string, unknown>>): Promise<string> => {
  if (typeof settings['infisical_token'] === 'string') return settings['infisical_token']
  const answer = await fetch(`${url}/api/v1/auth/universal-auth/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ clientId: settings['infisical_client_id'], clientSecret: settings['infisical_client_secret'] }) })
  return ((await answer.json()) as { accessToken: string }).accessToken
}

/** Puts a secret there by plain requests, as the service's own pages would: made, or else changed. */
const seedBy = (url: string, settings: Readonly<Record<string, unknown>>) => {
  let token: Promise<string> | undefined
  return async (text: string, value: string): Promise<void> => {
    const authorization = `Bearer ${await (token ??= tokenOf(url, settings))}`
    const root = String(settings['infisical_secret_path'] ?? '/').replace(/\/$/, '')
    const segments = text.split('/')
    const key = segments.at(-1) ?? ''
    const [projectId, environment] = [String(settings['infisical_project_id']), String(settings['infisical_environment_slug'] ?? 'dev')]
    const send = (method: string, path: string, body: object): Promise<Response> => fetch(`${url}${path}`, { method, headers: { authorization, 'content-type': 'application/json' }, body: JSON.stringify(body) })
    for (let depth = 1; depth < segments.length; depth += 1) await send('POST', '/api/v1/folders', { workspaceId: projectId, environment, path: `${root}/${segments.slice(0, depth - 1).join('/')}`, name: segments[depth - 1] })
    const body = { projectId, environment, secretPath: `${root}/${segments.slice(0, -1).join('/')}`.replace(/(?<=.)\/$/, ''), secretValue: value, type: 'shared' }
    const path = `/api/v4/secrets/${encodeURIComponent(key)}`
    const made = await send('POST', path, body)
    if (!made.ok && !(await send('PATCH', path, body)).ok) throw new Error(`the secret could not be put there: ${made.status}`)
  }
}

/** The provider on the fake. */
export const infisicalHarness: Harness = {
  mustHave: infisicalCapabilities,
  faults: faultKinds,
  nonsense: nonsenseKinds,
  open: async () => {
    const runtime = testRuntime({ hurries: true })
    const fake = await startInfisicalFake({ now: () => runtime.clock.now() })
    const { project } = fake.service
    return {
      ...(await onFake(fake, runtime, (more) => openInfisical(runtime, { ...infisicalSettings(fake.url), ...more }), { infisical_client_secret: 'a client secret of nobody' })),
      seed: async (name, value) => {
        const segments = name.text.split('/')
        const folder = `/${segments.slice(0, -1).join('/')}`
        for (let depth = 1; depth < segments.length; depth += 1) if (!project.hasFolder('dev', `/${segments.slice(0, depth).join('/')}`)) project.makeFolder('dev', `/${segments.slice(0, depth - 1).join('/')}`, segments[depth - 1] ?? '')
        const written = { secretValue: Buffer.from(value).toString('utf8') }
        const key = segments.at(-1) ?? ''
        if (project.row('dev', folder, key) === undefined) project.create('dev', folder, key, written)
        else project.update('dev', folder, key, written)
      },
      expire: () => runtime.clock.advance(2 * 86_400_000),
    }
  },
}

/** The provider on any server: its address, and settings with the credential, the project and a path of its own. */
export const infisicalTargetHarness = (target: Target, deviations: readonly Deviation[] = []): Harness => ({
  ...runByOthers,
  mustHave: infisicalCapabilities,
  deviations,
  open: async () => {
    const runtime = testRuntime({ now: Date.now() })
    const { url, settings } = target
    const seed = seedBy(url, settings)
    return {
      ...(await onTarget(target, runtime, () => openInfisical(runtime, { infisical_site_url: url, ...settings }))),
      seed: (name, value) => seed(name.text, Buffer.from(value).toString('utf8')),
    }
  },
})

/** The provider on the fake without a socket, as the simulator drives it: one request is one step behind the hook, under a token that does not end. */
export const openInfisicalWireless = ({ service, hook }: { readonly service: InfisicalService; readonly hook: Hook }, runtime: Runtime): Promise<SecretProvider> => {
  const { settings } = readSettings(infisical.settings, { infisical_token: service.identities.issue(fakeIdentity.id), infisical_project_id: fakeProject.id }, { path: 'infisical' })
  return infisical.open(settings, { ...runtime, http: wireless(service, hook) }, { kind: 'operator' })
}

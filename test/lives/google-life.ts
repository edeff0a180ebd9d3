// A key's life in Google Secret Manager, as Google's own client for JavaScript sees it over REST: `latest` as LiteLLM asks for it, labels and annotations, and every version.
import { SecretManagerServiceClient } from '@google-cloud/secret-manager'
import { onTestFinished } from 'vitest'
import { openGoogleSecrets } from '../conformance/harnesses/google-secret-manager.ts'
import { clientAt, signedToken } from '../conformance/operators/google.ts'
import { knownAccount, operatorAccount } from '../fakes/google-bearer.ts'
import { fakeProject, startGoogleFake, type GoogleFakeOptions, type RunningGoogleFake } from '../fakes/google/secret-manager.ts'
import { hexEscapeCodec } from '../../shared/credentials/google/names.ts'
import { testRuntime } from '../support/runtime.ts'
import type { LifeReader, LifeScene } from './whole-life.ts'

/** The service's name of a secret: what a person finds it under, because Google takes no slash. */
const nativeOf = (name: string): string => hexEscapeCodec.encode({ text: name, place: 'created' })

const readerOf = (clientFor: () => SecretManagerServiceClient): LifeReader => {
  const parent = `projects/${fakeProject}`
  const withClient = async <T>(act: (client: SecretManagerServiceClient) => Promise<T>): Promise<T> => {
    const client = clientFor()
    return act(client).finally(() => client.close())
  }
  return {
    see: (name) =>
      withClient(async (client) => {
        const native = nativeOf(name)
        const path = `${parent}/secrets/${native}`
        const text = async (version: string): Promise<string> => Buffer.from((await client.accessSecretVersion({ name: version }))[0].payload?.data ?? '').toString('utf8')
        const [{ labels, annotations, versionAliases }] = await client.getSecret({ name: path })
        const { description, ...marks } = { ...(labels as Record<string, string>), ...(annotations as Record<string, string>) }
        const [listed] = await client.listSecretVersions({ parent: path })
        const current = String(versionAliases?.['current'] ?? '')
        const versions = await Promise.all(
          listed.toReversed().map(async ({ name: version = '', state }) => {
            const says = `${String(state).toLowerCase()}${version?.endsWith(`/${current}`) === true ? ', current' : ''}`
            return state === 'ENABLED' ? { says, value: await text(version ?? '') } : { says }
          }),
        )
        return { native, value: await text(`${path}/versions/latest`), marks, description, versions }
      }),
    foreignWrite: (name, value) =>
      withClient(async (client) => {
        const secretId = nativeOf(name)
        await client.createSecret({ parent, secretId, secret: { replication: { automatic: {} } } })
        await client.addSecretVersion({ parent: `${parent}/secrets/${secretId}`, payload: { data: Buffer.from(value) } })
      }),
  }
}

/** On the fake, until the test ends. `allows`: what Latchkey's own account may, where not everything; who looks on may everything. */
export const googleLife = async (allows: GoogleFakeOptions['allows'] = () => true): Promise<LifeScene & { readonly fake: RunningGoogleFake }> => {
  const runtime = testRuntime({ hurries: true })
  const fake = await startGoogleFake({ now: () => runtime.clock.now(), accounts: [knownAccount(), operatorAccount()], allows: (who, ...asked) => who === operatorAccount().email || allows(who, ...asked) })
  const provider = await openGoogleSecrets(runtime, { google_endpoint: fake.url })
  onTestFinished(async () => {
    await provider.close?.()
    await fake.close()
  })
  return { provider, runtime, forgets: true, reader: readerOf(() => new SecretManagerServiceClient(clientAt(fake.url, signedToken(operatorAccount().file, runtime.clock.now())))), fake }
}

// One LiteLLM file opened as a program or a server opens it, and the Vault that most of these cases keep their secrets in.
import { onTestFinished } from 'vitest'
import { parseConfiguration } from '../../shared/core/configuration.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import type { ApiResponse } from '../../shared/http/api.ts'
import { commonRoutes } from '../../shared/http/health.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { openLatchkey } from '../../shared/latchkey.ts'
import { startVaultFake } from '../fakes/vault/vault.ts'
import { callOf, testRuntime } from '../support/runtime.ts'

/** The master key of every server here. */
export const master = 'sk-master-0123456789-0123456789-0123456789'

/** What an answer was, its body as JSON; anything a test asks of it is looked at, never trusted. */
export interface Got {
  readonly status: number
  readonly json: Record<string, never> & { readonly error: Record<string, never> }
}

/** What stands beside the file. */
export interface Beside {
  readonly env?: Readonly<Record<string, string>>
  readonly dotenv?: string
  readonly now?: number
}

/** Opens a file with all routes; it is closed when the test ends. @throws what stops the start */
export const openFile = async (file: object, { env = {}, dotenv, now }: Beside = {}) => {
  const runtime = testRuntime({ hurries: true, env: { LITELLM_MASTER_KEY: master, ...env }, files: dotenv === undefined ? {} : { [`${process.cwd()}/.env`]: dotenv }, ...(now === undefined ? {} : { now }) })
  const { configuration } = parseConfiguration(file, { env: runtime.env, loopback: true })
  const latchkey = await openLatchkey(configuration, runtime, { routes: [...readRoutes, ...keyRoutes, ...commonRoutes] })
  onTestFinished(() => latchkey.close())
  const call = () => callOf(runtime.clock)
  const send = async (line: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Got> => {
    const [method = 'GET', url = '/'] = line.split(' ')
    const [path = '/', query = ''] = url.split('?')
    const answer: ApiResponse = await latchkey.app({ method, path, query, headers: { authorization: `Bearer ${master}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers }, body: Buffer.from(body === undefined ? '' : JSON.stringify(body)), ...call() })
    return { status: answer.status, json: JSON.parse(answer.body) as Got['json'] }
  }
  /** The value, or the code of the failure in brackets. */
  const read = (ref: string, how: { readonly default?: string } = {}): Promise<string> => latchkey.read(ref, { ...call(), ...how }).then((value) => value.reveal(), codeOf)
  return { latchkey, configuration, runtime, call, send, read }
}

/** The code of a failure of ours in brackets; anything else goes on. */
export const codeOf = (error: unknown): string => {
  if (error instanceof LatchkeyError) return `(${error.code})`
  throw error
}

/** What stops a start. */
export const refusalOf = (start: Promise<unknown> | (() => unknown)): Promise<LatchkeyError> =>
  Promise.resolve()
    .then(() => (typeof start === 'function' ? start() : start))
    .then(
      () => {
        throw new Error('it started')
      },
      (error: unknown) => {
        if (error instanceof LatchkeyError) return error
        throw error
      },
    )

/** A Vault with these secrets in it, and how a LiteLLM file finds it. */
export const startManager = async (secrets: Readonly<Record<string, string>> = {}) => {
  const { clock } = testRuntime()
  const fake = await startVaultFake({ now: () => clock.now() })
  onTestFinished(() => fake.close())
  const engine = fake.state.engines.get('secret')
  if (engine === undefined) throw new Error('the fake has no engine')
  const runtime = testRuntime()
  const client = await runtime.http.connect({ url: fake.url, title: 'Vault', setting: 'url' })
  for (const [name, value] of Object.entries(secrets)) {
    await client.send({ method: 'POST', path: `/v1/secret/data/${name}`, headers: { 'x-vault-token': fake.rootToken, 'content-type': 'application/json' }, body: JSON.stringify({ data: { key: value } }) }, callOf(runtime.clock))
  }
  await client.close()
  fake.requests.length = 0
  return {
    fake,
    env: { HCP_VAULT_ADDR: fake.url, HCP_VAULT_TOKEN: fake.rootToken },
    /** A LiteLLM file that has it as its manager. */
    file: (settings: object = {}, more: object = {}) => ({ general_settings: { key_management_system: 'hashicorp_vault', key_management_settings: settings }, ...more }),
    /** The names that it was asked for, in order. */
    asked: (): readonly string[] => fake.requests.flatMap(({ path }) => /\/v1\/secret\/data\/(.+)$/.exec(path)?.[1] ?? []),
  }
}

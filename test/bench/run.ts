// `npm run bench`: P1 to P5 (a cold read of each cloud, its weight, and what the other providers cost it), P6 (a cached read in process), P9 (coalescing in time), each beside its floor in
// the same run, and P12 (the requests of every operation on a key, counted). Gates that are counts stand in the tests; times are printed with the machine they were taken on, and what was not measured says so.
import { cpus } from 'node:os'
import { parseConfiguration } from '../../shared/core/configuration.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import type { ApiRequest } from '../../shared/http/api.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { openLatchkey, type Latchkey } from '../../shared/latchkey.ts'
import { createAudit } from '../../shared/telemetry/audit.ts'
import { systemClock, systemRandom } from '../../shared/telemetry/node-runtime.ts'
import { fakeKeys, startSecretsManagerFake, type SecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { testRuntime } from '../support/runtime.ts'
import { coldReads } from './cold/reads.ts'
import { callTable, countAll } from './upstream-calls.ts'

const masterKey = 'sk-bench-0123456789-0123456789-0123456789'
const say = (text: string): void => void process.stdout.write(`${text}\n`)
const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
const spread = (numbers: readonly number[], unit: string, digits = 0): string => `${median(numbers).toFixed(digits)} ${unit} (${Math.min(...numbers).toFixed(digits)}-${Math.max(...numbers).toFixed(digits)})`

const file = { general_settings: { master_key: masterKey, key_management_system: 'aws_secret_manager', key_management_settings: { access_mode: 'read_and_write' } } }
const envOn = (aws: SecretsManagerFake): Record<string, string> => ({ AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, AWS_ENDPOINT_URL: aws.url })
const call = (): { signal: AbortSignal; deadline: number } => ({ signal: new AbortController().signal, deadline: Date.now() + 20_000 })
const request = (name: string): ApiRequest => ({ method: 'GET', path: `/secrets/${name}`, query: '', headers: { authorization: `Bearer ${masterKey}` }, body: new Uint8Array(), ...call() })

/** Nanoseconds a call, in rounds, after a warm-up. */
const time = async (times: number, work: () => unknown): Promise<readonly number[]> => {
  const rounds: number[] = []
  for (let round = 0; round < 11; round += 1) {
    const started = process.hrtime.bigint()
    for (let index = 0; index < times; index += 1) await work()
    rounds.push(Number(process.hrtime.bigint() - started) / times)
  }
  return rounds.slice(2)
}

const timeSync = (times: number, work: () => unknown): readonly number[] => {
  const rounds: number[] = []
  for (let round = 0; round < 11; round += 1) {
    const started = process.hrtime.bigint()
    for (let index = 0; index < times; index += 1) work()
    rounds.push(Number(process.hrtime.bigint() - started) / times)
  }
  return rounds.slice(2)
}

const cached = async (latchkey: Latchkey): Promise<void> => {
  const store = latchkey.stores.get('default')
  if (store === undefined) throw new Error('there is no store')
  const ref = { name: 'present' }
  const map = new Map([['present', Promise.resolve(SecretValue.of('there'))]])
  await latchkey.app(request('present'))
  const asked = request('present')
  const floor = await time(200_000, () => map.get('present'))
  const peek = timeSync(200_000, () => store.peek(ref))
  const read = await time(100_000, () => store.read(ref, asked))
  const handler = await time(10_000, () => latchkey.app(asked))
  const over = (numbers: readonly number[]): string => `${(median(numbers) / median(floor)).toFixed(1)}x the floor`
  say(`P6 cached read   awaited Map (floor) ${spread(floor, 'ns')}; store.peek ${spread(peek, 'ns')}, ${over(peek)}; store.read ${spread(read, 'ns')}, ${over(read)}`)
  say(`   whole request, with token check, policy, audit line (HMAC, no disk) and headers: ${spread(handler, 'ns')}, ${over(handler)}`)
  say('   powertools, middy: not measured')
}

const coalesced = async (latchkey: Latchkey, aws: SecretsManagerFake): Promise<void> => {
  for (const name of ['cold', 'absent']) {
    aws.requests.length = 0
    const started = performance.now()
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => latchkey.app(request(name))))
    say(`P9 coalescing    1000 reads, ${name}: ${aws.count('GetSecretValue')} call, ${(performance.now() - started).toFixed(1)} ms, statuses ${[...new Set(answers.map(({ status }) => status))].join(', ')}`)
  }
}

const aws = await startSecretsManagerFake()
try {
  const runtime = { ...testRuntime({ env: envOn(aws) }), clock: systemClock, random: systemRandom }
  const audited = { ...runtime, audit: createAudit({ clock: systemClock, random: systemRandom, write: () => undefined }) }
  const { configuration } = parseConfiguration(file, { env: runtime.env, loopback: true })
  const latchkey = await openLatchkey(configuration, audited, { routes: readRoutes })
  for (const name of ['your-test-key', 'present', 'cold']) await latchkey.stores.get('default')?.put({ name, value: SecretValue.of('there') }, call())
  say(`Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}; median (min-max)`)
  await coldReads(say)
  await cached(latchkey)
  await coalesced(latchkey, aws)
  say(`P12 calls         changes + reads in the manager; after the slash with a gateway, its own requests last\n\n${callTable(await countAll())}\n`)
} finally {
  await aws.close()
}

// `npm run bench`: P4 (what the built read function weighs and loads), P5 (what the other providers cost the AWS read), P6 (a cached read in process), P9 (coalescing in time), each beside its floor in
// the same run, and P12 (the requests of every operation on a key, counted). Gates that are counts stand in the tests; times are printed with the machine they were taken on, and what was not measured says so.
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundle } from '../../functions/build/bundle.ts'
import { partsOf } from '../../functions/build/parts.ts'
import { parseConfiguration } from '../../shared/core/configuration.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import type { ApiRequest } from '../../shared/http/api.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { openLatchkey, type Latchkey } from '../../shared/latchkey.ts'
import { createAudit } from '../../shared/telemetry/audit.ts'
import { systemClock, systemRandom } from '../../shared/telemetry/node-runtime.ts'
import { fakeKeys, startSecretsManagerFake, type SecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { LambdaProcess, recorded } from '../hosts/lambda-process.ts'
import { testRuntime } from '../support/runtime.ts'
import { callTable, countAll } from './upstream-calls.ts'

const masterKey = 'sk-bench-0123456789-0123456789-0123456789'
const row = { host: 'lambda', entry: 'read' } as const
const say = (text: string): void => void process.stdout.write(`${text}\n`)
const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
const spread = (numbers: readonly number[], unit: string, digits = 0): string => `${median(numbers).toFixed(digits)} ${unit} (${Math.min(...numbers).toFixed(digits)}-${Math.max(...numbers).toFixed(digits)})`

const file = { general_settings: { master_key: masterKey, key_management_system: 'aws_secret_manager', key_management_settings: { access_mode: 'read_and_write' } } }
const envOn = (aws: SecretsManagerFake): Record<string, string> => ({ AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, AWS_ENDPOINT_URL: aws.url })
const call = (): { signal: AbortSignal; deadline: number } => ({ signal: new AbortController().signal, deadline: Date.now() + 20_000 })
const request = (name: string): ApiRequest => ({ method: 'GET', path: `/secrets/${name}`, query: '', headers: { authorization: `Bearer ${masterKey}` }, body: new Uint8Array(), ...call() })

const weight = async (aws: SecretsManagerFake): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'))
  const parts = partsOf(await bundle(row, folder), row)
  const sizes = ['entry', 'aws-secrets-manager'].map((name) => `${name} ${((parts.find((part) => part.name === name)?.bytes ?? 0) / 1024).toFixed(1)} kB`)
  const rounds = []
  for (let round = 0; round < 15; round += 1) {
    const read = new LambdaProcess(join(folder, 'read.mjs'), { LATCHKEY_CONFIG: JSON.stringify(file), ...envOn(aws) })
    const started = performance.now()
    const loaded = await read.ready()
    const first = await read.invoke(recorded('http-api-get', masterKey))
    rounds.push({ ms: performance.now() - started, undici: loaded.undici || first.undici, builtins: first.builtins, megabytes: first.rss / 1_048_576, status: first.answer?.statusCode })
    await read.close()
  }
  rmSync(folder, { recursive: true, force: true })
  say(`P4 weight        ${sizes.join(', ')}`)
  say(`   after the first read: undici ${rounds.some(({ undici }) => undici) ? 'LOADED' : 'never'}, ${spread(rounds.map(({ builtins }) => builtins), 'built-ins')}, RSS ${spread(rounds.map(({ megabytes }) => megabytes), 'MB')}`)
  say(`   spawn to first answer, plain HTTP to the fake: ${spread(rounds.map(({ ms }) => ms), 'ms')}; statuses ${[...new Set(rounds.map(({ status }) => status))].join(', ')}`)
}

/** P5: the same cold AWS read out of a bundle with every provider and out of one with AWS alone, in turns, so that the machine's moods meet both. */
const registered = async (aws: SecretsManagerFake): Promise<void> => {
  const builds = { all: undefined, aws: ['aws_secret_manager'] } as const
  const folders = new Map<keyof typeof builds, string>()
  const parts: string[] = []
  for (const name of ['all', 'aws'] as const) {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'))
    folders.set(name, folder)
    const bytes = partsOf(await bundle(row, folder, builds[name]), row).filter((part) => ['entry', 'aws-secrets-manager'].includes(part.name)).reduce((sum, part) => sum + part.bytes, 0)
    parts.push(`${name} ${(bytes / 1024).toFixed(1)} kB`)
  }
  const times = { all: [] as number[], aws: [] as number[] }
  for (let round = 0; round < 42; round += 1) {
    const name = round % 2 === 0 ? 'all' : 'aws'
    const read = new LambdaProcess(join(folders.get(name) ?? '', 'read.mjs'), { LATCHKEY_CONFIG: JSON.stringify(file), ...envOn(aws) })
    const started = performance.now()
    await read.ready()
    await read.invoke(recorded('http-api-get', masterKey))
    times[name].push(performance.now() - started)
    await read.close()
  }
  for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true })
  say(`P5 registered    loaded for the AWS read: ${parts.join(', ')}`)
  say(`   spawn to first answer: all ${spread(times.all.slice(1), 'ms')}, AWS alone ${spread(times.aws.slice(1), 'ms')}; ratio of medians ${(median(times.all.slice(1)) / median(times.aws.slice(1))).toFixed(3)} (goal 1.10 or less)`)
}

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
  await weight(aws)
  await registered(aws)
  await cached(latchkey)
  await coalesced(latchkey, aws)
  say(`P12 calls         changes + reads in the manager; after the slash with a gateway, its own requests last\n\n${callTable(await countAll())}\n`)
} finally {
  await aws.close()
}

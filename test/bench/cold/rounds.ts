// Cold reads, each in a process of its own: variants in turns, ratios of the same round, as the first section of the README's *Performance* says.
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { authority } from '../../support/certificates.ts'

/** What one process said of its two reads. Milliseconds, bytes, counts. */
export interface Sample {
  readonly firstResponse: number
  readonly boot: number
  readonly import: number
  readonly firstCall: number
  readonly secondCall: number
  readonly cpu: number
  readonly rss: number
  readonly peak: number
  readonly builtinsAtImport: number
  readonly builtins: number
  readonly undici: 'never' | 'import' | 'first call'
}

/** One bundle, and the event that it is called with. */
export interface Variant {
  readonly name: string
  readonly file: string
  readonly event: unknown
  readonly kilobytes: number
}

/** The stub in its own process, and a folder with its certificate. */
export interface Upstream {
  readonly http: number
  readonly https: number
  readonly grpc: number
  readonly folder: string
  /** Calls by operation since it was asked last. */
  counts(): Promise<Readonly<Record<string, number>>>
  close(): Promise<void>
}

const reply = async <T>(child: ChildProcess, message: object): Promise<T> => {
  child.send(message)
  const [answer] = (await once(child, 'message')) as [T & { readonly failed?: string }]
  if (answer.failed !== undefined) throw new Error(answer.failed)
  return answer
}

/** Starts the stub. */
export const startUpstream = async (): Promise<Upstream> => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-cold-'))
  const root = authority('the authority of a bench')
  const { cert, key } = root.signs({ subject: 'localhost', names: ['localhost', '127.0.0.1'] })
  writeFileSync(join(folder, 'ca.pem'), root.cert)
  const child = fork(join(import.meta.dirname, 'stub.ts'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ports = await reply<{ http: number; https: number; grpc: number }>(child, { tls: { cert, key } })
  return {
    ...ports,
    folder,
    counts: async () => (await reply<{ counts: Record<string, number> }>(child, { counts: true })).counts,
    close: async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The whole environment of a measured process. */
export const environmentOf = ({ http, https, grpc, folder }: Upstream): Readonly<Record<string, string>> => ({
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7BENCH01',
  AWS_SECRET_ACCESS_KEY: 'not/a/key/but/as/long/as/one/would/be000',
  AWS_SESSION_TOKEN: 'no-session-but-a-token-of-some-length'.repeat(8),
  AWS_ENDPOINT_URL: `https://localhost:${https}`,
  NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
  AZURE_KEY_VAULT_URI: `https://localhost:${https}`,
  IDENTITY_ENDPOINT: `http://127.0.0.1:${http}/msi/token`,
  IDENTITY_HEADER: 'the-header-of-the-platform',
  GCE_METADATA_HOST: `127.0.0.1:${http}`,
  METADATA_SERVER_DETECTION: 'assume-present',
  GOOGLE_CLOUD_PROJECT: 'bench',
  BENCH_TLS_URL: `https://localhost:${https}`,
  BENCH_HTTP_PORT: String(http),
  BENCH_GRPC_PORT: String(grpc),
})

/** Runs one variant once. `pinned`: on the second core, so that the stub has the first. @throws when it does not answer, with what it said */
export const runOnce = async ({ file, event }: Variant, env: Readonly<Record<string, string>>, pinned = false): Promise<Sample> => {
  const command = [process.execPath, join(import.meta.dirname, 'boot.mjs'), file, JSON.stringify(event)]
  const [program = '', ...rest] = pinned ? ['taskset', '-c', '1', ...command] : command
  const child = spawn(program, rest, { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000, killSignal: 'SIGKILL' })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')))
  let sample: Sample | undefined
  for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('@ ')) sample = JSON.parse(line.slice(2)) as Sample
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  if (sample === undefined) throw new Error(`${file} gave no answer: ${said.slice(0, 2_000)}`)
  return sample
}

/** Part of both cores that is idle over 40 ms. */
const idleShare = async (): Promise<number> => {
  const read = (): readonly number[] => (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').split(/ +/).slice(1).map(Number)
  const before = read()
  await new Promise((resolve) => setTimeout(resolve, 40))
  const spent = read().map((ticks, index) => ticks - (before[index] ?? 0))
  const total = spent.reduce((sum, ticks) => sum + ticks, 0)
  return total === 0 ? 1 : ((spent[3] ?? 0) + (spent[4] ?? 0)) / total
}

/** What a run gave: per variant its samples, in the order of rounds; how many of all began on a quiet machine. */
export interface Run {
  readonly samples: ReadonlyMap<string, readonly Sample[]>
  readonly quiet: number
  readonly all: number
  readonly dropped: readonly string[]
}

/** Two unrecorded runs of each, then every variant once a round, each time another one first. One that cannot answer is left out and named. */
export const runRounds = async (variants: readonly Variant[], env: Readonly<Record<string, string>>, rounds: number): Promise<Run> => {
  const dropped: string[] = []
  const running: Variant[] = []
  for (const variant of variants) {
    try {
      for (let warm = 0; warm < 2; warm += 1) await runOnce(variant, env, true)
      running.push(variant)
    } catch (error) {
      dropped.push(`${variant.name}: ${(error as Error).message.split('\n').find((line) => /^\w*Error|^Error/.test(line))?.slice(0, 200) ?? 'it gave no answer'}`)
    }
  }
  const samples = new Map<string, Sample[]>(running.map(({ name }) => [name, []]))
  let quiet = 0
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < running.length; turn += 1) {
      const variant = running[(turn + round) % running.length]
      if (variant === undefined) continue
      if ((await idleShare()) > 0.7) quiet += 1
      samples.get(variant.name)?.push(await runOnce(variant, env, true))
    }
  }
  return { samples, quiet, all: rounds * running.length, dropped }
}

/** The middle one. */
export const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

/** Median of the ratios of the same round, with the least and the greatest. */
export const paired = (run: Run, variant: string, reference: string, of = (sample: Sample): number => sample.firstResponse): { readonly median: number; readonly min: number; readonly max: number } | undefined => {
  const [own, other] = [run.samples.get(variant), run.samples.get(reference)]
  if (own === undefined || other === undefined) return undefined
  const ratios = own.map((sample, round) => of(sample) / (other[round] === undefined ? Number.NaN : of(other[round])))
  return { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) }
}

// Bench P1 to P5 in time: a cold read of each cloud beside the floor and the peers, in one run. Every figure is printed with its spread; what could not be measured says so.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { recorded } from '../../hosts/lambda-process.ts'
import { buildLatchkey, buildPeer, callerToken, clouds, installPeers, type Cloud } from './builds.ts'
import { environmentOf, median, paired, runOnce, runRounds, startUpstream, type Run, type Sample, type Upstream, type Variant } from './rounds.ts'

const root = join(import.meta.dirname, '../../..')
const peersOf: Readonly<Record<Cloud, readonly string[]>> = { aws: ['aws-raw', 'powertools', 'aws-sdk', 'aws-lite'], azure: ['azure-raw', 'azure-sdk'], google: ['google-raw', 'google-rest', 'google-grpc'] }
/** What is compared with what: the bench, its reference, the target and the gate of the published table. */
const ratios: Readonly<Record<Cloud, readonly (readonly [reference: string, target: number, gate?: number])[]>> = {
  aws: [['powertools', 0.62, 0.75], ['aws-sdk', 0.6], ['aws-raw', 1.08], ['aws-lite', 1]],
  azure: [['azure-sdk', 0.55, 0.7], ['azure-raw', Number.NaN]],
  google: [['google-rest', 0.29, 0.4], ['google-grpc', 0.23], ['google-raw', Number.NaN]],
}
const names: Readonly<Record<Cloud, string>> = { aws: 'P1 cold AWS read', azure: 'P2 cold Azure read', google: 'P3 cold Google read' }
const kilobyte = 1024
const event = { id: 'app/key-1' }
const latchkeyEvent = recorded('http-api-get', callerToken, { rawPath: '/secrets/app-key-1' })

const figure = (samples: readonly Sample[], of: (sample: Sample) => number, digits = 1): string => {
  const numbers = samples.map(of)
  return `${median(numbers).toFixed(digits)} (${Math.min(...numbers).toFixed(digits)}-${Math.max(...numbers).toFixed(digits)})`
}

const rowsOf = (variants: readonly Variant[], run: Run): readonly string[] =>
  variants.flatMap(({ name, kilobytes }) => {
    const samples = run.samples.get(name)
    if (samples === undefined) return [`  ${name.padEnd(24)} not measured`]
    const undici = samples.some((sample) => sample.undici !== 'never') ? (samples.find((sample) => sample.undici !== 'never')?.undici ?? '') : 'never'
    const milliseconds = figure(samples, (sample) => sample.firstResponse)
    return [`  ${name.padEnd(24)}${kilobytes.toFixed(1).padStart(8)} kB  first response ${milliseconds.padEnd(24)} ms  import ${median(samples.map((sample) => sample.import)).toFixed(1).padStart(5)}  first call ${median(samples.map((sample) => sample.firstCall)).toFixed(1).padStart(5)}  CPU ${median(samples.map((sample) => sample.cpu)).toFixed(1).padStart(5)} ms  RSS ${(median(samples.map((sample) => sample.rss)) / 1_048_576).toFixed(0).padStart(3)} MB  built-ins +${median(samples.map((sample) => sample.builtins))}  undici ${undici}`]
  })

const callsOf = async (variant: Variant, upstream: Upstream): Promise<string> => {
  await upstream.counts()
  await runOnce(variant, environmentOf(upstream)).catch(() => undefined)
  return Object.entries(await upstream.counts()).map(([operation, times]) => `${operation} ${times}`).join(', ')
}

/** Runs and prints the cold benches. `rounds`: at least 15 for figures that are published. */
export const coldReads = async (say: (text: string) => void, rounds = 15): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-cold-builds-'))
  const upstream = await startUpstream()
  const raw: Record<string, unknown> = { node: process.versions.node, rounds }
  try {
    const cache = await installPeers().catch((error: unknown) => void say(`the peers could not be installed (${(error as Error).message.split('\n')[0] ?? ''}); they are not measured`))
    const https = `https://localhost:${upstream.https}`
    const peer = async (name: string): Promise<Variant | undefined> => {
      const file = join(folder, `${name}.cjs`)
      const bytes = await buildPeer(name, file, [...(cache === undefined ? [] : [cache]), join(root, 'node_modules')]).catch(() => undefined)
      return bytes === undefined ? undefined : { name, file, event, kilobytes: bytes / kilobyte }
    }
    const latchkey = async (name: string, cloud: Cloud, only?: string): Promise<Variant> => {
      const { file, bytes } = await buildLatchkey(cloud, join(folder, name), https, only)
      return { name, file, event: latchkeyEvent, kilobytes: bytes / kilobyte }
    }
    for (const cloud of Object.keys(clouds) as Cloud[]) {
      const own = await latchkey(`latchkey-${cloud}`, cloud)
      const dedicated = cloud === 'aws' ? [await latchkey('latchkey-aws-alone', cloud, clouds.aws.system)] : []
      const others = (await Promise.all(['bare', ...peersOf[cloud]].map(peer))).filter((variant) => variant !== undefined)
      const variants = [...others.slice(0, 2), own, ...dedicated, ...others.slice(2)]
      const run = await runRounds(variants, environmentOf(upstream), rounds)
      raw[cloud] = { quiet: run.quiet, all: run.all, samples: Object.fromEntries(run.samples) }
      say(`${names[cloud]}, TLS upstream, ${rounds} rounds, ${run.quiet} of ${run.all} began on a quiet machine; median (min-max)`)
      for (const row of rowsOf(variants, run)) say(row)
      for (const reason of run.dropped) say(`  left out: ${reason}`)
      for (const [reference, target, gate] of ratios[cloud]) {
        const [ratio, work] = [paired(run, own.name, reference), paired(run, own.name, reference, ({ cpu }) => cpu)]
        const wanted = Number.isNaN(target) ? '' : `; target ${target}${gate === undefined ? '' : `, gate ${gate}`}`
        say(`  latchkey / ${reference.padEnd(12)} ${ratio === undefined ? 'not measured' : `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)}), CPU ${work?.median.toFixed(2) ?? ''} (${work?.min.toFixed(2) ?? ''}-${work?.max.toFixed(2) ?? ''})`}${wanted}`)
      }
      for (const variant of dedicated) {
        const ratio = paired(run, own.name, variant.name)
        if (ratio !== undefined) say(`P5 provider tax    every provider / AWS alone: ${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)}); target 1.05, gate 1.10`)
      }
      for (const variant of [own, ...others.filter(({ name }) => /sdk|rest|grpc/.test(name))]) say(`  upstream calls of two reads: ${variant.name}: ${await callsOf(variant, upstream)}`)
    }
    const saved = join(root, 'dist/bench')
    mkdirSync(saved, { recursive: true })
    writeFileSync(join(saved, 'cold.json'), `${JSON.stringify(raw)}\n`)
    say('samples: dist/bench/cold.json')
  } finally {
    await upstream.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) await coldReads((text) => void process.stdout.write(`${text}\n`), Number(process.argv[2] ?? 15))

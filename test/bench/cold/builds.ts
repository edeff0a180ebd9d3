// The bundles of a cold bench: Latchkey's own as it is shipped, with a configuration beside it; its peers at their best, minified CommonJS in one file.
import { execFile } from 'node:child_process'
import { hash } from 'node:crypto'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as esbuild from 'esbuild'
import { compileConfigFile } from '../../../functions/build.ts'
import { bundle } from '../../../functions/build/bundle.ts'
import { mergeFirstRead, type FirstRead } from '../../../functions/build/first-read.ts'
import { providerFiles } from '../../../functions/build/provider-files.ts'

const root = join(import.meta.dirname, '../../..')

/** The clouds that are measured: the provider's file, the system, and what its store is told beside. `https` is the stub's address with TLS. */
export const clouds = {
  aws: { provider: 'aws-secrets-manager', system: 'aws_secret_manager', settings: () => 'aws_region_name: us-east-1' },
  azure: { provider: 'azure-key-vault', system: 'azure_key_vault', settings: (https: string) => `azure_key_vault_uri: "${https}"` },
  google: { provider: 'google-secret-manager', system: 'google_secret_manager', settings: (https: string) => `google_project_id: bench, google_endpoint: "${https}"` },
} as const

/** One of {@link clouds}. */
export type Cloud = keyof typeof clouds

/** The caller's token of every bench; Latchkey knows only its hash. */
export const callerToken = 'sk-bench-0123456789-0123456789-0123456789'

/** Peers that Latchkey does not use itself, installed once into a cache folder. @throws when npm cannot */
export const installPeers = async (): Promise<string> => {
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'latchkey-bench')
  const wanted = await readFile(join(import.meta.dirname, 'peers/package-lock.json'), 'utf8')
  const there = await readFile(join(folder, 'package-lock.json'), 'utf8').catch(() => '')
  if (there === wanted) return join(folder, 'node_modules')
  await mkdir(folder, { recursive: true })
  for (const name of ['package.json', 'package-lock.json']) await copyFile(join(import.meta.dirname, 'peers', name), join(folder, name))
  await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder })
  return join(folder, 'node_modules')
}

/** One peer as minified CommonJS; answers its bytes. */
export const buildPeer = async (name: string, file: string, modules: readonly string[]): Promise<number> => {
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [join(import.meta.dirname, `variants/${name}.mjs`)],
    outfile: file,
    bundle: true,
    minify: true,
    treeShaking: true,
    metafile: true,
    format: 'cjs',
    platform: 'node',
    target: 'node22',
    mainFields: ['module', 'main'],
    legalComments: 'none',
    logLevel: 'error',
    nodePaths: [...modules],
  })
  return Object.values(metafile.outputs).reduce((sum, { bytes }) => sum + bytes, 0)
}

/** Latchkey's read function for one cloud, with a compiled configuration beside it. `only`: the one system that the bundle has; default: all. */
export const buildLatchkey = async (cloud: Cloud, folder: string, https: string, only?: string): Promise<FirstRead & { readonly file: string }> => {
  const { system, settings } = clouds[cloud]
  const row = { host: 'lambda', entry: 'read' } as const
  await mkdir(folder, { recursive: true })
  const config = `${folder}.yaml`
  await writeFile(config, `latchkey:\n  default_store: { system: ${system}, access_mode: read_only, ${settings(https)} }\n  access:\n    - { name: gateway, token_sha256: ${hash('sha256', callerToken)}, grants: [{ action: "secrets:read", names: ["app-*"] }] }\n`)
  const configuration = await compileConfigFile(config)
  const providers = await providerFiles(configuration)
  const metafile = await bundle(row, folder, only === undefined ? undefined : [only], providers)
  await writeFile(join(folder, 'latchkey.json'), configuration)
  return { file: join(folder, 'read.mjs'), ...(await mergeFirstRead(row, folder, metafile, providers)) }
}

// The Python peers: one pinned virtual environment in a cache folder outside the checkout, made once, and servers started from it by path. Packages of npm are kept likewise.
// Every server gets a clean environment, a scratch folder and a free port of loopback, and ends with the process group it was started in.
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

/** The virtual environments, by what they are for. ministack without cryptography answers wrongly; boto3 is the independent client. litellm without its proxy is its client. Each of Azure's management libraries speaks the version of the API that infra/azure names. */
const environments = {
  aws: ['moto[server]==5.2.5', 'ministack==1.5.33', 'cryptography==50.0.2', 'boto3==1.43.106', 'cfn-lint==1.58.0'],
  clients: ['hvac==2.4.0', 'conjur-api==0.2.0', 'infisicalsdk==1.0.17', 'azure-keyvault-secrets==4.12.0', 'azure-identity==1.27.0', 'google-cloud-secret-manager==2.32.0', 'google-cloud-kms==3.18.0'],
  litellm: ['litellm==1.106.2'],
  checkov: ['checkov==3.3.30'],
  azure_models: [
    ...['applicationinsights==4.1.0', 'authorization==4.0.0', 'eventgrid==10.4.0', 'keyvault==14.0.1', 'loganalytics==14.0.0', 'monitor==6.0.2'],
    ...['msi==7.1.0', 'network==31.0.1', 'privatedns==2.0.0', 'storage==25.0.0', 'web==11.0.1'],
  ].map((name) => `azure-mgmt-${name}`),
} as const

/** A server that runs (a client's program: its path as `url`), or why it does not. */
export type Peer = { readonly url: string; readonly facts: Readonly<Record<string, string>> } | { readonly missing: string }

const cleanEnv = (home: string, more: Record<string, string> = {}): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: home, TMPDIR: home, LANG: 'C.UTF-8', ...more })

/** Runs a program to its end. @throws with the last line it printed */
export const run = (file: string, args: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, ...(cwd === undefined ? {} : { cwd }), stdio: ['ignore', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    const bad: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => bad.push(chunk))
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve(Buffer.concat(out).toString()) : reject(new Error(Buffer.concat(bad).toString().trim().split('\n').at(-1) ?? `${file} ended with ${code ?? 'a signal'}`))))
  })

/** The folder in which something pinned is kept, named after what is in it; outside the checkout, so that a second run costs seconds. */
export const cacheFolder = (name: string, content: string): string =>
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'latchkey-peers', `${name}-${createHash('sha256').update(content).digest('hex').slice(0, 12)}`)

/** That folder, filled when it is not there; what was cut off is begun again. The registry's own settings (an index, a proxy, a certificate) belong to whoever runs this. */
const filledOnce = async (folder: string, fill: (env: NodeJS.ProcessEnv) => Promise<unknown>): Promise<string> => {
  const complete = join(folder, '.complete')
  if (existsSync(complete)) return folder
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await fill({ ...process.env })
  writeFileSync(complete, '')
  return folder
}

/** The folder of a virtual environment, made when it is not there; its programs are in `bin`. @throws when there is no Python, or the registry cannot be reached */
export const pythonEnvironment = (name: keyof typeof environments = 'aws'): Promise<string> => {
  const requirements = environments[name]
  const folder = cacheFolder(name, requirements.join('\n'))
  return filledOnce(folder, async (env) => {
    await run('python3', ['-m', 'venv', folder], env)
    await run(join(folder, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...requirements], env)
  })
}

/**
 * The folder of the packages of npm that the lockfile in `from` pins, installed when they are not there. `compiles`: they run their scripts, by which they are built for this
 * version of Node; otherwise none is run. `alone`: without the packages that it wants beside it. @throws when the registry cannot be reached, or what they build cannot be built
 */
export const npmPackages = (name: string, from: string, { compiles = false, alone = false } = {}): Promise<string> => {
  const manifests = ['package.json', 'package-lock.json']
  const content = manifests.map((file) => readFileSync(join(from, file), 'utf8')).join('\n')
  const folder = cacheFolder(name, compiles ? `${content}${process.versions.modules}` : content)
  return filledOnce(folder, (env) => {
    for (const file of manifests) cpSync(join(from, file), join(folder, file))
    return run('npm', ['ci', '--prefix', folder, '--no-fund', '--no-audit', ...(compiles ? [] : ['--ignore-scripts']), ...(alone ? ['--legacy-peer-deps'] : [])], env)
  })
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

/** A started server and how it ends. */
export interface Running {
  readonly url: string
  /** What else its users must know: further addresses, a root credential made for this run. */
  readonly facts?: Readonly<Record<string, string>>
  stop(): Promise<void>
}

/** Starts one server and waits until it takes connections, 30 s at most. */
export const startServer = async (name: string, command: (port: number) => { readonly file: string; readonly args: readonly string[]; readonly env?: Record<string, string> }): Promise<Running> => {
  const scratch = mkdtempSync(join(tmpdir(), `latchkey-peer-${name}-`))
  const port = await freePort()
  const { file, args, env } = command(port)
  const child: ChildProcess = spawn(file, args, { cwd: scratch, env: cleanEnv(scratch, env), stdio: 'ignore', detached: true })
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const stop = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGTERM')
    await ended
    rmSync(scratch, { recursive: true, force: true })
  }
  for (let attempt = 0; attempt < 300 && child.exitCode === null && child.pid !== undefined; attempt += 1) {
    if (await answers(port)) return { url: `http://127.0.0.1:${port}`, stop }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await stop()
  throw new Error('it did not take connections within 30 s')
}

/** What one step of a client's plan came to: an answer, or the status with which the server refused. */
export interface ClientResult {
  readonly answer?: unknown
  readonly status?: number
  readonly error?: string
}

/** Has a client's program carry out a plan, in an empty home of its own. It prints what each step came to. */
export const carryOut = async (file: string, args: readonly string[], plan: object): Promise<readonly ClientResult[]> => {
  const home = mkdtempSync(join(tmpdir(), 'latchkey-client-'))
  const printed = await run(file, [...args, JSON.stringify(plan)], cleanEnv(home)).finally(() => rmSync(home, { recursive: true, force: true }))
  return JSON.parse(printed) as ClientResult[]
}

/** A clean environment for a program that talks to a peer. */
export const clientEnv = (url: string): NodeJS.ProcessEnv => cleanEnv(tmpdir(), { AWS_ENDPOINT_URL: url, AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_DEFAULT_REGION: 'us-east-1', AWS_EC2_METADATA_DISABLED: 'true' })

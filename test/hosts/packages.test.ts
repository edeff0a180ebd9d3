// What is deployed: folders as each platform wants them, archives and lists that are the same from the same sources, and functions that start from what was
// unpacked.
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { unzipSync } from 'fflate'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deployables } from '../../functions/build.ts'
import { archive } from '../../functions/build/archive.ts'
import { closureOf, readLock, type Lock } from '../../functions/build/lockfile.ts'
import { sbom } from '../../functions/build/sbom.ts'
import { Child } from './processes/child.ts'
import { askUrl } from './processes/opened-hosts.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const scratch = mkdtempSync(join(tmpdir(), 'latchkey-packages-'))
const [first, second] = [join(scratch, 'one'), join(scratch, 'another/deeper')]
const masterKey = 'sk-the-master-key-of-a-package-0123456789'
const config = { latchkey: { default_store: { system: 'embedded', access_mode: 'read_and_write' } } }

/** Both builds see another time zone and another folder. */
const build = (out: string, timeZone: string): Promise<unknown> =>
  run(process.execPath, ['functions/build.ts', '--combined', '--only', 'aws_secret_manager', '--only', 'embedded', '--config', join(scratch, 'config.yaml'), '--out', out], { cwd: root, env: { PATH: process.env['PATH'] ?? '', TZ: timeZone } })

beforeAll(async () => {
  writeFileSync(join(scratch, 'config.yaml'), JSON.stringify(config))
  await build(first, 'Pacific/Auckland')
  await build(second, 'America/Los_Angeles')
}, 120_000)

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const artifacts = deployables.map(({ host, entry }) => `${host}-${entry}`)
const unpacked = (artifact: string): Readonly<Record<string, Uint8Array>> => unzipSync(readFileSync(join(first, `${artifact}.zip`)))
const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('utf8')

/** Unpacks an archive as a platform does. */
const unpack = (artifact: string): string => {
  const folder = mkdtempSync(join(scratch, 'unpacked-'))
  for (const [path, bytes] of Object.entries(unpacked(artifact))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), bytes)
  }
  return folder
}

describe('two builds in two folders', () => {
  it.each(artifacts)('make the same %s, byte for byte', (artifact) => {
    for (const kind of ['zip', 'cdx.json']) expect(readFileSync(join(first, `${artifact}.${kind}`)).equals(readFileSync(join(second, `${artifact}.${kind}`)))).toBe(true)
  })

  it('differ when a file does', async () => {
    const copy = join(scratch, 'copy')
    cpSync(join(first, 'lambda/read'), copy, { recursive: true })
    const before = await archive(copy)

    writeFileSync(join(copy, 'latchkey.json'), '{}')

    expect(Buffer.from(await archive(copy)).equals(before)).toBe(false)
    expect(Buffer.from(before).equals(readFileSync(join(first, 'lambda-read.zip')))).toBe(true)
  })

  it('give every file the same time and rights, in order', () => {
    const zip = readFileSync(join(first, 'azure-read.zip'))
    const entries: { readonly name: string; readonly time: number; readonly rights: number }[] = []
    for (let at = zip.indexOf('PK\u0001\u0002', 0, 'latin1'); at >= 0; at = zip.indexOf('PK\u0001\u0002', at + 4, 'latin1')) {
      entries.push({ name: zip.toString('utf8', at + 46, at + 46 + zip.readUInt16LE(at + 28)), time: zip.readUInt32LE(at + 12), rights: zip.readUInt32LE(at + 38) >>> 16 })
    }

    expect(entries.map(({ name }) => name)).toEqual(Object.keys(unpacked('azure-read')).toSorted())
    expect([...new Set(entries.map(({ time, rights }) => `${time} ${rights.toString(8)}`))]).toEqual([`${(1 << 21) | (1 << 16)} 100644`])
  })
})

describe('an archive', () => {
  it.each(artifacts)('of %s carries its entry, its configuration, and no token', (artifact) => {
    const files = unpacked(artifact)
    const entry = artifact.split('-')[1] ?? ''

    expect(Object.keys(files)).toEqual(expect.arrayContaining([`${entry}.mjs`, 'latchkey.json']))
    expect(JSON.parse(textOf(files['latchkey.json']))).toMatchObject({ compiled: 'latchkey/2', file: config })
  })

  it.each(artifacts)('of %s holds no route of the other function, and no other host', (artifact) => {
    const [host = '', entry] = artifact.split('-')
    const text = Object.entries(unpacked(artifact)).filter(([path]) => !path.startsWith('node_modules/')).map(([, bytes]) => textOf(bytes)).join('\n')

    expect({ reads: text.includes('method:"POST",path:"/secrets:read"'), writes: text.includes('method:"POST",path:"/key/verify"') }).toEqual({ reads: ['read', 'combined'].includes(entry ?? ''), writes: ['keys', 'combined'].includes(entry ?? '') })
    const marks: Readonly<Record<string, boolean>> = { lambda: text.includes('multiValueHeaders'), azure: text.includes('x-ms-client-principal'), gcp: text.includes('CLOUD_RUN_TIMEOUT_SECONDS') }
    expect(Object.keys(marks).filter((name) => name !== host && marks[name] === true)).toEqual([])
    // What takes events answers no request, so nothing of requests is in it.
    expect(marks[host]).toBe(entry !== 'rotate')
  })

  it('for Lambda is the bundle alone', () => {
    expect(Object.keys(unpacked('lambda-read')).filter((path) => !/^(read\.mjs|latchkey\.json|chunks\/[\w.-]+\.mjs)$/.test(path))).toEqual([])
  })

  it('for Azure has the host file, the worker\'s package and nothing for people', async () => {
    const files = unpacked('azure-keys')
    const lock = await readLock()

    expect(JSON.parse(textOf(files['host.json']))).toMatchObject({ version: '2.0', extensions: { http: { routePrefix: '' } } })
    expect(JSON.parse(textOf(files['package.json']))).toMatchObject({ type: 'module', main: 'keys.mjs', dependencies: { '@azure/functions': lock['node_modules/@azure/functions']?.version } })
    expect(Object.keys(files)).toEqual(expect.arrayContaining(['node_modules/@azure/functions/dist/azure-functions.js', 'node_modules/@azure/functions/package.json', 'node_modules/@azure/functions/LICENSE', 'node_modules/cookie/package.json']))
    expect(Object.keys(files).filter((path) => /\.(map|ts|md)$/.test(path))).toEqual([])
  })

  it('for Google has the framework in package.json and everything below it in a lockfile, and not in itself', async () => {
    const files = unpacked('gcp-read')
    const lock = await readLock()
    const { packages } = JSON.parse(textOf(files['package-lock.json'])) as { packages: Lock }

    expect(JSON.parse(textOf(files['package.json']))).toMatchObject({ type: 'module', main: 'read.mjs', dependencies: { '@google-cloud/functions-framework': '5.0.5' } })
    expect(Object.keys(packages).filter((place) => place !== '')).toEqual(closureOf(lock, '@google-cloud/functions-framework'))
    expect(packages['node_modules/express']).toMatchObject({ version: lock['node_modules/express']?.version, integrity: lock['node_modules/express']?.integrity })
    expect(JSON.stringify(packages)).not.toMatch(/"dev|resolved|vitest/)
    expect(Object.keys(files).filter((path) => path.startsWith('node_modules/'))).toEqual([])
  })
})

describe('what was unpacked', () => {
  const env = { LITELLM_MASTER_KEY: masterKey, LATCHKEY_DATA_DIR: join(scratch, 'data') }
  const processes: Child[] = []
  afterAll(() => Promise.all(processes.map((child) => child.close())))
  const start = (script: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): Child => {
    const child = new Child([join(import.meta.dirname, 'processes', script), ...args], { ...env, ...more })
    processes.push(child)
    return child
  }

  it.each(['read', 'keys', 'combined'])('registers %s on Azure as one trigger for every path, anonymous to the platform, and has loaded no fetch by then', async (entry) => {
    const { functions, undici } = await start('azure-worker.mjs', [unpack(`azure-${entry}`)]).next<{ undici: boolean; functions: { name: string; bindings: Record<string, unknown> }[] }>()

    expect(undici).toBe(false)
    expect(functions).toMatchObject([{ name: entry, bindings: { $return: { type: 'http', direction: 'out' } } }])
    expect(Object.values(functions[0]?.bindings ?? {})).toContainEqual(expect.objectContaining({ type: 'httpTrigger', authLevel: 'anonymous', route: '{*path}', methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] }))
  })

  it('serves both kinds of routes from one combined app', async () => {
    const child = start('gcp-framework.mjs', [unpack('gcp-combined'), 'combined'], { NODE_ENV: 'production' })
    const { port, exports } = await child.next<{ port: number; exports: string[] }>()
    const ask = (method: string, path: string, body?: string) => askUrl(`http://127.0.0.1:${port}`, { method, path, headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body }) })

    const answers = [await ask('PUT', '/secrets/A', '{"value":"v"}'), await ask('GET', '/secrets/A')]

    expect(exports).toEqual(['combined'])
    expect(answers.map(({ status }) => status)).toEqual([201, 200])
  })

  it('does not start on Azure where it is told to trust an authentication that the platform says is off', async () => {
    const trusting = { LATCHKEY_CONFIG: JSON.stringify({ latchkey: { ...config.latchkey, trust: { easy_auth: true } } }) }
    const folder = unpack('azure-read')

    const [off, on] = [start('azure-worker.mjs', [folder], { ...trusting, WEBSITE_AUTH_ENABLED: 'False' }), start('azure-worker.mjs', [folder], { ...trusting, WEBSITE_AUTH_ENABLED: 'True' })]

    await expect(off.next()).rejects.toThrow(/App Service authentication is off/)
    await expect(on.next()).resolves.toMatchObject({ functions: [{ name: 'read' }] })
  })

  it('does not start without a time that it can keep', async () => {
    await expect(start('azure-worker.mjs', [unpack('azure-read')], { LATCHKEY_REQUEST_SECONDS: '26' }).next()).rejects.toThrow(/LATCHKEY_REQUEST_SECONDS must be a whole number from 1 to 25/)
  })
})

describe('the list of what is in it', () => {
  const listOf = (artifact: string): { bomFormat: string; specVersion: string; metadata: object; components: { name: string; group?: string; version: string; purl: string; hashes: { content: string }[]; 'bom-ref': string }[]; dependencies: { dependsOn: string[] }[] } =>
    JSON.parse(readFileSync(join(first, `${artifact}.cdx.json`), 'utf8')) as ReturnType<typeof listOf>

  it('is CycloneDX, names each package once with its hash, and no time', async () => {
    const list = listOf('lambda-read')
    const lock = await readLock()
    const aws = list.components.find(({ purl }) => purl.startsWith('pkg:npm/%40aws-sdk/client-secrets-manager@'))

    expect(list).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', metadata: { component: { type: 'application', name: 'latchkey-lambda-read' } } })
    expect(aws).toMatchObject({ group: '@aws-sdk', name: 'client-secrets-manager', version: lock['node_modules/@aws-sdk/client-secrets-manager']?.version, licenses: [{ license: { id: 'Apache-2.0' } }] })
    expect(`sha512-${Buffer.from(aws?.hashes[0]?.content ?? '', 'hex').toString('base64')}`).toBe(lock['node_modules/@aws-sdk/client-secrets-manager']?.integrity)
    expect(new Set(list.components.map((component) => component['bom-ref'])).size).toBe(list.components.length)
    expect(list.dependencies[0]?.dependsOn).toEqual(list.components.map((component) => component['bom-ref']))
    expect(JSON.stringify(list)).not.toMatch(/timestamp|serialNumber/)
  })

  it('has what is bundled and what runs beside it, and nothing that only built or tested it', () => {
    const names = (artifact: string): readonly string[] => listOf(artifact).components.map(({ purl }) => purl.replace(/@[^@]*$/, ''))

    expect(names('lambda-read').filter((name) => /zod|azure|google|esbuild|vitest|fflate/.test(name))).toEqual([])
    expect(names('lambda-keys')).toContain('pkg:npm/zod')
    expect(names('azure-read')).toEqual(expect.arrayContaining(['pkg:npm/%40azure/functions', 'pkg:npm/cookie']))
    expect(names('gcp-read')).toEqual(expect.arrayContaining(['pkg:npm/%40google-cloud/functions-framework', 'pkg:npm/express']))
  })

  it('cannot be made of a file whose package nobody locked', () => {
    const metafile = { inputs: { 'node_modules/a-stranger/index.js': { bytes: 1, imports: [] } }, outputs: {} }

    expect(() => sbom({ host: 'lambda', entry: 'read' }, metafile, [], {}, '1')).toThrow(/package-lock\.json has no node_modules\/a-stranger/)
  })
})

describe('the table', () => {
  it('has a source for every row, and the house has no entry without one', () => {
    expect(deployables.filter(({ host, entry }) => !existsSync(join(root, 'functions', host, `${entry}.ts`)))).toEqual([])
  })
})

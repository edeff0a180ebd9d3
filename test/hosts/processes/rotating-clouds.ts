// The built rotate functions, each in a process of its own under what its platform runs it with, over its cloud's fake; and the same store seen by the key lifecycle from
// here. Keys are made in the past of a standing clock; from then on the fake's time is the machine's, which is what a built function goes by.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CloudHost } from '../../../functions/build/bundle.ts'
import { buildFolder } from '../../../functions/build/folder.ts'
import { readLock } from '../../../functions/build/lockfile.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { openAws } from '../../conformance/harnesses/aws-secrets-manager.ts'
import { fakeApplication, openAzure, startVault } from '../../conformance/harnesses/azure-key-vault.ts'
import { openGoogleSecrets } from '../../conformance/harnesses/google-secret-manager.ts'
import { fakeKeys, startSecretsManagerFake } from '../../fakes/aws-secrets-manager.ts'
import { knownAccount } from '../../fakes/google-bearer.ts'
import { fakeProject, startGoogleFake } from '../../fakes/google/secret-manager.ts'
import { projectNumber } from '../../fakes/google/secrets.ts'
import { day, rotationHouse } from '../../rotation/rotation-house.ts'
import { testRuntime, type ManualClock } from '../../support/runtime.ts'
import { Child } from './child.ts'
import { askUrl, type Answered } from './opened-hosts.ts'
import { RuntimeApi, type Outcome } from './runtime-api.ts'
import { nameIn } from '../../../shared/core/stores/naming.ts'

/** How long ago everything is made that is in a cloud before its function starts. */
export const ageMs = 40 * day

/** The store as the key lifecycle has it. */
export type House = Awaited<ReturnType<typeof rotationHouse>>

/** Time as a fake tells it: a standing clock's while keys are made and looked at, else the machine's. */
class TwoTimes {
  clock: ManualClock | undefined
  standing = true

  readonly now = (): number => (this.standing && this.clock !== undefined ? this.clock.now() : Date.now())

  /** Looks with a clock that stands a little after whatever the function did. */
  async look<T>(at: (clock: ManualClock) => Promise<T>): Promise<T> {
    if (this.clock === undefined) throw new Error('There is no clock.')
    this.clock.set(Date.now() + 5_000)
    this.standing = true
    try {
      return await at(this.clock)
    } finally {
      this.standing = false
    }
  }
}

/** A cloud with one store, its built rotate function, and whoever looks at both. */
export interface RotatingCloud {
  /** Looks at the store after the function's work; time stands meanwhile, and may be advanced. */
  look<T>(at: (house: House) => Promise<T>): Promise<T>
  /** Requests so far that changed something, or tried to. */
  changes(): number
  /** From now on the service refuses its caller, until it is healed. */
  refuseAll(): void
  heal(): void
  /** Everything that the function's process printed. */
  output(): string
  close(): Promise<void>
}

interface Configured {
  readonly system: string
  readonly settings?: object
  readonly rotation?: object
}

const configurationOf = ({ system, settings, rotation }: Configured): string =>
  JSON.stringify({ general_settings: { key_management_system: system, key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true, ...settings } }, ...(rotation === undefined ? {} : { latchkey: { rotation } }) })

/** Builds the rotate function of a host as the build does. Answers the folder that is deployed. */
const buildRotate = async (host: CloudHost, under: string, system: string): Promise<string> => {
  const folder = join(under, 'rotate')
  await buildFolder({ host, entry: 'rotate' }, folder, { only: [system, 'environment'], lock: await readLock(), version: '0.0.0' })
  return folder
}

interface Opened<Face> {
  readonly cloud: Omit<RotatingCloud, 'look' | 'output' | 'close'>
  readonly house: House
  readonly time: TwoTimes
  /** What only this cloud has: how its function is asked, and what its service shows. */
  readonly face: Face
  /** The function's process, or those that it had one after the other. */
  readonly child: { output(): string; close(): Promise<void> }
  readonly folder: string
  readonly ends: readonly (() => Promise<unknown>)[]
}

const assembled = <Face extends object>({ cloud, house, time, face, child, folder, ends }: Opened<Face>): RotatingCloud & Face => ({
  ...cloud,
  ...face,
  look: (at) => time.look(() => at(house)),
  output: () => child.output(),
  close: async () => {
    await child.close()
    for (const end of ends) await end()
    await house.provider.close?.()
    rmSync(folder, { recursive: true, force: true })
  },
})

/** Fills a store by the lifecycle in the past, and lets time go on. */
const filled = async (time: TwoTimes, house: House, fill: (house: House) => Promise<void>): Promise<void> => {
  await fill(house)
  house.clock.set(Date.now())
  time.standing = false
}

/** What runs a function of AWS that is not bundled here and not run by our own few lines. */
export interface AwsDeployment {
  /** The unpacked archive. */
  readonly folder: string
  /** The runtime client's program. */
  readonly program: string
  /** `latchkey.rotation`, as it is written. */
  readonly rotation?: object
}

/** AWS: the function under the Runtime API. */
export interface RotatingAws extends RotatingCloud {
  /** `timeoutMs`: the function's time, which only the function keeps. Default: 30 000. */
  invoke(event: unknown, timeoutMs?: number): Promise<Outcome>
  /** From now on one request of such an operation is carried out and not answered, until the service is healed. */
  hold(operation: string): void
  /** Once it is there. */
  held(): Promise<void>
  /** Ends the function's process at once, its event with it, and starts it anew: what the platform does when its time is over. */
  restart(errorType: string): Promise<void>
  /** How long the first process took until it asked for an event, in milliseconds, and the most memory that the one now running ever had, in bytes. */
  readonly initMs: number
  memory(): number
  /** Reserves a version as the service does, for this function or another; answers the secret's ARN. */
  begin(name: string, version: string, lambda: string): string
  stagesOf(name: string, version: string): readonly string[]
}

/** Opens AWS. Default: a bundle made here, under our own few lines. */
export const openRotatingAws = async (fill: (house: House) => Promise<void>, deployment?: AwsDeployment): Promise<RotatingAws> => {
  const [time, runtime, under] = [new TwoTimes(), testRuntime({ hurries: true, now: Date.now() - ageMs }), mkdtempSync(join(tmpdir(), 'latchkey-rotate-lambda-'))]
  time.clock = runtime.clock
  const fake = await startSecretsManagerFake({ now: time.now })
  const house = await rotationHouse(runtime, () => openAws(runtime, { aws_secretsmanager_endpoint: fake.url, aws_max_attempts: 1 }))
  await filled(time, house, fill)
  const [folder, api] = [deployment?.folder ?? (await buildRotate('lambda', under, 'aws_secret_manager')), await RuntimeApi.start()]
  const credentials = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, AWS_ENDPOINT_URL: fake.url }
  const platform = { AWS_LAMBDA_RUNTIME_API: api.address, LAMBDA_TASK_ROOT: folder, _HANDLER: 'rotate.handler', AWS_LAMBDA_FUNCTION_NAME: 'latchkey', AWS_LAMBDA_FUNCTION_VERSION: '$LATEST', AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512', AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/latchkey', AWS_LAMBDA_LOG_STREAM_NAME: '2026/11/22/[$LATEST]0', HOME: under }
  const configured = { system: 'aws_secret_manager', ...(deployment?.rotation === undefined ? {} : { rotation: deployment.rotation }) }
  const env = { ...credentials, ...platform, LATCHKEY_CONFIG: configurationOf(configured) }
  const ended: Child[] = []
  const start = async (): Promise<Child> => {
    const child = new Child([deployment?.program ?? join(import.meta.dirname, 'lambda-bootstrap.mjs')], env)
    await Promise.race([api.idle(), child.ended()])
    return child
  }
  const started = performance.now()
  let child = await start()
  const initMs = performance.now() - started
  return assembled({
    time,
    house,
    child: { output: () => [...ended, child].map(({ output }) => output).join('\n'), close: () => child.close() },
    folder: under,
    ends: [() => api.close(), () => fake.close()],
    cloud: {
      changes: () => fake.requests.filter(({ operation }) => !/^(?:Get|List|Describe|BatchGet)/.test(operation)).length,
      refuseAll: () => fake.fault({ kind: 'denied' }),
      heal: () => fake.heal(),
    },
    face: {
      invoke: (event: unknown, timeoutMs?: number) => api.invoke(event, timeoutMs),
      hold: (operation: string) => fake.fault({ kind: 'slow', operations: [operation], times: 1 }),
      held: () => fake.held(),
      restart: async (errorType: string) => {
        await child.close()
        api.kill(errorType)
        ended.push(child)
        child = await start()
      },
      initMs,
      memory: () => 1_024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8'))?.[1] ?? 0),
      begin: (name: string, version: string, lambda: string) => fake.rotate(name, version, lambda),
      stagesOf: (name: string, version: string) => [...(fake.secrets.get(name)?.versions.get(version)?.labels ?? [])],
    },
  })
}

/** What became of one invocation on Azure: what it put into the queues of its outputs, or the failure that the host counts as an attempt. */
export interface Invoked {
  readonly outputs?: readonly (readonly [queue: string, text: string])[]
  readonly error?: string
}

/** What the app registered. */
export interface Registered {
  readonly name: string
  readonly bindings: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** Azure: the app under a stand-in for its worker. */
export interface RotatingAzure extends RotatingCloud {
  readonly registered: readonly Registered[]
  /** One delivery of a message to the function of that name. `text`: as it lies in the queue. */
  deliver(name: string, text: string, id: string): Promise<Invoked>
  tick(name: string): Promise<Invoked>
  /** The vault's own address of what we call so. */
  nativeOf(name: string): string
  /** Number of versions, and the end of the newest in epoch milliseconds. */
  vaultOf(name: string): { readonly versions: number; readonly expires: number | undefined }
}

/** A generator as an operator writes it, loaded by the built function from a file of theirs: each new value is the one before and a plus. */
const generatorSource = `export const create = ({ current }) => current + '+'
export const test = ({ pending, current }) => {
  if (pending !== current + '+') throw new Error('it is not accepted')
}
`

/** Opens Azure. */
export const openRotatingAzure = async (fill: (house: House) => Promise<void>): Promise<RotatingAzure> => {
  const [time, under] = [new TwoTimes(), mkdtempSync(join(tmpdir(), 'latchkey-rotate-azure-'))]
  const { vault, fake, runtime, io, settings } = await startVault({ now: time.now }, { now: Date.now() - ageMs })
  time.clock = runtime.clock
  const house = await rotationHouse(runtime, () => openAzure(io, settings))
  await filled(time, house, fill)
  const [folder, generator] = [await buildRotate('azure', under, 'azure_key_vault'), join(under, 'generator.mjs')]
  writeFileSync(generator, generatorSource)
  const credentials = { AZURE_KEY_VAULT_URI: fake.url, AZURE_AUTHORITY_HOST: fake.url, AZURE_TENANT_ID: fakeApplication.tenantId, AZURE_CLIENT_ID: fakeApplication.clientId, AZURE_CLIENT_SECRET: fakeApplication.secret }
  const configuration = configurationOf({ system: 'azure_key_vault', rotation: { secrets: [{ names: ['DB-PASSWORD'], module: generator }] } })
  const child = new Child([join(import.meta.dirname, 'azure-worker.mjs'), folder], { ...credentials, LATCHKEY_CONFIG: configuration, LATCHKEY_ROTATION_QUEUE: 'rotation', LATCHKEY_ROTATION_CONNECTION: 'EventsStorage' })
  const { functions } = await child.next<{ readonly functions: readonly Registered[] }>()
  const encoded = (name: string): string => house.provider.traits.names.encode(name.startsWith('litellm/') ? createdName(name) : nameIn(house.store, name))
  const asked = async (line: object): Promise<Invoked> => {
    child.say(line)
    return child.next<Invoked>()
  }
  return assembled({
    time,
    house,
    child: { output: () => child.output, close: () => child.close() },
    folder: under,
    ends: [() => fake.close()],
    cloud: {
      changes: () => fake.requests.filter((request) => vault.changes(request)).length,
      refuseAll: () => fake.fault({ kind: 'denied' }),
      heal: () => fake.heal(),
    },
    face: {
      registered: functions,
      deliver: (name: string, message: string, id: string) => asked({ kind: 'queue', name, message, id }),
      tick: (name: string) => asked({ kind: 'timer', name }),
      nativeOf: (name: string) => `${fake.url}/secrets/${encoded(name)}`,
      vaultOf: (name: string) => {
        const versions = vault.stored(encoded(name))
        const seconds = versions.at(-1)?.exp
        return { versions: versions.length, expires: seconds === undefined ? undefined : seconds * 1_000 }
      },
    },
  })
}

/** Google: the function under Google's own framework. */
export interface RotatingGoogle extends RotatingCloud {
  /** Sends one HTTP request to the framework. Default: to `/`. */
  post(headers: Readonly<Record<string, string>>, body: unknown, path?: string): Promise<Answered>
  /** The service's own name of what we call so. */
  nativeOf(name: string): string
}

/** What runs a function of Google's: given a built folder and its environment, a process with the port that it listens on. */
export type GoogleRunner = (env: Readonly<Record<string, string>>) => Promise<{ readonly child: Child; readonly port: number }>

/** Opens Google. Default: a bundle made here, under the framework on a free port of loopback. */
export const openRotatingGoogle = async (fill: (house: House) => Promise<void>, runner?: GoogleRunner): Promise<RotatingGoogle> => {
  const [time, runtime, under] = [new TwoTimes(), testRuntime({ hurries: true, now: Date.now() - ageMs }), mkdtempSync(join(tmpdir(), 'latchkey-rotate-gcp-'))]
  time.clock = runtime.clock
  const fake = await startGoogleFake({ now: time.now })
  const house = await rotationHouse(runtime, () => openGoogleSecrets(runtime, { google_endpoint: fake.url }))
  await filled(time, house, fill)
  const underFramework: GoogleRunner = async (env) => {
    const child = new Child([join(import.meta.dirname, 'gcp-framework.mjs'), await buildRotate('gcp', under, 'google_secret_manager'), 'rotate', 'cloudevent'], env)
    return { child, ...(await child.next<{ readonly port: number }>()) }
  }
  const credentials = { GOOGLE_SECRET_MANAGER_PROJECT_ID: fakeProject, GOOGLE_APPLICATION_CREDENTIALS: knownAccount().file, CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: fake.url }
  const { child, port } = await (runner ?? underFramework)({ ...credentials, LATCHKEY_CONFIG: configurationOf({ system: 'google_secret_manager' }), NODE_ENV: 'production' })
  return assembled({
    time,
    house,
    child: { output: () => child.output, close: () => child.close() },
    folder: under,
    ends: [() => fake.close()],
    cloud: {
      changes: () => fake.requests.filter((request) => fake.service.changes(request)).length,
      refuseAll: () => fake.fault({ kind: 'denied' }),
      heal: () => fake.heal(),
    },
    face: {
      post: (headers: Readonly<Record<string, string>>, body: unknown, path?: string) => askUrl(`http://127.0.0.1:${port}`, { method: 'POST', path: path ?? '/', headers, body: JSON.stringify(body) }),
      nativeOf: (name: string) => `projects/${projectNumber}/secrets/${house.provider.traits.names.encode(createdName(name))}`,
    },
  })
}

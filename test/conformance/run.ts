// `npm run exam -- --provider azure_key_vault --url https://…`: the same exam against any server that somebody names, without a test runner.
// Credentials are not for command lines, which every process of the machine can read: a secret setting is `os.environ/NAME` or comes by --settings-env.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { loadProvider, registry } from '../../shared/providers/registry.ts'
import { isCode } from '../../shared/core/errors.ts'
import type { Setting } from '../../shared/core/settings.ts'
import { canariesIn } from '../support/canary.ts'
import { runCase, type ExamCase } from './exam.ts'
import { count, emptyResult, examCases, examReasons, examTable, planExam, subjectOf } from './exam-cases.ts'
import type { Harness, Target } from './harness.ts'

const usage = `npm run exam -- --provider NAME --url URL [--setting KEY=VALUE …] [--settings-env PREFIX] [--only TEXT] [--settle-ms N] [--timeout-ms N]
npm run exam -- --list

  --provider      a system, as key_management_system names it
  --url           where the server is
  --setting       one further setting of the provider; a secret one only as KEY=os.environ/NAME; lists and maps as JSON
  --settings-env  takes every variable PREFIX<SETTING IN CAPITALS> as that setting
                  Beside these, the variables that the provider itself knows (AZURE_CLIENT_ID, HCP_VAULT_TOKEN, …) count, but for its address
  --only          only cases whose id contains this
  --settle-ms     how long the server needs until everybody sees a change, at most. Default: 0
  --timeout-ms    how long one case may take. Default: 60000
  --list          prints every case and every provider that can be examined so, and ends

The server is written to: names begin with litellm/exam-. Ends with 0 when everything that applies passed, 1 when something failed, 2 when it could not begin.`

/** Where settings may come from, and where lines go. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>
  print(line: string): void
}

type TargetHarness = (target: Target) => Harness

const harnessFolder = join(import.meta.dirname, 'harnesses')

/** The harnesses that take any server, by provider: each file of the folder is named like its provider's file and exports one `…TargetHarness`. */
const targetHarness = async (provider: string): Promise<TargetHarness | undefined> => {
  const plain = (text: string): string => text.replaceAll(/[-_]|\.ts$/g, '').replace('secretsmanager', 'secretmanager')
  const file = (await readdir(harnessFolder)).find((name) => plain(name) === plain(provider))
  if (file === undefined) return undefined
  const exported = (await import(/* @vite-ignore */ pathToFileURL(join(harnessFolder, file)).href)) as Record<string, unknown>
  return Object.entries(exported).find(([name]) => name.endsWith('TargetHarness'))?.[1] as TargetHarness | undefined
}

/** Settings that --url stands for. */
const address = /(?:_addr|_uri|_api_base|_site_url|(?<!sts)_endpoint)$/

class Refusal extends Error {}

/** The settings as given, held against the provider's table. @throws Refusal */
const settingsOf = (given: readonly string[], prefix: string | undefined, table: Readonly<Record<string, Setting>>, env: Terminal['env']): Record<string, unknown> => {
  const settings: Record<string, unknown> = {}
  const set = (key: string, text: string): void => {
    const setting = Object.hasOwn(table, key) ? table[key] : undefined
    if (setting === undefined) throw new Refusal(`${key} is no setting of this provider; there are ${Object.keys(table).join(', ')}.`)
    try {
      settings[key] = ['string_list', 'string_map'].includes(setting.type) ? (JSON.parse(text) as unknown) : text
    } catch {
      throw new Refusal(`${key} must be JSON.`)
    }
  }
  for (const [name, value] of Object.entries(env)) if (prefix !== undefined && value !== undefined && name.startsWith(prefix)) set(name.slice(prefix.length).toLowerCase(), value)
  for (const pair of given) {
    const at = pair.indexOf('=')
    if (at < 1) throw new Refusal('--setting is KEY=VALUE.')
    const [key, value] = [pair.slice(0, at), pair.slice(at + 1)]
    const name = value.startsWith('os.environ/') ? value.slice('os.environ/'.length) : undefined
    if (name === undefined && table[key]?.secret === true) throw new Refusal(`${key} is a secret: give it as ${key}=os.environ/NAME.`)
    const text = name === undefined ? value : env[name]
    if (text === undefined) throw new Refusal(`${key} refers to the environment variable ${String(name)}, which is not set.`)
    set(key, text)
  }
  const ambient = Object.entries(table).filter(([key]) => !Object.hasOwn(settings, key) && !address.test(key))
  for (const [key, setting] of ambient) {
    const text = setting.env?.map((name) => env[name]).find((value) => value !== undefined && value !== '')
    if (text !== undefined) set(key, text)
  }
  return settings
}

/** What is printed of a failed case: what the exam says of it, and nothing that a server may have said. */
const reasonOf = (error: unknown): string => {
  const text = (error instanceof Error ? `${error.name}: ${error.message}` : 'something that is no error was thrown').split('\n').slice(0, 6).join(' | ')
  return canariesIn(text).length > 0 ? '(the reason shows a value)' : text
}

const within = async (one: ExamCase, harness: Harness, ms: number): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not end within ${ms} ms`)), ms)
  })
  await Promise.race([runCase(one, harness), late]).finally(() => clearTimeout(timer))
}

const list = async ({ print }: Terminal): Promise<number> => {
  for (const one of examCases) print(`${one.id.padEnd(44)} ${subjectOf(one).padEnd(7)} ${one.title}`)
  const known = await Promise.all(Object.keys(registry).map(async (name) => ((await targetHarness(name)) === undefined ? [] : [name])))
  print(`${examCases.length} cases. Servers of ${known.flat().join(', ')} can be examined.`)
  return 0
}

/** The whole command. Answers its exit code. */
export const examine = async (args: readonly string[], terminal: Terminal): Promise<number> => {
  const { print } = terminal
  try {
    const text = { type: 'string' } as const
    const { values } = parseArgs({
      args: [...args],
      options: { provider: text, url: text, setting: { type: 'string', multiple: true }, 'settings-env': text, only: text, 'settle-ms': text, 'timeout-ms': text, list: { type: 'boolean' }, help: { type: 'boolean' } },
    })
    if (values.help === true) throw new Refusal(usage)
    if (values.list === true) return await list(terminal)
    if (values.provider === undefined || values.url === undefined) throw new Refusal(usage)
    if (!URL.canParse(values.url)) throw new Refusal('--url must be a URL.')
    const definition = await loadProvider(values.provider, '--provider')
    const make = await targetHarness(values.provider)
    if (make === undefined) throw new Refusal(`${values.provider} has no harness that takes any server.`)
    const settings = settingsOf(values.setting ?? [], values['settings-env'], definition.settings, terminal.env)
    const harness = make({ url: values.url, settings, settleMs: Number(values['settle-ms'] ?? 0) })
    const plan = await planExam(harness)
    const result = emptyResult(values.provider, plan)
    let failed = 0
    for (const one of plan.applying.filter(({ id }) => id.includes(values.only ?? ''))) {
      const error = await within(one, harness, Number(values['timeout-ms'] ?? 60_000)).then(
        () => undefined,
        (thrown: unknown) => ({ thrown }),
      )
      count(result, one, error === undefined)
      if (error === undefined) continue
      failed += 1
      print(`failed  ${one.id}: ${one.title}\n        ${reasonOf(error.thrown)}`)
    }
    for (const capability of plan.lacking) print(`failed  the provider lacks ${capability}, which it must have`)
    print(examTable([result]))
    for (const reason of examReasons([result])) print(reason)
    return failed + plan.lacking.length === 0 ? 0 : 1
  } catch (error) {
    if (error instanceof Refusal || isCode(error, 'misconfigured') || (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))) {
      print(error instanceof Error ? error.message : usage)
      return 2
    }
    print(`The exam could not begin: ${reasonOf(error)}`)
    return 2
  }
}

if (import.meta.main) {
  process.exitCode = await examine(process.argv.slice(2), { env: process.env, print: (line) => void process.stdout.write(`${line}\n`) })
}

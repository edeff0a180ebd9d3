// Stands in for the Node worker of Azure Functions: loads an app by the `main` of its package.json, and runs what it is given (an HTTP request, a message of a queue, a
// timer's tick) through the programming model that the app's own copy of @azure/functions registered. Requests, contexts and answers are that package's objects; only
// the host's RPC is ours. A queue's message is decoded as the host does it, by the app's host.json, and arrives as text.
import { readFileSync } from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const core = pathToFileURL(join(import.meta.dirname, 'azure-core.cjs')).href
registerHooks({ resolve: (specifier, context, next) => (specifier === '@azure/functions-core' ? { url: core, format: 'commonjs', shortCircuit: true } : next(specifier, context)) })
const say = (line) => process.stdout.write(`@ ${JSON.stringify(line)}\n`)

const app = process.argv[2]
const fileOf = (name) => JSON.parse(readFileSync(join(app, name), 'utf8'))
const { main } = fileOf('package.json')
await import(pathToFileURL(join(app, main)).href)
const { kept } = createRequire(import.meta.url)('./azure-core.cjs')
say({ functions: kept.functions.map((registered) => registered.metadata), undici: process.moduleLoadList.some((name) => name.includes('undici/undici')) })

const queueEncoding = fileOf('host.json').extensions.queues.messageEncoding
let count = 0
const invoke = async (name, data, triggerMetadata = {}) => {
  count += 1
  const { metadata, callback } = kept.functions.find((registered) => registered.metadata.name === name) ?? kept.functions[0]
  const trigger = Object.entries(metadata.bindings).find(([, binding]) => binding.type.endsWith('Trigger'))[0]
  const coreContext = { invocationId: `invocation-${count}`, metadata, request: { inputData: [{ name: trigger, data }], triggerMetadata }, log: () => undefined, state: undefined }
  const model = kept.model.getInvocationModel(coreContext)
  const { context, inputs } = await model.getArguments()
  return { metadata, ...(await model.getResponse(context, await model.invokeFunction(context, inputs, callback))) }
}
const asked = {
  http: async ({ method, url, headers, body }) => {
    const http = { method, url, headers, query: {}, params: {}, ...(body === undefined ? {} : { body: { bytes: Buffer.from(body, 'base64') } }) }
    const { statusCode, headers: answered, body: sent } = (await invoke(undefined, { http })).returnValue.http
    return { status: Number(statusCode), headers: answered, body: Buffer.from(sent?.bytes ?? sent?.string ?? '').toString('utf8') }
  },
  queue: async ({ name, message, id }) => {
    const string = queueEncoding === 'base64' ? Buffer.from(message, 'base64').toString('utf8') : message
    const { metadata, outputData } = await invoke(name, { string }, { Id: { string: id }, DequeueCount: { int: 1 } })
    return { outputs: outputData.map((output) => [metadata.bindings[output.name].queueName, output.data.string ?? output.data.json]) }
  },
  timer: async ({ name }) => {
    const { outputData } = await invoke(name, { json: '{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}' })
    return { outputs: outputData }
  },
}
const serve = async ({ tag, kind = 'http', ...given }) => say({ tag, ...(await asked[kind](given)) })
for await (const line of createInterface({ input: process.stdin })) void serve(JSON.parse(line)).catch((error) => say({ error: error.message }))

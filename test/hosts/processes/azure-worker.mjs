// Stands in for the Node worker of Azure Functions: loads an app by the `main` of its package.json, and runs each HTTP request that it is given through the
// programming model that the app's own copy of @azure/functions registered. Requests, contexts and answers are that package's objects; only the host's RPC is ours.
import { readFileSync } from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const core = pathToFileURL(join(import.meta.dirname, 'azure-core.cjs')).href
registerHooks({ resolve: (specifier, context, next) => (specifier === '@azure/functions-core' ? { url: core, format: 'commonjs', shortCircuit: true } : next(specifier, context)) })
const say = (line) => process.stdout.write(`@ ${JSON.stringify(line)}\n`)

const app = process.argv[2]
const { main } = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'))
await import(pathToFileURL(join(app, main)).href)
const { kept } = createRequire(import.meta.url)('./azure-core.cjs')
const [{ metadata, callback }] = kept.functions
say({ functions: kept.functions.map((registered) => registered.metadata), undici: process.moduleLoadList.some((name) => name.includes('undici/undici')) })

const trigger = Object.entries(metadata.bindings).find(([, binding]) => binding.type === 'httpTrigger')[0]
let count = 0
const serve = async ({ tag, method, url, headers, body }) => {
  count += 1
  const http = { method, url, headers, query: {}, params: {}, ...(body === undefined ? {} : { body: { bytes: Buffer.from(body, 'base64') } }) }
  const coreContext = { invocationId: `invocation-${count}`, metadata, request: { inputData: [{ name: trigger, data: { http } }], triggerMetadata: {} }, log: () => undefined, state: undefined }
  const model = kept.model.getInvocationModel(coreContext)
  const { context, inputs } = await model.getArguments()
  const { returnValue } = await model.getResponse(context, await model.invokeFunction(context, inputs, callback))
  const { statusCode, headers: answered, body: sent } = returnValue.http
  say({ tag, status: Number(statusCode), headers: answered, body: Buffer.from(sent?.bytes ?? sent?.string ?? '').toString('utf8') })
}
for await (const line of createInterface({ input: process.stdin })) void serve(JSON.parse(line)).catch((error) => say({ error: error.message }))

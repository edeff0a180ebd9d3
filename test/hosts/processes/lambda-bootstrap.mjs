// A Lambda runtime in a few lines: loads the handler that _HANDLER names and serves the Runtime API's events one after the other, as AWS's own does. Plain
// JavaScript and no import of the project's, so that what runs is the bundle.
import { join } from 'node:path'
import { request } from 'node:http'

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':')
const call = (method, path, body) =>
  new Promise((resolve, reject) => {
    const sent = request({ host, port, method, path: `/2018-06-01/runtime/${path}`, headers: body === undefined ? {} : { 'content-type': 'application/json' } }, async (response) => {
      const chunks = []
      for await (const chunk of response) chunks.push(chunk)
      resolve({ headers: response.headers, body: Buffer.concat(chunks).toString('utf8') })
    })
    sent.on('error', reject)
    sent.end(body)
  })
const errorOf = (error) => JSON.stringify({ errorType: error.name, errorMessage: error.message })

const [file, name] = process.env._HANDLER.split('.')
let handler
try {
  handler = (await import(join(process.env.LAMBDA_TASK_ROOT, `${file}.mjs`)))[name]
} catch (error) {
  await call('POST', 'init/error', errorOf(error))
  process.exit(1)
}
for (;;) {
  const { headers, body } = await call('GET', 'invocation/next')
  const id = headers['lambda-runtime-aws-request-id']
  const context = { awsRequestId: id, invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'], getRemainingTimeInMillis: () => Number(headers['lambda-runtime-deadline-ms']) - Date.now() }
  try {
    await call('POST', `invocation/${id}/response`, JSON.stringify((await handler(JSON.parse(body), context)) ?? null))
  } catch (error) {
    await call('POST', `invocation/${id}/error`, errorOf(error))
  }
}

// Google's own functions-framework around a built function: what `functions-framework --target` does, but on loopback and on a free port.
import { join } from 'node:path'
import { http } from '@google-cloud/functions-framework'
import { getTestServer } from '@google-cloud/functions-framework/testing'

const [folder, name] = process.argv.slice(2)
const exported = await import(join(folder, `${name}.mjs`))
http(name, exported[name])
const server = getTestServer(name)
server.listen(0, '127.0.0.1', () => process.stdout.write(`@ ${JSON.stringify({ port: server.address().port, exports: Object.keys(exported) })}\n`))

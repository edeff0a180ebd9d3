// Google's own functions-framework around a built function, found by the framework's own loader through the folder's package.json: what its command line does, with its
// signature type as the third argument, but on loopback and on a free port.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { cloudEvent, http } from '@google-cloud/functions-framework'
import { getTestServer } from '@google-cloud/functions-framework/testing'

const [folder, name, signature = 'http'] = process.argv.slice(2)
const { getUserFunction } = await import(new URL('loader.js', import.meta.resolve('@google-cloud/functions-framework')).href)
const found = await getUserFunction(folder, name, signature)
if (found === null) process.exit(1)
const register = signature === 'cloudevent' ? cloudEvent : http
register(name, found.userFunction)
const exported = await import(pathToFileURL(join(folder, `${name}.mjs`)).href)
const server = getTestServer(name)
server.listen(0, '127.0.0.1', () => process.stdout.write(`@ ${JSON.stringify({ port: server.address().port, exports: Object.keys(exported) })}\n`))

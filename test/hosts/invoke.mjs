// Stands in for the platform: loads a built bundle as Lambda does, by import(), and hands it one event for every line it is given. Plain JavaScript and
// no import of the project's, so that what is measured is the bundle.
import { createInterface } from 'node:readline'

const say = (line) => process.stdout.write(`@ ${JSON.stringify(line)}\n`)
const undici = () => process.moduleLoadList.some((name) => name.includes('undici/undici'))

const before = process.moduleLoadList.length
const { handler } = await import(process.argv[2])
say({ loaded: process.moduleLoadList.length - before, undici: undici() })

for await (const line of createInterface({ input: process.stdin })) {
  const { event, remainingMs } = JSON.parse(line)
  try {
    const answer = await handler(event, { getRemainingTimeInMillis: () => remainingMs ?? 30_000 })
    say({ answer, undici: undici(), builtins: process.moduleLoadList.length - before, rss: process.memoryUsage.rss() })
  } catch (error) {
    say({ error: { name: error.name, message: error.message }, undici: undici() })
  }
}

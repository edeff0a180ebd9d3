// Stands in for a function host: loads one bundle, calls its handler twice, and says in one line how long each part took and what the process had loaded by then.
// Plain JavaScript without an import of the project's, so that what is measured is the bundle. `node boot.mjs <bundle> <event as JSON>`
const booted = performance.now()
const { createRequire } = process.getBuiltinModule('node:module')
const { readFileSync, writeSync } = process.getBuiltinModule('node:fs')
const [, , bundle, event] = process.argv
const builtinsAtStart = process.moduleLoadList.length
const undici = () => process.moduleLoadList.some((name) => name.includes('undici/undici'))

const { handler } = bundle.endsWith('.cjs') ? createRequire(import.meta.url)(bundle) : await import(bundle)
const imported = performance.now()
const [builtinsAtImport, undiciAtImport] = [process.moduleLoadList.length, undici()]
const context = { getRemainingTimeInMillis: () => 30_000 }
const first = await handler(JSON.parse(event), context)
const answered = performance.now()
const [builtins, undiciAtRead, rss, cpu] = [process.moduleLoadList.length, undici(), process.memoryUsage.rss(), process.cpuUsage()]
await handler(JSON.parse(event), context)
const again = performance.now()
if (!(first.statusCode < 300 && String(first.body).length > 0)) throw new Error(`the handler answered ${first.statusCode}: ${first.body}`)

const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024
const line = {
  firstResponse: answered, boot: booted, import: imported - booted, firstCall: answered - imported, secondCall: again - answered,
  cpu: (cpu.user + cpu.system) / 1000, rss, peak,
  builtinsAtImport: builtinsAtImport - builtinsAtStart, builtins: builtins - builtinsAtStart, undici: undiciAtImport ? 'import' : undiciAtRead ? 'first call' : 'never',
}
writeSync(1, `@ ${JSON.stringify(line)}\n`)
process.exit(0)

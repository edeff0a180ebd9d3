// Has the evaluator answer a file of simulations, and prints its answers in their order. A program of its own, run by Node with the paths of the package's entry and of the file.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

interface Evaluator {
  runSimulation(simulation: object, options: object): Promise<{ readonly resultType: string; readonly overallResult?: string; readonly errors?: unknown }>
}

const [entry = '', file = ''] = process.argv.slice(2)
const { runSimulation } = (await import(pathToFileURL(entry).href)) as Evaluator
const answers: string[] = []
for (const simulation of JSON.parse(readFileSync(file, 'utf8')) as readonly object[]) {
  const { overallResult, errors } = await runSimulation(simulation, {})
  answers.push(overallResult ?? `it cannot tell: ${JSON.stringify(errors)}`)
}
process.stdout.write(JSON.stringify(answers))

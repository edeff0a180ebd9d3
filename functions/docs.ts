// `npm run docs` writes every generated part of the README from the tables that the program itself runs on; `--check` only says whether they are fresh.
// A part stands between `<!-- generated:NAME -->` and `<!-- /generated -->`; everything else in the file is somebody's prose and stays.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { sections } from './docs-sections.ts'

const readme = join(import.meta.dirname, '../README.md')
const part = /<!-- generated:([\w-]+) -->[\s\S]*?<!-- \/generated -->/g

/** The text with every generated part made anew. @throws when a part is unknown, stands twice, or none of a name is there */
export const generate = async (text: string): Promise<string> => {
  const made = await sections()
  const names = [...text.matchAll(part)].map(([, name]) => name ?? '')
  const wrong = [
    ...names.filter((name) => !Object.hasOwn(made, name)).map((name) => `generated:${name} is no part; there are ${Object.keys(made).join(', ')}`),
    ...names.filter((name, index) => names.indexOf(name) !== index).map((name) => `generated:${name} stands twice`),
    ...Object.keys(made).filter((name) => !names.includes(name)).map((name) => `generated:${name} is nowhere`),
  ]
  if (wrong.length > 0) throw new Error(wrong.join('\n'))
  return text.replace(part, (_whole, name: string) => `<!-- generated:${name} -->\n\n${made[name] ?? ''}\n\n<!-- /generated -->`)
}

const main = async (): Promise<void> => {
  const { values } = parseArgs({ options: { check: { type: 'boolean' } } })
  const before = await readFile(readme, 'utf8')
  const after = await generate(before)
  if (before === after) return void process.stdout.write('README.md is fresh\n')
  if (values.check !== true) return writeFile(readme, after)
  process.stderr.write('README.md is stale: run npm run docs and commit the result\n')
  process.exitCode = 1
}

if (import.meta.main) await main()

// Writes the templates of every kind of deployment into a folder and prints their paths: a process of its own, because the stacks are typed apart from the rest.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { appOf, removeScratch, templatesOf, variants } from './stacks.ts'

const folder = process.argv[2] ?? '.'
for (const [variant, yaml] of Object.entries(variants)) {
  for (const [name, template] of Object.entries(templatesOf((await appOf(yaml)).app))) {
    const path = join(folder, `${variant}-${name}.json`)
    writeFileSync(path, JSON.stringify(template))
    process.stdout.write(`${path}\n`)
  }
}
removeScratch()

// AWS's own Node runtime client of Lambda: installed and compiled once, from a lockfile of its own, into the cache folder. It needs autoconf, automake, libtool, cmake
// and a C++ compiler.
import { existsSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, run } from '../python-peers.ts'

const manifests = ['package.json', 'package-lock.json']

/** The path of its program, installed when it is not there. @throws when it cannot be compiled, or the registry cannot be reached */
export const runtimeClient = async (): Promise<string> => {
  const content = manifests.map((file) => readFileSync(join(import.meta.dirname, file), 'utf8')).join('\n')
  const folder = cacheFolder('lambda-ric', `${content}${process.versions.modules}`)
  const program = join(folder, 'node_modules/aws-lambda-ric/index.mjs')
  const complete = join(folder, '.complete')
  if (existsSync(complete)) return program
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const file of manifests) cpSync(join(import.meta.dirname, file), join(folder, file))
  // The registry's own settings belong to whoever runs this.
  await run('npm', ['ci', '--prefix', folder, '--no-fund', '--no-audit'], { ...process.env })
  writeFileSync(complete, '')
  return program
}

// The schema of Terraform's Google provider 6.50, as a package of generated types: installed once, from a lockfile of its own, into the cache folder. It is data of 100 MB; no code of it runs.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, run } from '../python-peers.ts'

const manifests = ['package.json', 'package-lock.json']

/** The path of the schema. @throws when the registry cannot be reached */
export const terraformSchema = async (): Promise<string> => {
  const folder = cacheFolder('terraform-schema', manifests.map((file) => readFileSync(join(import.meta.dirname, file), 'utf8')).join('\n'))
  const schema = join(folder, 'node_modules/@cdktf/provider-google/.jsii')
  const complete = join(folder, '.complete')
  if (existsSync(complete)) return schema
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const file of manifests) cpSync(join(import.meta.dirname, file), join(folder, file))
  // Of its peers nothing is wanted, and nothing of it needs to be built.
  await run('npm', ['ci', '--prefix', folder, '--legacy-peer-deps', '--ignore-scripts', '--no-fund', '--no-audit'], { ...process.env })
  writeFileSync(complete, '')
  return schema
}

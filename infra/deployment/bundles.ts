// One file drives functions and stacks: what is deployed must have been built from the configuration that the stacks are made of.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { withoutDeployment } from '../../shared/core/configuration/compile.ts'
import { fileOf } from '../../shared/core/configuration/compiled.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { functionNames } from '../names.ts'

/** Looks into every bundle. @throws misconfigured for one that is not there, or was built from another file */
export const refuseOtherBundles = (codeRoot: string, path: string, input: unknown): void => {
  const build = `npm run build -- --host lambda --config ${path}`
  for (const name of functionNames) {
    const folder = join(codeRoot, name)
    if (!existsSync(join(folder, `${name}.mjs`))) throw new LatchkeyError('misconfigured', `${folder} holds no built function; run ${build}`)
    const within = join(folder, 'latchkey.json')
    if (!existsSync(within)) throw new LatchkeyError('misconfigured', `${folder} was built without a configuration; run ${build}`)
    const built = fileOf(JSON.parse(readFileSync(within, 'utf8')))
    if (!isDeepStrictEqual(built, JSON.parse(JSON.stringify(withoutDeployment(input) ?? null)))) throw new LatchkeyError('misconfigured', `${folder} was built from another configuration than ${path}; run ${build}`)
  }
}

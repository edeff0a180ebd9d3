// A configuration file as a stack takes it: what it says, and functions that have it in them. The app of this repository builds them with the file; whoever has Latchkey as a
// package puts the file into the functions that are in it.
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Environment } from 'aws-cdk-lib'
import { loadConfigFile } from '../../functions/local/config-file.ts'
import { compile, withoutDeployment } from '../../shared/core/configuration/compile.ts'
import { identities } from '../../shared/core/configuration/identities.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { registry } from '../../shared/providers/registry.ts'
import { nodeFiles, processEnv } from '../../shared/telemetry/node-runtime.ts'
import { readInfraConfig, type InfraConfig } from '../config.ts'
import { functionNames } from '../names.ts'
import { refuseOtherBundles } from './bundles.ts'

/** The props of `LatchkeyStack`. */
export interface FromFile {
  readonly config: InfraConfig
  /** The folder of the functions. */
  readonly codeRoot: string
  /** As the file has them; what it leaves out is the credentials' business. */
  readonly env: Environment
}

/** Beside the folder `infra` of the package; nowhere in the repository, which has one for every file. */
const packaged = join(import.meta.dirname, '../../lambda')

/** Copies of the functions, with the file in each. CDK takes what it deploys while the stack is made, so they are gone when the process ends. */
const withFile = (input: unknown): string => {
  if (!existsSync(packaged)) throw new LatchkeyError('misconfigured', 'there are no built functions here; name the folder that npm run build wrote: dist/lambda')
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-functions-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const file = withoutDeployment(input)
  const written = JSON.stringify(compile(file, { env: processEnv, loopback: false, systems: Object.keys(registry), identities }) ?? file)
  for (const name of functionNames) {
    cpSync(join(packaged, name), join(folder, name), { recursive: true })
    writeFileSync(join(folder, name, 'latchkey.json'), written)
  }
  return folder
}

/**
 * Reads the file, with the environment for what it refers to. `codeRoot`: functions that were built with it. Default: those of the package.
 * @throws misconfigured with every problem of the file, and for functions that were built from another one
 */
export const fromFile = async (path: string, codeRoot?: string): Promise<FromFile> => {
  if (!existsSync(path)) throw new LatchkeyError('misconfigured', `the file ${path} is not there; give the one that the functions were built with: npx cdk deploy -c configFile=config.yaml`)
  const { input } = await loadConfigFile(path, processEnv, nodeFiles)
  const config = await readInfraConfig({ path, input }, processEnv)
  if (codeRoot !== undefined) refuseOtherBundles(codeRoot, path, input)
  return { config, codeRoot: codeRoot ?? withFile(input), env: { account: config.account, region: config.region } }
}

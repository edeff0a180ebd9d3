// Which variables a function has that hold a secret. Lambda puts no secret into a variable by itself: what stands there is a reference, and the function reads it while it initialises.
import { managerOfVariables } from '../../shared/core/configuration/references.ts'
import type { InfraConfig } from '../config.ts'
import { functionNames, type FunctionName } from '../names.ts'

/** By variable: the name or ARN of its secret. */
export type SecretVariables = Readonly<Record<string, string>>

const keyPaths: readonly string[] = ['general_settings.master_key', 'latchkey.gateway.master_key']

/** Callers are known to `read` and `keys`; the gateway is changed by `keys` and `rotate`. Whatever else a variable is for, every function opens the stores. */
const usersOf = ({ masterKey, gateway, references }: InfraConfig['configuration'], variable: string): readonly FunctionName[] => {
  const [callers, gateways] = [masterKey, gateway?.masterKey].map((plan) => plan?.kind === 'name' && plan.name === variable)
  const elsewhere = references.some(({ name, ref, path }) => name === variable && ref.store === undefined && !keyPaths.includes(path))
  if (elsewhere || (callers !== true && gateways !== true)) return functionNames
  return functionNames.filter((name) => (name === 'read' ? callers : name === 'rotate' ? gateways : true))
}

/** The variables of one function: a master key that it never uses is not among them. */
export const variablesOf = ({ secretVariables, configuration }: Pick<InfraConfig, 'secretVariables' | 'configuration'>, name: FunctionName): SecretVariables =>
  Object.fromEntries(Object.entries(secretVariables).filter(([variable]) => usersOf(configuration, variable).includes(name)))

/** The same as Lambda has them: references, never values. */
export const referencesOf = (config: Pick<InfraConfig, 'secretVariables' | 'configuration'>, name: FunctionName): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(variablesOf(config, name)).map(([variable, secret]) => [variable, `secret://${managerOfVariables}/${secret}`]))

// What each function of a configuration may do, all in all: secrets, their keys, roles of other accounts, tokens for other clouds.
import type { InfraConfig } from '../config.ts'
import type { FunctionName, Place } from '../names.ts'
import { assumeStatements, cipherStatements, keysStatements, kmsStatements, outboundIdentityStatements, readStatements, rotateStatements, variableStatements, type Statement } from '../policies.ts'
import { variablesOf } from './variables.ts'

/** The statements of every function. `ownKeys`: keys of secrets that the deployment makes itself. */
export const functionStatements = (config: InfraConfig, place: Place, ownKeys: readonly string[] = []): Readonly<Record<FunctionName, readonly Statement[]>> => {
  const { secrets, secretsRegion, keyArns, cipherKeyArns, roles, federation } = config
  const at = { ...place, region: secretsRegion ?? place.region }
  const around = (name: FunctionName): readonly Statement[] => [
    ...variableStatements(Object.values(variablesOf(config, name)), place),
    ...kmsStatements([...keyArns, ...ownKeys], at, name !== 'read'),
    ...cipherStatements(cipherKeyArns),
    ...assumeStatements(roles, place),
    ...outboundIdentityStatements(federation.outbound_audiences ?? []),
  ]
  return {
    read: [...(secrets === undefined ? [] : readStatements(secrets, at)), ...around('read')],
    keys: [...(secrets === undefined ? [] : keysStatements(secrets, at)), ...around('keys')],
    rotate: [...(secrets === undefined ? [] : rotateStatements(secrets, at)), ...around('rotate')],
  }
}

// What each function of a configuration may do, all in all: secrets, their keys, roles of other accounts, tokens for other clouds.
import type { InfraConfig } from '../config.ts'
import type { FunctionName, Place } from '../names.ts'
import { assumeStatements, cipherStatements, keysStatements, kmsStatements, outboundIdentityStatements, readStatements, rotateStatements, variableStatements, type Statement } from '../policies.ts'

/** The statements of every function. `ownKeys`: keys of secrets that the deployment makes itself. */
export const functionStatements = ({ secrets, secretsRegion, secretVariables, keyArns, cipherKeyArns, roles, federation }: InfraConfig, place: Place, ownKeys: readonly string[] = []): Readonly<Record<FunctionName, readonly Statement[]>> => {
  const at = { ...place, region: secretsRegion ?? place.region }
  const around = (writes: boolean): readonly Statement[] => [
    ...variableStatements(Object.values(secretVariables), place),
    ...kmsStatements([...keyArns, ...ownKeys], at, writes),
    ...cipherStatements(cipherKeyArns),
    ...assumeStatements(roles, place),
    ...outboundIdentityStatements(federation.outbound_audiences ?? []),
  ]
  return {
    read: [...(secrets === undefined ? [] : readStatements(secrets, at)), ...around(false)],
    keys: [...(secrets === undefined ? [] : keysStatements(secrets, at)), ...around(true)],
    rotate: [...(secrets === undefined ? [] : rotateStatements(secrets, at)), ...around(true)],
  }
}

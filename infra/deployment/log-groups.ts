// Log groups beside those of the functions. All are encrypted with the deployment's key, whose policy names each of them.
import { functionNames, logGroupName } from '../names.ts'

/** Their names. AWS WAF takes only groups whose names begin with `aws-waf-logs-`. */
export const logGroups = (deployment: string): Readonly<Record<'api' | 'network' | 'firewall', string>> => ({ api: `/aws/apigateway/${deployment}`, network: `/aws/vpc/${deployment}`, firewall: `aws-waf-logs-${deployment}` })

/** Every log group of a deployment. */
export const allLogGroups = (deployment: string): readonly string[] => [...functionNames.map((name) => logGroupName(deployment, name)), ...Object.values(logGroups(deployment))]

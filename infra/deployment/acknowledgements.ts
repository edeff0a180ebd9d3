// Findings of cdk-nag that are right about a template and still meant. Each is acknowledged by its exact id with a reason; a test holds them to five in one deployment, and
// fails when one no longer matches a finding.
import { Stack, Validations } from 'aws-cdk-lib'
import { CfnManagedPolicy } from 'aws-cdk-lib/aws-iam'
import type { IConstruct } from 'constructs'
import type { InfraConfig } from '../config.ts'
import { namesOf } from '../endpoint-policies.ts'
import { belowPrefix, ownRecords, secretArn, type Place } from '../names.ts'

/** A resource as cdk-nag writes it: what only the deployment knows stands in angle brackets. */
const written = (resolved: unknown): string => {
  if (typeof resolved !== 'object' || resolved === null) return String(resolved)
  const { Ref: ref, 'Fn::GetAtt': attribute, 'Fn::Join': join } = resolved as { readonly Ref?: string; readonly 'Fn::GetAtt'?: readonly string[]; readonly 'Fn::Join'?: readonly [string, readonly unknown[]] }
  return ref !== undefined ? `<${ref}>` : attribute !== undefined ? `<${attribute.join('.')}>` : (join?.[1].map(written).join(join[0]) ?? '')
}

/** Acknowledges one rule below a construct, and nowhere else. */
export const acknowledge = (scope: IConstruct, id: string, reason: string): void => Validations.of(scope).acknowledge({ id, reason })

/** Acknowledges that statements below a construct name this resource, which has a wildcard in it. */
export const acknowledgeWildcard = (scope: IConstruct, resource: string, reason: string): void => acknowledge(scope, `AwsSolutions-IAM5[Resource::${written(Stack.of(scope).resolve(resource))}]`, reason)

/** Acknowledges what statements about secrets cannot name more exactly, at each policy in which it stands. */
export const acknowledgeSecrets = (scope: IConstruct, { secrets, secretsRegion }: InfraConfig, place: Place): void => {
  const at = { ...place, region: secretsRegion ?? place.region }
  const reasons: readonly (readonly [resource: string, reason: string])[] = [
    ['*', 'ListSecrets and BatchGetSecretValue (and, where they are asked for, traces, network interfaces and tokens for another cloud) take no resource; a test allows no other action beside it.'],
    ...(secrets === undefined ? [] : [
      [belowPrefix(at, secrets.prefix), 'Keys are made at run time, and AWS ends the ARN of a secret with six characters of its own: the prefix is the narrowest name there is.'] as const,
      [ownRecords(at, secrets.prefix), "Latchkey's own records have ids in their names."] as const,
      ...namesOf(secrets).filter((name) => name.includes('*')).map((name) => [secretArn(at, name), 'The configuration names these secrets by a pattern.'] as const),
    ]),
  ]
  for (const policy of scope.node.findAll().filter((one) => one instanceof CfnManagedPolicy)) {
    const { Statement: statements } = Stack.of(scope).resolve(policy.policyDocument) as { readonly Statement: readonly { readonly Effect: string }[] }
    const text = JSON.stringify(statements.filter(({ Effect }) => Effect === 'Allow'))
    for (const [resource, reason] of reasons) if (text.includes(JSON.stringify(Stack.of(scope).resolve(resource)))) acknowledgeWildcard(policy, resource, reason)
  }
}

// Who comes from somewhere else without a key: managed identities of Azure, service accounts of Google, pods of Kubernetes. Each is pinned by an id that nobody can be given later.
import type { Place } from './names.ts'
import type { Statement, TrustStatement } from './policies.ts'

const webIdentity = (Sid: string, provider: string, equals: Readonly<Record<string, string | readonly string[]>>): TrustStatement => ({
  Sid, Effect: 'Allow', Principal: { Federated: provider }, Action: ['sts:AssumeRoleWithWebIdentity'], Condition: { StringEquals: equals },
})

/** The issuer of Entra's first token version, as a managed identity gets it. The slash at its end is part of it. */
export const entraIssuer = (tenantId: string): string => `sts.windows.net/${tenantId}/`

/** Managed identities of one directory, by their object ids, with tokens for this audience. */
export const entraTrust = (providerArn: string, tenantId: string, audience: string, principalIds: readonly string[]): readonly TrustStatement[] => {
  const issuer = entraIssuer(tenantId)
  return [webIdentity('ManagedIdentities', providerArn, { [`${issuer}:aud`]: audience, [`${issuer}:sub`]: principalIds })]
}

/** Service accounts of Google by their unique ids, each in a statement of its own so that no two can be mixed. What AWS calls `aud` is the account (Google's `azp`); the audience is `oaud`. */
export const googleTrust = (audience: string, serviceAccountIds: readonly string[]): readonly TrustStatement[] =>
  serviceAccountIds.map((id, index) => webIdentity(`ServiceAccount${index + 1}`, 'accounts.google.com', { 'accounts.google.com:oaud': audience, 'accounts.google.com:aud': id, 'accounts.google.com:sub': id }))

/** A Kubernetes service account, as the policies name it. */
export interface ServiceAccount {
  readonly namespace: string
  readonly serviceAccount: string
}

/** A pod by its projected token. `issuer` without its scheme. */
export const irsaTrust = (providerArn: string, issuer: string, { namespace, serviceAccount }: ServiceAccount): readonly TrustStatement[] => [
  webIdentity('Pod', providerArn, { [`${issuer}:aud`]: 'sts.amazonaws.com', [`${issuer}:sub`]: `system:serviceaccount:${namespace}:${serviceAccount}` }),
]

/** A pod by EKS's own agent, of this cluster and this service account only. */
export const podIdentityTrust = ({ partition, region, account }: Place, clusterName: string, { namespace, serviceAccount }: ServiceAccount): readonly TrustStatement[] => [
  {
    Sid: 'Pod', Effect: 'Allow', Principal: { Service: 'pods.eks.amazonaws.com' }, Action: ['sts:AssumeRole', 'sts:TagSession'],
    Condition: {
      StringEquals: { 'aws:SourceAccount': account, 'aws:RequestTag/kubernetes-namespace': namespace, 'aws:RequestTag/kubernetes-service-account': serviceAccount },
      ArnEquals: { 'aws:SourceArn': `arn:${partition}:eks:${region}:${account}:cluster/${clusterName}` },
    },
  },
]

/** One role of another account that a pod goes on to. EKS sends an external id of its own. */
export const targetRoleStatements = (roleArn: string): readonly Statement[] => [{ Sid: 'GoOnToTheTarget', Effect: 'Allow', Action: ['sts:AssumeRole', 'sts:TagSession'], Resource: [roleArn] }]

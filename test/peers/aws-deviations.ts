// Where the peers of AWS Secrets Manager are wrong, by the exam's case ids. Each must still be wrong, so that an upgrade shows itself.
// Each carries its reproduction: a few lines for boto3, AWS's client in another language, and what they print.
import type { Deviation } from '../conformance/harness.ts'
import type { AwsPeer } from './start-peers.ts'

/** A peer's own mistake, shown by a client that has nothing of ours. */
export interface Reproduction {
  /** Python. `sm` is boto3's client on the peer, `name` a name that nobody uses. */
  readonly program: string
  readonly prints: string
  /** What AWS does instead. */
  readonly aws: string
}

/** A case that a peer fails. */
export interface PeerDeviation extends Deviation {
  readonly reproduction: Reproduction
}

const ownVersionIds: Reproduction = {
  program: "print(sm.create_secret(Name=name, SecretString='x', ClientRequestToken='t' * 32)['VersionId'] == 't' * 32)",
  prints: 'False',
  aws: 'The client request token becomes the id of the version.',
}

/** By peer. */
export const awsDeviations: Readonly<Record<AwsPeer, readonly PeerDeviation[]>> = {
  moto: [
    {
      case: 'claim.parallel',
      reason: 'a label other than AWSCURRENT is attached to several versions at once',
      reproduction: {
        program: [
          "sm.create_secret(Name=name, SecretString='a', ClientRequestToken='a' * 32)",
          "for letter in 'bc': sm.put_secret_value(SecretId=name, SecretString=letter, ClientRequestToken=letter * 32, VersionStages=['own-' + letter])",
          "for letter in 'bc': sm.update_secret_version_stage(SecretId=name, VersionStage='shared', MoveToVersionId=letter * 32)",
          "print(sum('shared' in stages for stages in sm.describe_secret(SecretId=name)['VersionIdsToStages'].values()))",
        ].join('\n'),
        prints: '2',
        aws: 'InvalidParameterException: a label that another version holds moves only with RemoveFromVersionId.',
      },
    },
    {
      case: 'list.invalid-cursor',
      reason: 'a page token that no list gave is a server error',
      reproduction: {
        program: "try: sm.list_secrets(NextToken='not a token')\nexcept Exception as error: print(error.response['ResponseMetadata']['HTTPStatusCode'])",
        prints: '500',
        aws: 'InvalidNextTokenException.',
      },
    },
  ],
  ministack: [
    { case: 'write.same-operation', reason: 'create: VersionId is not the ClientRequestToken', reproduction: ownVersionIds },
    { case: 'write.same-operation-other-value', reason: 'create: VersionId is not the ClientRequestToken', reproduction: ownVersionIds },
    { case: 'write.same-operation-late', reason: 'create: VersionId is not the ClientRequestToken', reproduction: ownVersionIds },
    { case: 'write.parallel-repetitions', reason: 'create: VersionId is not the ClientRequestToken', reproduction: ownVersionIds },
    {
      case: 'list.invalid-cursor',
      reason: 'a page token that no list gave begins the list again',
      reproduction: { program: "print(type(sm.list_secrets(NextToken='not a token')['SecretList']).__name__)", prints: 'list', aws: 'InvalidNextTokenException.' },
    },
  ],
}

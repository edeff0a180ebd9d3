// The fake STS under boto3, AWS's client in another language: what it gives and how it refuses are read the same way there.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { fakeKeys } from '../fakes/aws-signature.ts'
import { fakeIssuer, startStsFake, type StsFake } from '../fakes/sts.ts'
import { clientEnv, run } from './python-peers.ts'

const python = inject('python')
const user = { ...fakeKeys, arn: 'arn:aws:iam::100000000001:user/latchkey' }
const pod = 'arn:aws:iam::100000000001:role/Pod'
const target = 'arn:aws:iam::200000000002:role/Target'

let fake: StsFake
beforeAll(async () => {
  fake = await startStsFake({ now: () => Date.now(), callers: [user], roles: [{ arn: pod, web: fakeIssuer }, { arn: target, principals: [user.arn, pod], externalId: 'the-right-one', tagSession: true }] })
})
afterAll(() => fake.close())

const program = `
import boto3, json, sys
from botocore.exceptions import ClientError
argument = json.loads(sys.argv[1])
def sts(keys=None, **more):
    keys = keys or {'AccessKeyId': argument['id'], 'SecretAccessKey': argument['secret'], 'SessionToken': None}
    return boto3.client('sts', aws_access_key_id=keys['AccessKeyId'], aws_secret_access_key=keys['SecretAccessKey'], aws_session_token=keys['SessionToken'], **more)
def said(act):
    try: return act()
    except ClientError as error: return error.response['Error']['Code']
def role(client=None, **more):
    return (client or sts()).assume_role(**{'RoleArn': argument['target'], 'RoleSessionName': 'boto3', 'ExternalId': 'the-right-one', **more})
def web(token, **more):
    return sts().assume_role_with_web_identity(**{'RoleArn': argument['pod'], 'RoleSessionName': 'boto3', 'WebIdentityToken': token, **more})
arn = lambda answer: answer['AssumedRoleUser']['Arn']
chained = lambda: sts(web(argument['token'])['Credentials'])
print(json.dumps({
    'user': said(lambda: sts().get_caller_identity()['Arn']),
    'role': said(lambda: arn(role(Tags=[{'Key': 'team', 'Value': 'blue'}]))),
    'session': said(lambda: sts(role()['Credentials']).get_caller_identity()['Arn']),
    'web': said(lambda: arn(web(argument['token']))),
    'chained': said(lambda: arn(role(chained()))),
    'chained too long': said(lambda: role(chained(), DurationSeconds=3601)),
    'wrong external id': said(lambda: role(ExternalId='another')),
    'source identity': said(lambda: role(SourceIdentity='somebody')),
    'expired token': said(lambda: web(argument['expired'])),
    'foreign token': said(lambda: web(argument['foreign'])),
    'wrong secret key': said(lambda: role(sts({'AccessKeyId': argument['id'], 'SecretAccessKey': 'wrong', 'SessionToken': None}))),
    'wrong region': said(lambda: role(sts(region_name='eu-west-1'))),
    'over the limit of the role': said(lambda: role(DurationSeconds=7200)),
}))`

const examine = (): void => {
  it('gives and refuses as AWS does', async () => {
    const argument = { id: user.accessKeyId, secret: user.secretAccessKey, pod, target, token: fake.token(), expired: fake.token({ exp: 1 }), foreign: fake.token({ aud: 'another' }) }

    const answers = JSON.parse(await run(python, ['-c', program, JSON.stringify(argument)], clientEnv(fake.url))) as Record<string, string>

    expect(answers).toEqual({
      user: user.arn,
      role: 'arn:aws:sts::200000000002:assumed-role/Target/boto3',
      session: 'arn:aws:sts::200000000002:assumed-role/Target/boto3',
      web: 'arn:aws:sts::100000000001:assumed-role/Pod/boto3',
      chained: 'arn:aws:sts::200000000002:assumed-role/Target/boto3',
      'chained too long': 'ValidationError',
      'wrong external id': 'AccessDenied',
      'source identity': 'AccessDenied',
      'expired token': 'ExpiredTokenException',
      'foreign token': 'InvalidIdentityToken',
      'wrong secret key': 'SignatureDoesNotMatch',
      'wrong region': 'SignatureDoesNotMatch',
      'over the limit of the role': 'ValidationError',
    })
  })
}

describe('the fake STS under boto3', () => {
  if (python === '') {
    it('is left out: there is no Python environment', () => {
      expect(python).toBe('')
    })
  } else examine()
})

// The evaluator against what IAM's documentation says, row by row: what proves the policies must itself be proven. Page titles are those of the IAM user guide.
import { describe, expect, it } from 'vitest'
import { decide, decideAssume, type Context, type PolicyDocument, type WrittenStatement } from './support/iam.ts'
import { resolve, type Template, type World } from './support/template.ts'

const role = 'arn:aws:iam::111122223333:role/app'
const other = 'arn:aws:iam::444455556666:role/app'
const get = 's3:GetObject'
const object = 'arn:aws:s3:::bucket/folder/file'
const policy = (...Statement: readonly WrittenStatement[]): readonly PolicyDocument[] => [{ Version: '2012-10-17', Statement }]
const allow = (more: Partial<WrittenStatement> = {}): WrittenStatement => ({ Effect: 'Allow', Action: get, Resource: '*', ...more })
const deny = (more: Partial<WrittenStatement> = {}): WrittenStatement => ({ Effect: 'Deny', Action: get, Resource: '*', ...more })

describe('a statement', () => {
  it.each<[page: string, says: string, statements: readonly WrittenStatement[], allowed: boolean]>([
    ['Policy evaluation logic', 'a request that nothing allows is denied', [], false],
    ['Policy evaluation logic', 'an Allow that matches allows', [allow()], true],
    ['Policy evaluation logic', 'a Deny overrides an Allow, whatever the order', [deny(), allow()], false],
    ['Policy evaluation logic', 'a Deny of another action denies nothing', [allow(), deny({ Action: 's3:PutObject' })], true],
    ['Action', 'actions are the same in any case', [allow({ Action: 'S3:getobject' })], true],
    ['Action', 'a wildcard stands for any characters', [allow({ Action: ['s3:Get*'] })], true],
    ['Action', 'a question mark stands for one character', [allow({ Action: 's3:GetObjec?' })], true],
    ['Action', 'a question mark stands for no second one', [allow({ Action: 's3:Get?' })], false],
    ['NotAction', 'an Allow with NotAction allows everything else', [allow({ Action: undefined, NotAction: 'iam:*' })], true],
    ['NotAction', 'an Allow with NotAction does not allow what it names', [allow({ Action: undefined, NotAction: 's3:*' })], false],
    ['NotAction', 'a Deny with NotAction denies everything else', [allow(), deny({ Action: undefined, NotAction: 'iam:*' })], false],
    ['Resource', 'resources are told apart by case', [allow({ Resource: 'arn:aws:s3:::Bucket/*' })], false],
    ['Resource', 'a wildcard spans slashes', [allow({ Resource: 'arn:aws:s3:::bucket/*' })], true],
    ['Resource', 'a wildcard may stand in the middle', [allow({ Resource: 'arn:aws:s3:::bucket/*/file' })], true],
    ['Resource', 'a wildcard stays within its part of the ARN', [allow({ Resource: 'arn:aws:s3::*:file' })], false],
    ['Resource', 'one of several is enough', [allow({ Resource: ['arn:aws:s3:::elsewhere/*', object] })], true],
    ['NotResource', 'a Deny with NotResource spares what it names', [allow(), deny({ Resource: undefined, NotResource: 'arn:aws:s3:::bucket/*' })], true],
    ['NotResource', 'a Deny with NotResource denies everything else', [allow(), deny({ Resource: undefined, NotResource: 'arn:aws:s3:::other/*' })], false],
  ])('%s: %s', (_page, _says, statements, allowed) => {
    expect(decide({ identity: policy(...statements) }, { action: get, resource: object }).allowed).toBe(allowed)
  })
})

it('a resource that is no ARN, and no placeholder of one, is not understood', () => {
  expect(() => decide({ identity: policy(allow({ Resource: 'arn:aws:s3*' })) }, { action: get, resource: object })).toThrow('arn:aws:s3*')
})

describe('a condition', () => {
  it.each<[page: string, says: string, condition: WrittenStatement['Condition'], context: Context, allowed: boolean]>([
    ['Condition operators', 'StringEquals is exact', { StringEquals: { 'aws:PrincipalTag/team': 'Pay' } }, { 'aws:PrincipalTag/team': 'pay' }, false],
    ['Condition operators', 'StringEquals knows no wildcard', { StringEquals: { 'sts:RoleSessionName': 'latchkey-*' } }, { 'sts:RoleSessionName': 'latchkey-a' }, false],
    ['Condition operators', 'StringEquals is false for a key that is absent', { StringEquals: { 'sts:ExternalId': 'x1' } }, {}, false],
    ['Condition operators', 'StringNotEquals is true for a key that is absent', { StringNotEquals: { 'aws:SourceVpce': 'vpce-1' } }, {}, true],
    ['Condition operators', 'StringEqualsIgnoreCase is the same in any case', { StringEqualsIgnoreCase: { 'aws:x': 'ABC' } }, { 'aws:x': 'abc' }, true],
    ['Condition operators', 'StringLike knows wildcards', { StringLike: { 'sts:RoleSessionName': 'latchkey-*' } }, { 'sts:RoleSessionName': 'latchkey-a' }, true],
    ['Condition operators', 'StringLike matches the whole value', { StringLike: { 'sts:RoleSessionName': 'latchkey-*' } }, { 'sts:RoleSessionName': 'my-latchkey-a' }, false],
    ['Condition operators', 'StringNotLike is the opposite', { StringNotLike: { 'aws:x': 'a*' } }, { 'aws:x': 'abc' }, false],
    ['Condition operators', 'ArnEquals behaves as ArnLike', { ArnEquals: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/a*' } }, { 'aws:PrincipalArn': role }, true],
    ['Condition operators', 'ArnLike compares each of the six parts apart', { ArnLike: { 'aws:SourceArn': 'arn:aws:*:role/app' } }, { 'aws:SourceArn': role }, false],
    ['Condition operators', 'ArnNotEquals is true for a key that is absent', { ArnNotEquals: { 'aws:SourceArn': role } }, {}, true],
    ['Condition operators', 'Null true asks for absence', { Null: { 'aws:TokenIssueTime': 'true' } }, {}, true],
    ['Condition operators', 'Null false asks for presence', { Null: { 'sts:ExternalId': 'false' } }, {}, false],
    ['Condition operators', 'Null false is content with any value', { Null: { 'sts:ExternalId': 'false' } }, { 'sts:ExternalId': 'x' }, true],
    ['Condition operators', 'Bool compares true and false', { Bool: { 'aws:SecureTransport': 'true' } }, { 'aws:SecureTransport': 'false' }, false],
    ['Condition operators', 'Bool is false for a key that is absent', { Bool: { 'aws:MultiFactorAuthPresent': 'true' } }, {}, false],
    ['Condition operators', 'IfExists is true for a key that is absent', { BoolIfExists: { 'aws:MultiFactorAuthPresent': 'true' } }, {}, true],
    ['Condition operators', 'IfExists compares a key that is there', { StringEqualsIfExists: { 'aws:x': 'a' } }, { 'aws:x': 'b' }, false],
    ['Condition operators', 'numbers are compared as numbers', { NumericGreaterThanEquals: { 'secretsmanager:RecoveryWindowInDays': '7' } }, { 'secretsmanager:RecoveryWindowInDays': '10' }, true],
    ['Condition operators', 'NumericLessThanEquals holds at its edge', { NumericLessThanEquals: { 'sts:DurationSeconds': '300' } }, { 'sts:DurationSeconds': '300' }, true],
    ['Condition operators', 'a numeric operator is false for a key that is absent', { NumericGreaterThanEquals: { 'secretsmanager:RecoveryWindowInDays': '7' } }, {}, false],
    ['Conditions with multiple keys or values', 'several values of one key are joined by OR', { StringEquals: { 'sts:ExternalId': ['old', 'new'] } }, { 'sts:ExternalId': 'new' }, true],
    ['Conditions with multiple keys or values', 'several values of a negated operator are joined by NOR', { StringNotEquals: { 'aws:x': ['a', 'b'] } }, { 'aws:x': 'b' }, false],
    ['Conditions with multiple keys or values', 'several keys are joined by AND', { StringEquals: { 'aws:x': 'a', 'aws:y': 'b' } }, { 'aws:x': 'a' }, false],
    ['Conditions with multiple keys or values', 'several operators are joined by AND', { StringEquals: { 'aws:x': 'a' }, Null: { 'aws:y': 'true' } }, { 'aws:x': 'a', 'aws:y': 'b' }, false],
    ['Condition', 'condition keys are the same in any case', { StringEquals: { 'AWS:principaltag/team': 'a' } }, { 'aws:PrincipalTag/team': 'a' }, true],
    ['Set operators', 'ForAllValues is true for a key that is absent', { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['a'] } }, {}, true],
    ['Set operators', 'ForAllValues is false for one value outside the list', { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['a', 'b'] } }, { 'aws:TagKeys': ['a', 'c'] }, false],
    ['Set operators', 'ForAnyValue is false for a key that is absent', { 'ForAnyValue:StringEquals': { 'aws:TagKeys': ['a'] } }, {}, false],
    ['Set operators', 'ForAnyValue is content with one value of the list', { 'ForAnyValue:StringEquals': { 'aws:TagKeys': ['a'] } }, { 'aws:TagKeys': ['a', 'c'] }, true],
    ['Set operators', 'ForAllValues with a negated operator asks that no value is in the list', { 'ForAllValues:StringNotEquals': { 'aws:TagKeys': ['a'] } }, { 'aws:TagKeys': ['a', 'c'] }, false],
    ['Policy variables', "a variable is the request's own value", { StringEquals: { 'aws:ResourceTag/team': '${aws:PrincipalTag/team}' } }, { 'aws:ResourceTag/team': 'a', 'aws:PrincipalTag/team': 'a' }, true],
    ['Policy variables', 'a variable without a value matches nothing', { StringEquals: { 'aws:ResourceTag/team': '${aws:PrincipalTag/team}' } }, { 'aws:ResourceTag/team': 'a' }, false],
    ['Policy variables', 'a wildcard in the value of a variable is no wildcard', { StringLike: { 'aws:ResourceTag/team': '${aws:PrincipalTag/team}' } }, { 'aws:ResourceTag/team': 'abc', 'aws:PrincipalTag/team': 'a*' }, false],
  ])('%s: %s', (_page, _says, Condition, context, allowed) => {
    expect(decide({ identity: policy(allow({ Condition })) }, { action: get, resource: object, context }).allowed).toBe(allowed)
  })

  it.each<[string, WrittenStatement['Condition'], Context]>([
    ['an operator that is not known', { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }, { 'aws:SourceIp': '10.0.0.1' }],
    ['a key of several values under an operator for one', { StringEquals: { 'aws:TagKeys': 'a' } }, { 'aws:TagKeys': ['a', 'b'] }],
  ])('throws at %s', (_what, Condition, context) => {
    expect(() => decide({ identity: policy(allow({ Condition })) }, { action: get, resource: object, context })).toThrow(/evaluator|ForAnyValue/)
  })
})

describe('policies of several kinds', () => {
  const question = { action: get, resource: object }

  it.each([
    ['Permissions boundaries', 'the boundary must allow as well', { boundary: policy(allow({ Action: 's3:PutObject' })) }, 'implicit boundary'],
    ['Permissions boundaries', 'the boundary alone grants nothing', { identity: policy(), boundary: policy(allow()) }, 'implicit identity'],
    ['Session policies', 'the session policy must allow as well', { session: policy(allow({ Resource: 'arn:aws:s3:::other/*' })) }, 'implicit session'],
    ['Session policies', 'a Deny in one kind decides', { session: policy(allow(), deny({ Sid: 'no' })) }, 'session: no'],
    ['VPC endpoint policies', 'the endpoint must let it through', { endpoint: policy({ ...allow({ Action: 's3:List*' }), Principal: '*' }) }, 'implicit endpoint'],
    ['Policy evaluation logic', 'what all of them allow is allowed', { boundary: policy(allow()), session: policy(allow()), endpoint: policy({ ...allow(), Principal: '*' }) }, 'allowed'],
  ])('%s: %s', (_page, _says, policies, why) => {
    expect(decide({ identity: policy(allow()), ...policies }, { ...question, caller: { kind: 'AWS', id: role } }).why).toBe(why)
  })
})

describe('a role that is assumed', () => {
  const target = 'arn:aws:iam::111122223333:role/target'
  const mayAssume = policy({ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: target })
  const trust = (principal: unknown, more: Partial<WrittenStatement> = {}): readonly PolicyDocument[] => policy({ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: principal, ...more })

  it.each<[page: string, says: string, caller: string, identity: readonly PolicyDocument[], trust: readonly PolicyDocument[], why: string]>([
    ['Cross-account policy evaluation', 'both accounts must allow', other, mayAssume, trust({ AWS: other }), 'allowed'],
    ['Cross-account policy evaluation', "the trust alone is not enough for another account's role", other, policy(), trust({ AWS: other }), 'implicit identity'],
    ['Cross-account policy evaluation', "the caller's own policy alone is not enough", other, mayAssume, trust({ AWS: role }), 'implicit trust'],
    ['Principal', 'the root of an account stands for everybody in it', other, mayAssume, trust({ AWS: 'arn:aws:iam::444455556666:root' }), 'allowed'],
    ['Principal', 'so does the bare account id', other, mayAssume, trust({ AWS: '444455556666' }), 'allowed'],
    ['Principal', 'the root of another account does not', other, mayAssume, trust({ AWS: 'arn:aws:iam::999999999999:root' }), 'implicit trust'],
    ['Resource-based policies in one account', 'naming the role itself is enough', role, policy(), trust({ AWS: role }), 'allowed'],
    ['Resource-based policies in one account', 'naming the account delegates to its policies', role, policy(), trust({ AWS: '111122223333' }), 'implicit identity'],
    ['Principal', 'a wildcard is no part of a principal', other, mayAssume, trust({ AWS: 'arn:aws:iam::444455556666:role/*' }), 'implicit trust'],
    ['Policy evaluation logic', 'a Deny in the trust policy decides', other, mayAssume, [...trust({ AWS: '*' }), ...policy({ Sid: 'not you', Effect: 'Deny', Action: 'sts:*', Principal: { AWS: other } })], 'trust: not you'],
  ])('%s: %s', (_page, _says, caller, identity, trusting, why) => {
    expect(decideAssume({ identity, trust: trusting }, { action: 'sts:AssumeRole', resource: target, caller: { kind: 'AWS', id: caller } }).why).toBe(why)
  })

  it('Federated principals: an identity provider needs no policy of its own, and another one is a stranger', () => {
    const web = policy({ Effect: 'Allow', Action: 'sts:AssumeRoleWithWebIdentity', Principal: { Federated: 'accounts.google.com' } })
    const ask = (id: string): boolean => decideAssume({ trust: web }, { action: 'sts:AssumeRoleWithWebIdentity', resource: target, caller: { kind: 'Federated', id } }).allowed

    expect([ask('accounts.google.com'), ask('sts.windows.net')]).toEqual([true, false])
  })
})

describe('a template', () => {
  const template: Template = { Parameters: { Team: { Type: 'String', Default: '', AllowedPattern: '[a-z]*' }, Ids: { Type: 'CommaDelimitedList' } }, Conditions: { HasTeam: { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'Team' }, ''] }] } }, Resources: {} }
  const world: World = { account: '111122223333', region: 'eu-central-1', parameters: { Ids: 'a1,b2' }, attributes: { 'Role.Arn': 'arn:x' } }

  it.each<[string, unknown, unknown]>([
    ['pseudo parameters in a join', { 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':iam::', { Ref: 'AWS::AccountId' }, ':root']] }, 'arn:aws:iam::111122223333:root'],
    ['names in a Sub', { 'Fn::Sub': 'secretsmanager.${AWS::Region}.amazonaws.com and ${Role.Arn} and ${!Literal}' }, 'secretsmanager.eu-central-1.amazonaws.com and arn:x and ${Literal}'],
    ['a list of its own in a Sub', { 'Fn::Sub': ['${a}-b', { a: { Ref: 'AWS::Region' } }] }, 'eu-central-1-b'],
    ['a list parameter', { Ref: 'Ids' }, ['a1', 'b2']],
    ['a part of a split', { 'Fn::Select': ['1', { 'Fn::Split': [',', 'x,y'] }] }, 'y'],
    ['what only a deployment knows', { 'Fn::GetAtt': ['Queue', 'Arn'] }, '<Queue.Arn>'],
    ['a branch that is not taken', [{ 'Fn::If': ['HasTeam', 'team', { Ref: 'AWS::NoValue' }] }, 'end'], ['end']],
  ])('resolves %s', (_what, value, expected) => {
    expect(resolve(value, template, world)).toEqual(expected)
  })

  it.each<[string, unknown, World]>([
    ['a parameter that its own pattern refuses', { Ref: 'Team' }, { ...world, parameters: { Team: 'A' } }],
    ['a parameter without a value', { Ref: 'Ids' }, { ...world, parameters: {} }],
    ['an intrinsic that it does not know', { 'Fn::GetStackOutput': {} }, world],
  ])('throws at %s', (_what, value, there) => {
    expect(() => resolve(value, template, there)).toThrow(/Parameter|intrinsic|not know/)
  })
})

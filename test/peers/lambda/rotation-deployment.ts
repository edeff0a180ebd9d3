// The keys and rotate functions as boto3 deploys them on ministack: a queue with its dead letters and a rule for changed labels before the one, a function URL before the other, a schedule, and
// between rotate and the Secrets Manager a relay that can be told not to answer about one secret.
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Python. Its argument is a plan; it prints what it made. */
export const deployRotation = `
import boto3, json, sys
plan = json.loads(sys.argv[1])
mark, made = plan['mark'], {}
functions, sqs, events = (boto3.client(name) for name in ('lambda', 'sqs', 'events'))
role = boto3.client('iam').create_role(RoleName='rotation-' + mark, AssumeRolePolicyDocument='{}')['Role']['Arn']
for name, function in plan['functions'].items():
    with open(function['zip'], 'rb') as file: code = file.read()
    made[name] = functions.create_function(FunctionName=f'{name}-{mark}', Runtime='nodejs24.x', Role=role, Handler=name + '.handler', Code={'ZipFile': code}, Timeout=function['timeout'], MemorySize=512, Environment={'Variables': function['env']})['FunctionArn']
def queue(name, **attributes):
    url = sqs.create_queue(QueueName=f'{name}-{mark}', Attributes=attributes)['QueueUrl']
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
dead, dead_arn = queue('dead')
source, source_arn = queue('source', VisibilityTimeout='10', RedrivePolicy=json.dumps({'deadLetterTargetArn': dead_arn, 'maxReceiveCount': 2}))
functions.create_event_source_mapping(EventSourceArn=source_arn, FunctionName=made['rotate'], BatchSize=10, FunctionResponseTypes=['ReportBatchItemFailures'])
rule = events.put_rule(Name='labels-' + mark, EventPattern=json.dumps({'source': ['aws.secretsmanager'], 'detail-type': ['Secret Label Updated'], 'detail': {'name': [{'prefix': plan['prefix'] + '/'}]}}))['RuleArn']
functions.add_permission(FunctionName=made['rotate'], StatementId='labels', Action='lambda:InvokeFunction', Principal='events.amazonaws.com', SourceArn=rule)
events.put_targets(Rule='labels-' + mark, Targets=[{'Id': 'rotate', 'Arn': made['rotate']}])
url = functions.create_function_url_config(FunctionName=made['keys'], AuthType='NONE')['FunctionUrl']
print(json.dumps({'source': source, 'dead': dead, 'keysUrl': url, 'rotate': made['rotate'], 'role': role}))`

/** Python. Has the Scheduler call a function every minute, first a minute from now. */
export const scheduleSweep = `
import boto3, json, sys
name, function, role = sys.argv[1:]
sweep = {'source': 'latchkey.scheduler', 'action': 'rotate due', 'schedule': '<aws.scheduler.schedule-arn>', 'scheduledTime': '<aws.scheduler.scheduled-time>'}
boto3.client('scheduler').create_schedule(Name=name, ScheduleExpression='rate(1 minute)', FlexibleTimeWindow={'Mode': 'OFF'}, Target={'Arn': function, 'RoleArn': role, 'Input': json.dumps(sweep)})`

/**
 * Python. Has a key rotated as Secrets Manager does it: rotation is configured, a version is reserved, and the function is called for each step, twice. ministack calls no
 * function by itself, and reserves nothing. It prints what the function answered, and the labels of the version.
 */
export const driveSteps = `
import boto3, json, sys, uuid
name, function = sys.argv[1:]
sm, functions, token = boto3.client('secretsmanager'), boto3.client('lambda'), str(uuid.uuid4())
arn = functions.get_function(FunctionName=function)['Configuration']['FunctionArn']
sm.rotate_secret(SecretId=name, RotationLambdaARN=arn, ClientRequestToken=str(uuid.uuid4()))
sm.put_secret_value(SecretId=name, ClientRequestToken=token, SecretString='reserved', VersionStages=['AWSPENDING'])
secret = sm.describe_secret(SecretId=name)['ARN']
def step(step, secret=secret):
    return json.loads(functions.invoke(FunctionName=function, Payload=json.dumps({'Step': step, 'SecretId': secret, 'ClientRequestToken': token}))['Payload'].read())
refused = [step('finishSecret'), step('createSecret', secret.replace('123456789012', '999999999999'))]
answers = [step(each) for each in ('createSecret', 'setSecret', 'testSecret', 'finishSecret') for _ in range(2)]
print(json.dumps({'refused': [each['errorMessage'].split(':')[0] for each in refused], 'reasons': [each['outcomes'][0]['reason'] for each in answers], 'labels': sm.describe_secret(SecretId=name)['VersionIdsToStages'][token]}))`

/** Python. Sends the messages, and waits until as many as were asked for lie with the dead letters and none elsewhere. It prints those. */
export const sendAndWait = `
import boto3, json, sys, time
plan, sqs = json.loads(sys.argv[1]), boto3.client('sqs')
sqs.send_message_batch(QueueUrl=plan['source'], Entries=[{'Id': str(index), 'MessageBody': body} for index, body in enumerate(plan['bodies'])])
def left(url):
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'])['Attributes']
    return sum(int(count) for count in counts.values())
until, dead = time.time() + 45, []
while time.time() < until and (left(plan['source']) > 0 or len(dead) < plan['dead']):
    dead += [message['Body'] for message in sqs.receive_message(QueueUrl=plan['deadUrl'], MaxNumberOfMessages=10, VisibilityTimeout=120).get('Messages', [])]
    time.sleep(0.3)
print(json.dumps({'dead': dead, 'left': left(plan['source'])}))`

/** Python. What a function printed, as soon as every pattern is in it. */
export const logOf = `
import boto3, json, re, sys, time
name, patterns, logs = sys.argv[1], json.loads(sys.argv[2]), boto3.client('logs')
def text():
    try: pages = logs.get_paginator('filter_log_events').paginate(logGroupName='/aws/lambda/' + name)
    except logs.exceptions.ResourceNotFoundException: return ''
    return '\\n'.join(event['message'] for page in pages for event in page['events'])
until, found = time.time() + 100, ''
while time.time() < until:
    found = text()
    if all(re.search(pattern, found) for pattern in patterns): break
    time.sleep(0.5)
print(found)`

/** What stands between a function and its Secrets Manager. */
export interface Relay {
  readonly url: string
  /** Requests that name one of these are answered as the service does when it fails. */
  readonly failing: Set<string>
  close(): Promise<void>
}

/** Starts one on loopback, before a server on loopback. */
export const startRelay = async (to: string): Promise<Relay> => {
  const failing = new Set<string>()
  const { hostname: host, port } = new URL(to)
  const server: Server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    if ([...failing].some((name) => body.includes(`"${name}"`))) return void response.writeHead(500, { 'content-type': 'application/x-amz-json-1.1' }).end('{"__type":"InternalServiceError","Message":"An error occurred on the server side."}')
    const passed = request({ host, port, method: incoming.method, path: incoming.url, headers: incoming.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    passed.on('error', () => response.destroy())
    passed.end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    failing,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

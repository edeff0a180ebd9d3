# What the deployment's test does from outside: as root of the account, as a role, or as a function with the role of one of ours. One plan in, one list of answers out.
import boto3, http.client, io, json, os, ssl, sys, zipfile
from urllib.parse import urlsplit
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

trusted = ssl.create_default_context(cafile=os.environ['AWS_CA_BUNDLE'])
sessions = {}

def credentials(role):
    if role not in sessions:
        keys = boto3.client('sts').assume_role(RoleArn=role, RoleSessionName='test')['Credentials']
        sessions[role] = Credentials(keys['AccessKeyId'], keys['SecretAccessKey'], keys['SessionToken'])
    return sessions[role]

def request(ask):
    host = urlsplit(ask['url']).netloc
    body = json.dumps(ask['body']) if 'body' in ask else ''
    headers = {'host': host, **({'content-type': 'application/json'} if body else {}), **ask.get('headers', {})}
    if 'role' in ask:
        signed = AWSRequest(method=ask['method'], url='https://' + host + ask['path'], headers=headers, data=body)
        SigV4Auth(credentials(ask['role']), ask.get('service', 'execute-api'), os.environ['AWS_DEFAULT_REGION']).add_auth(signed)
        headers = dict(signed.headers.items())
        if ask.get('forge'): headers['Authorization'] = headers['Authorization'][:-4] + '0000'
    connection = http.client.HTTPSConnection('127.0.0.1', urlsplit(os.environ['AWS_ENDPOINT_URL']).port, context=trusted)
    connection.request(ask['method'], ask['path'], body=body or None, headers=headers)
    answer = connection.getresponse()
    return {'status': answer.status, 'body': answer.read().decode()}

def call(ask):
    try:
        answer = getattr(boto3.client(ask['service']), ask['call'])(**ask.get('with', {}))
        answer.pop('ResponseMetadata', None)
        return {'answer': json.loads(json.dumps(answer, default=str))}
    except ClientError as error:
        return {'error': error.response['Error']['Code'], 'text': error.response['Error']['Message']}

# Runs inside the emulator, as a function that has the role of one of ours: what AWS's own client is answered there.
PROBE = '''
import boto3
from botocore.exceptions import ClientError
def handler(event, context):
    try:
        answer = getattr(boto3.client(event['service']), event['call'])(**event.get('with', {}))
        return {'answer': answer.get('Arn', 'done')}
    except ClientError as error:
        return {'error': error.response['Error']['Code'], 'text': error.response['Error']['Message']}
'''

def probe(ask):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, 'w') as archive: archive.writestr('probe.py', PROBE)
    boto3.client('lambda').create_function(FunctionName=ask['function'], Runtime='python3.13', Role=ask['role'], Handler='probe.handler', Code={'ZipFile': packed.getvalue()}, Timeout=30, **ask.get('with', {}))
    return {'answer': ask['function']}

def as_function(ask):
    payload = boto3.client('lambda').invoke(FunctionName=ask['function'], Payload=json.dumps(ask.get('payload', ask)))['Payload'].read()
    return json.loads(payload)

kinds = {'probe': probe, 'request': request, 'call': call, 'as_function': as_function}
print(json.dumps([kinds[ask['kind']](ask) for ask in json.loads(sys.argv[1])]))

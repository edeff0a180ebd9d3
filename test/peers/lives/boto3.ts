// boto3, AWS's client in another language: programs for it, and what it sees of a key's life on a server that nobody here wrote.
import { clientEnv, run } from '../python-peers.ts'
import { readerIn } from './conversation.ts'

/** Runs a program: `sm` is its client, `name` what it is given. Answers what it prints. */
export const boto3 = (python: string, url: string, program: string, name: string): Promise<string> =>
  run(python, ['-c', `import boto3, json, sys\nsm = boto3.client('secretsmanager')\nname = sys.argv[1]\n${program}`, name], clientEnv(url)).then((text) => text.trim())

const seeing = `
import boto3
sm = boto3.client('secretsmanager')
def text(name, **which):
    try: return sm.get_secret_value(SecretId=name, **which)['SecretString']
    except sm.exceptions.ResourceNotFoundException: return None
def version(name, one):
    value = text(name, VersionId=one['VersionId'])
    return {'says': ', '.join(one.get('VersionStages', [])), **({} if value is None else {'value': value})}
def see(name):
    secret = sm.describe_secret(SecretId=name)
    listed = sm.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)['Versions']
    return {
        'native': secret['Name'], 'description': secret.get('Description'), 'value': text(name, **({'VersionStage': sys.argv[1]} if sys.argv[1] else {})),
        'marks': {tag['Key']: tag['Value'] for tag in secret.get('Tags', [])},
        'versions': [version(name, one) for one in sorted(listed, key=lambda one: 'AWSCURRENT' in one.get('VersionStages', []))],
    }
def write(name, value): sm.create_secret(Name=name, SecretString=value)
`

/** It asks for a value as LiteLLM does, without a label, unless the server must be asked for one. */
export const boto3Reader = (python: string, url: string, label: '' | 'AWSCURRENT') => readerIn(python, url, seeing, [label])

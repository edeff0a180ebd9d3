// CyberArk's own clients in Go and Python, under one list of steps. Each step comes to an answer, or to the status with which the server refused.
import { carryOut, type ClientResult } from '../python-peers.ts'

export interface ClientStep {
  readonly call: 'login' | 'whoami' | 'get' | 'get version' | 'batch' | 'batch safe' | 'set' | 'policy' | 'list' | 'count' | 'describe' | 'exists' | 'may' | 'rotate key'
  readonly id?: string
  readonly ids?: readonly string[]
  readonly kind?: string
  readonly value?: string
  readonly version?: number
  readonly mode?: 'POST' | 'PATCH'
  readonly policy?: string
  readonly search?: string
  readonly limit?: number
  readonly offset?: number
  readonly privilege?: string
}

export interface ClientPlan {
  readonly url: string
  readonly account: string
  readonly login?: string
  readonly key?: string
  readonly token?: string
  readonly jwt?: string
  readonly service?: string
  readonly steps: readonly ClientStep[]
}

/** Carries out a plan with one client. Values are base64 where the client gives bytes. */
export type ConjurClient = (plan: ClientPlan) => Promise<readonly ClientResult[]>

export const goClient = (program: string): ConjurClient => (plan) => carryOut(program, [], plan)

const python = `
import base64, json, sys, tempfile, logging
logging.disable(logging.CRITICAL)
from conjur_api.client import Client
from conjur_api.models import CredentialsData, ConjurConnectionInfo, Resource, SslVerificationMode
from conjur_api.providers import AuthnAuthenticationStrategy, JWTAuthenticationStrategy, SimpleCredentialsProvider
from conjur_api.errors.errors import HttpStatusError
plan = json.loads(sys.argv[1])
info = ConjurConnectionInfo(conjur_url=plan['url'], account=plan['account'], service_id=plan.get('service'))
if 'jwt' in plan:
    strategy = JWTAuthenticationStrategy(plan['jwt'])
else:
    provider = SimpleCredentialsProvider()
    provider.save(CredentialsData(machine=plan['url'], username=plan['login'], password=plan['key'], api_key=plan['key']))
    strategy = AuthnAuthenticationStrategy(provider)
client = Client(info, ssl_verification_mode=SslVerificationMode.INSECURE, authn_strategy=strategy, async_mode=False)
packed = lambda value: base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
def loaded(step, act):
    with tempfile.NamedTemporaryFile('w', suffix='.yml') as file:
        file.write(step['policy'])
        file.flush()
        return act(step['id'], file.name)
def do(step):
    call = step['call']
    if call == 'login': return client.login()
    if call == 'whoami': return client.whoami()
    if call == 'get': return packed(client.get(step['id']))
    if call == 'get version': return packed(client.get(step['id'], str(step['version'])))
    if call == 'batch': return {name: packed(value) for name, value in client.get_many(*step['ids']).items()}
    if call == 'set': return client.set(step['id'], step['value']) is None or True
    if call == 'policy': return loaded(step, client.load_policy_file if step['mode'] == 'POST' else client.update_policy_file)
    if call == 'list': return client.list({key: step[key] for key in ('kind', 'search', 'limit', 'offset') if key in step})
    kind, _, name = step['id'].partition(':')
    if call == 'describe': return client.get_resource(kind, name)
    if call == 'exists': return client.resource_exists(kind, name)
    if call == 'may': return client.check_privilege(kind, name, step['privilege'])
    if call == 'rotate key': return client.rotate_other_api_key(Resource(kind, name))
    raise Exception('there is no call ' + call)
results = []
for step in plan['steps']:
    try:
        results.append({'answer': do(step)})
    except HttpStatusError as error:
        results.append({'status': int(error.status), 'error': type(error).__name__})
    except Exception as error:
        results.append({'error': type(error).__name__ + ': ' + str(error)})
print(json.dumps(results))`

export const pythonClient = (interpreter: string): ConjurClient => (plan) => carryOut(interpreter, ['-c', python], plan)

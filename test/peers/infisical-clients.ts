// Infisical's own clients in Go and Python, under one list of steps. Each step comes to an answer, or to the status with which the server refused.
import { carryOut, type ClientResult } from './python-peers.ts'

export interface ClientStep {
  readonly call: 'login' | 'create' | 'get' | 'list' | 'update' | 'delete' | 'folder' | 'folders'
  readonly name?: string
  readonly value?: string
  readonly path?: string
  readonly version?: number
  readonly expand?: boolean
  readonly imports?: boolean
  readonly recursive?: boolean
  readonly project?: string
}

export interface ClientPlan {
  readonly url: string
  readonly project: string
  readonly environment: string
  readonly clientId?: string
  readonly clientSecret?: string
  readonly token?: string
  readonly identity?: string
  readonly jwt?: string
  readonly steps: readonly ClientStep[]
}

/** Carries out a plan with one client. */
export type InfisicalClient = (plan: ClientPlan) => Promise<readonly ClientResult[]>

export const goClient = (program: string): InfisicalClient => (plan) => carryOut(program, [], plan)

const python = `
import json, logging, sys
logging.disable(logging.CRITICAL)
from infisical_sdk import InfisicalSDKClient
from infisical_sdk.infisical_requests import APIError
plan = json.loads(sys.argv[1])
client = InfisicalSDKClient(host=plan['url'], token=plan.get('token'), cache_ttl=None)
# This client leaves imported secrets as plain dictionaries.
field = lambda one, key: one[key] if isinstance(one, dict) else getattr(one, key)
shown = lambda one: {'name': field(one, 'secretKey'), 'value': field(one, 'secretValue'), 'version': field(one, 'version'), 'path': field(one, 'secretPath')}
def carry_out(step):
    call, name, path = step['call'], step.get('name'), step.get('path', '/')
    where = {'project_id': step.get('project', plan['project']), 'environment_slug': plan['environment']}
    reading = {**where, 'secret_path': path, 'expand_secret_references': step.get('expand', False), 'include_imports': step.get('imports', False)}
    if call == 'login':
        if 'jwt' in plan: client.auth.oidc_auth.login(identity_id=plan['identity'], jwt=plan['jwt'])
        else: client.auth.universal_auth.login(plan['clientId'], plan['clientSecret'])
        return True
    if call == 'create': return shown(client.secrets.create_secret_by_name(name, path, secret_value=step['value'], **where))
    if call == 'get': return shown(client.secrets.get_secret_by_name(name, version=step.get('version'), **reading))
    if call == 'list':
        answer = client.secrets.list_secrets(recursive=step.get('recursive', False), **reading)
        own = [shown(one) for one in answer.secrets]
        more = [shown(one) for imported in (answer.imports or []) for one in imported.secrets]
        return sorted(own + more, key=lambda one: one['name'])
    if call == 'update': return shown(client.secrets.update_secret_by_name(name, secret_path=path, secret_value=step['value'], **where))
    if call == 'delete':
        client.secrets.delete_secret_by_name(name, secret_path=path, **where)
        return True
    if call == 'folder': return client.folders.create_folder(name=name, path=path, **where).name
    if call == 'folders': return [one.name for one in client.folders.list_folders(path=path, **where).folders]
results = []
for step in plan['steps']:
    try: results.append({'answer': carry_out(step)})
    except APIError as error: results.append({'status': error.status_code})
    except Exception as error: results.append({'error': f'{type(error).__name__}: {error}'})
client.close()
print(json.dumps(results))
`

export const pythonClient = (program: string): InfisicalClient => (plan) => carryOut(program, ['-c', python], plan)

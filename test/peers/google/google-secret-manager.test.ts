// Google's client in Python examines the fake of Secret Manager, over REST and over gRPC: a second language, checksums reckoned bit by bit, and the negative cases. And
// the exam by its target harness, as against any server that somebody names; with Python beside it as the operator who reads what Latchkey wrote.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { googleSecretManagerTargetHarness, openGoogleSecrets } from '../../conformance/harnesses/google-secret-manager.ts'
import { providerConformance } from '../../conformance/provider-conformance.ts'
import { knownAccount } from '../../fakes/google-bearer.ts'
import { startGoogleGrpc, type RunningGrpc } from '../../fakes/google-grpc.ts'
import { GoogleFailure } from '../../fakes/google/failure.ts'
import { secretManagerProtos, secretManagerService } from '../../fakes/google/messages.ts'
import { fakeProject, startGoogleFake, type RunningGoogleFake } from '../../fakes/google/secret-manager.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'
import { callsOf, outcomesOf, type Scenario } from './python-calls.ts'

const client = inject('peers').python_clients

/** `fresh()` is a new secret with one version. */
const own = `
import secrets
parent = argument['parent']
def make(more={}, **options): return call('create_secret', parent=parent, secret_id='python-' + secrets.token_hex(8), secret={'replication': {'automatic': {}}, **more}, **options)
def add(secret, data=b'a value', **more): return call('add_secret_version', parent=secret.name, payload={'data': data, **more})
def fresh():
    secret = make()
    add(secret)
    return secret
def access(secret, version='latest', **more): return call('access_secret_version', name=secret.name + '/versions/' + version, **more)
def state(secret, verb, version='1'): return call(verb + '_secret_version', name=secret.name + '/versions/' + version)
def after(secret, *acts):
    for act in acts: act(secret)
    return secret
def patch(secret, paths, **fields): return call('update_secret', secret={'name': secret.name, **fields}, update_mask={'paths': paths})
`

/** What Python must see. */
const scenarios: readonly Scenario[] = [
  ['a value', 'access(fresh())', 'ok'],
  ['a right checksum', "add(fresh(), b'x', data_crc32c=crc(b'x'))", 'ok'],
  ['a wrong checksum', "add(fresh(), b'x', data_crc32c=1)", 'INVALID_ARGUMENT'],
  ['an empty value', "add(fresh(), b'')", 'INVALID_ARGUMENT'],
  ['65,536 bytes', "add(fresh(), b'x' * 65536)", 'ok'],
  ['65,537 bytes', "add(fresh(), b'x' * 65537)", 'INVALID_ARGUMENT'],
  ['a secret that there is not', "call('get_secret', name=parent + '/secrets/none')", 'NOT_FOUND'],
  ['a version that there is not', "access(fresh(), '2')", 'NOT_FOUND'],
  ['an alias that is not set', "access(fresh(), 'current')", 'NOT_FOUND'],
  ['an alias', "access(after(fresh(), lambda s: patch(s, ['version_aliases'], version_aliases={'current': 1})), 'current')", 'ok'],
  ['a disabled version', "access(after(fresh(), lambda s: state(s, 'disable')))", 'FAILED_PRECONDITION'],
  ['latest, where it is disabled and an older one is not', "access(after(fresh(), add, lambda s: state(s, 'disable', '2')))", 'FAILED_PRECONDITION'],
  ['a version that is enabled again', "access(after(fresh(), lambda s: state(s, 'disable'), lambda s: state(s, 'enable')))", 'ok'],
  ['a destroyed version', "access(after(fresh(), lambda s: state(s, 'destroy')))", 'FAILED_PRECONDITION'],
  ['a destroyed version that is to be enabled', "state(after(fresh(), lambda s: state(s, 'destroy')), 'enable')", 'FAILED_PRECONDITION'],
  ['a name that is taken', "call('create_secret', parent=parent, secret_id=fresh().name.split('/')[-1], secret={'replication': {'automatic': {}}})", 'ALREADY_EXISTS'],
  ['a name with a dot', "call('create_secret', parent=parent, secret_id='a.b', secret={'replication': {'automatic': {}}})", 'INVALID_ARGUMENT'],
  ['a label with capitals', "make({'labels': {'Owner': 'x'}})", 'INVALID_ARGUMENT'],
  ['an annotation with capitals and spaces', "make({'annotations': {'Owner': 'AI Platform team'}})", 'ok'],
  ['a stale etag', "patch(fresh(), ['annotations'], annotations={'a': 'b'}, etag='\"0\"')", 'FAILED_PRECONDITION'],
  ['the right etag', "(lambda s: patch(s, ['annotations'], annotations={'a': 'b'}, etag=s.etag))(fresh())", 'ok'],
  ['a delete under a stale etag', "call('delete_secret', name=fresh().name, etag='\"0\"')", 'FAILED_PRECONDITION'],
  ['a secret that was deleted', "access(after(fresh(), lambda s: call('delete_secret', name=s.name)))", 'NOT_FOUND'],
  ['a foreign token', "access(fresh(), token=argument['foreign'])", 'UNAUTHENTICATED'],
  ['an expired token', "access(fresh(), token=argument['expired'])", 'UNAUTHENTICATED'],
  ['a token for another service', "access(fresh(), token=argument['elsewhere'])", 'UNAUTHENTICATED'],
  ['nonsense in place of a token', "access(fresh(), token='nonsense')", 'UNAUTHENTICATED'],
  ['another project', "call('list_secrets', parent='projects/somebody-else')", 'PERMISSION_DENIED'],
]

let fake: RunningGoogleFake
let front: RunningGrpc

const run = callsOf('url' in client ? client.url : '', 'secretmanager_v1', 'SecretManagerService', own)
const python = (way: 'REST' | 'gRPC', program: string): Promise<unknown> => run({ fake, front, more: { parent: `projects/${fakeProject}` } }, way, program)

const started = startGoogleFake()

const examine = async (): Promise<void> => {
  const running = await started
  providerConformance('google_secret_manager as a target', googleSecretManagerTargetHarness({ url: running.url, settings: { google_project_id: fakeProject, google_service_account: knownAccount().file } }))

  describe('the fake of Google Secret Manager, to its client in Python', () => {
    beforeAll(async () => {
      fake = running
      front = await startGoogleGrpc({ protos: secretManagerProtos, service: secretManagerService, run: (method, request, authorization) => fake.service.run(method, request, authorization) })
    })
    afterAll(async () => {
      await front.close()
      await fake.close()
    })

    it.each(['REST', 'gRPC'] as const)('answers as the service does, over %s', async (way) => {
      const came = await outcomesOf(scenarios, (program) => python(way, program))

      expect(came).toEqual(scenarios.map(([title, , expected]) => [title, expected]))
    })

    it.each(['REST', 'gRPC'] as const)('gives every byte back with a checksum that Python agrees with, and lists in pages, over %s', async (way) => {
      const came = await python(way, `
every = bytes(range(256))
secret = make({'labels': {'run': 'r' + secrets.token_hex(4)}})
label = list(secret.labels.items())[0]
add(secret, every, data_crc32c=crc(every))
add(secret, b'two')
answer = access(secret, '1')
others = [make({'labels': dict([label])}) for _ in range(4)]
pages = call('list_secrets', parent=parent, filter='labels.run=' + label[1], page_size=2)
versions = list(call('list_secret_versions', parent=secret.name))
print(json.dumps([answer.payload.data == every, answer.payload.data_crc32c == crc(every), sorted(one.name for one in pages) == sorted(one.name for one in [secret, *others]), [one.state.name + one.name[-1] for one in versions]]))`)

      expect(came).toEqual([true, true, true, ['ENABLED2', 'ENABLED1']])
    })

    it('throttles by the names of the service', async () => {
      front.refusal = new GoogleFailure('RESOURCE_EXHAUSTED', 'Quota exceeded.')
      fake.fault({ kind: 'throttled' })

      const came = [await python('gRPC', '\nprint(json.dumps(name_of(fresh)))'), await python('REST', '\nprint(json.dumps(name_of(fresh)))')]
      front.refusal = undefined
      fake.heal()

      expect(came).toEqual(['RESOURCE_EXHAUSTED', 'RESOURCE_EXHAUSTED'])
    })

    it('shows Python what Latchkey wrote: under the alias current and under latest, with tags as annotations; and Latchkey what Python wrote', async () => {
      const runtime = testRuntime({ now: Date.now(), hurries: true })
      const provider = await openGoogleSecrets(runtime, { google_endpoint: fake.url })
      const name = createdName('litellm/from-latchkey')
      await provider.write?.({ name, value: SecretValue.of('sk-ünïcode'), expect: 'absent', operation: `1-create-${'a'.repeat(32)}`, stage: 'current', labels: { 'managed-by': 'latchkey', Owner: 'AI Platform team' } }, callOf(runtime.clock))

      const came = await python('gRPC', `
secret = call('get_secret', name=parent + '/secrets/litellm-2ffrom-2dlatchkey')
call('create_secret', parent=parent, secret_id='OPENAI_API_KEY', secret={'replication': {'automatic': {}}})
call('add_secret_version', parent=parent + '/secrets/OPENAI_API_KEY', payload={'data': 'grüße'.encode()})
print(json.dumps([access(secret, version).payload.data.decode() for version in ('current', 'latest')] + [dict(secret.labels), secret.annotations['Owner']]))`)
      const { value } = await provider.read({ text: 'OPENAI_API_KEY', place: 'hosted' }, {}, callOf(runtime.clock))
      await provider.close?.()

      expect(came).toEqual(['sk-ünïcode', 'sk-ünïcode', { 'managed-by': 'latchkey' }, 'AI Platform team'])
      expect(value.reveal()).toBe('grüße')
    })
  })
}

if ('url' in client) await examine()
else {
  describe('the fake of Google Secret Manager, to its client in Python', () => {
    it(`is left out: ${client.missing}`, () => {
      expect(client.missing).not.toBe('')
    })
  })
}

// hvac, a Vault client in another language by other people, examines our fake and OpenBao by one table: both must answer it alike. It lists by the method LIST, which the
// fake's server cannot take, so lists are asked of OpenBao alone.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startVaultFake, type VaultFake } from '../../fakes/vault/vault.ts'
import { clientEnv, run, type Peer } from '../python-peers.ts'

const peers = inject('peers')
const clients: Peer = peers.python_clients
const bao: Peer = peers.openbao

const program = `
import hvac, json, sys
from hvac import exceptions as e
url, token, name = sys.argv[1:4]
client = hvac.Client(url=url, token=token)
kv = client.secrets.kv.v2
def said(act):
    try: return act()
    except e.VaultError as error: return type(error).__name__ + ': ' + (error.errors[0] if isinstance(error.errors, list) and error.errors else '-')
out = {}
out['first'] = said(lambda: kv.create_or_update_secret(path=name, secret={'key': 'one'}, cas=0)['data']['version'])
out['again'] = said(lambda: kv.create_or_update_secret(path=name, secret={'key': 'two'}, cas=0))
out['second'] = said(lambda: kv.create_or_update_secret(path=name, secret={'key': 'two', 'n': 12345678901234567890}, cas=1)['data']['version'])
out['read'] = said(lambda: kv.read_secret_version(path=name, raise_on_deleted_version=True)['data']['data'])
out['old'] = said(lambda: kv.read_secret_version(path=name, version=1, raise_on_deleted_version=True)['data']['data'])
out['missing'] = said(lambda: kv.read_secret_version(path=name + '-not', raise_on_deleted_version=True))
out['patch'] = said(lambda: kv.patch(path=name, secret={'extra': 'x'})['data']['version'])
out['metadata'] = said(lambda: kv.update_metadata(path=name, custom_metadata={'team': 'payments', 'Owner': 'AI Platform team'}).status_code)
out['custom'] = said(lambda: kv.read_secret_metadata(path=name)['data']['custom_metadata'])
out['current'] = said(lambda: kv.read_secret_metadata(path=name)['data']['current_version'])
out['too_long'] = said(lambda: kv.update_metadata(path=name, custom_metadata={'k': 'v' * 513}))[:14]
out['delete'] = said(lambda: kv.delete_latest_version_of_secret(path=name).status_code)
out['deleted'] = said(lambda: kv.read_secret_version(path=name, raise_on_deleted_version=True)).split(':')[0]
out['undelete'] = said(lambda: kv.undelete_secret_versions(path=name, versions=[3]).status_code)
out['back'] = said(lambda: kv.read_secret_version(path=name, raise_on_deleted_version=True)['data']['data']['extra'])
out['destroy'] = said(lambda: kv.destroy_secret_versions(path=name, versions=[3]).status_code)
out['destroyed'] = said(lambda: kv.read_secret_version(path=name, raise_on_deleted_version=True)).split(':')[0]
out['wipe'] = said(lambda: kv.delete_metadata_and_all_versions(path=name).status_code)
out['wiped'] = said(lambda: kv.read_secret_metadata(path=name))
out['engine'] = said(lambda: hvac.Client(url=url, token=token).secrets.kv.v2.read_secret_version(path='a', mount_point='nothing', raise_on_deleted_version=True)).split(' ')[0]
out['foreign'] = said(lambda: hvac.Client(url=url, token='hvs.foreign').secrets.kv.v2.read_secret_version(path=name, raise_on_deleted_version=True)).split(':')[0]
out['login'] = said(lambda: client.auth.approle.login(role_id='nobody', secret_id='nothing'))
out['token'] = said(lambda: hvac.Client(url=url, token=token).is_authenticated())
print(json.dumps(out))
`

const answers = {
  first: 1,
  again: 'InvalidRequest: check-and-set parameter did not match the current version',
  second: 2,
  read: { key: 'two', n: 12345678901234567000 },
  old: { key: 'one' },
  missing: 'InvalidPath: -',
  patch: 3,
  metadata: 204,
  custom: { team: 'payments', Owner: 'AI Platform team' },
  current: 3,
  too_long: 'InvalidRequest',
  delete: 204,
  deleted: 'InvalidPath',
  undelete: 204,
  back: 'x',
  destroy: 204,
  destroyed: 'InvalidPath',
  wipe: 204,
  wiped: 'InvalidPath: -',
  engine: 'InvalidPath:',
  foreign: 'Forbidden',
  login: 'InvalidRequest: invalid role or secret ID',
  token: true,
}

const examine = (python: string): void => {
  const ask = async (url: string, token: string, text = program): Promise<unknown> => JSON.parse(await run(python, ['-c', text, url, token, `hvac/${process.pid}-${performance.now().toFixed(0)}`], clientEnv(url)))
  let fake: VaultFake
  beforeAll(async () => {
    fake = await startVaultFake({ now: () => Date.now() })
    fake.state.role({ login: 'approle', mount: 'approle', name: 'r', roleId: 'somebody', secretIds: new Map() })
  })
  afterAll(() => fake.close())

  describe('hvac', () => {
    it('finds in our fake what Vault promises', async () => {
      expect(await ask(fake.url, fake.rootToken)).toEqual(answers)
    })

    it('takes its exact numbers back from the fake as it gave them', async () => {
      const text = "import hvac, sys\nc = hvac.Client(url=sys.argv[1], token=sys.argv[2]).secrets.kv.v2\nc.create_or_update_secret(path=sys.argv[3], secret={'n': 12345678901234567890})\nprint(c.read_secret_version(path=sys.argv[3], raise_on_deleted_version=True)['data']['data']['n'] == 12345678901234567890 and 'true')"

      expect(await ask(fake.url, fake.rootToken, text)).toBe(true)
    })
  })

  if ('url' in bao) {
    describe('hvac on OpenBao', () => {
      it('finds there what it finds in our fake', async () => {
        expect(await ask(bao.url, bao.facts['root_token'] ?? '')).toEqual(answers)
      })

      it('lists by the method LIST what our own lists show', async () => {
        const text = "import hvac, json, sys\nc = hvac.Client(url=sys.argv[1], token=sys.argv[2]).secrets.kv.v2\nfor rest in ('a', 'f/b'): c.create_or_update_secret(path=sys.argv[3] + '/' + rest, secret={'key': 'x'})\nprint(json.dumps(c.list_secrets(path=sys.argv[3])['data']['keys']))"

        expect(await ask(bao.url, bao.facts['root_token'] ?? '', text)).toEqual(['a', 'f/'])
      })
    })
  }
}

if ('url' in clients) examine(clients.url)
else {
  describe('hvac', () => {
    it(`is left out: ${clients.missing}`, () => {
      expect(clients.missing).not.toBe('')
    })
  })
}

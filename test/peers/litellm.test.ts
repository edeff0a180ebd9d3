// LiteLLM's own Python client for keys examines our fake gateway: what it sends and expects is the vendor's, not ours. Its package without a proxy is all that is needed.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { fakeMasterKey, sha256, startLitellmFake, type RunningLitellm } from '../fakes/litellm-gateway.ts'
import { clientEnv, run, type Peer } from './python-peers.ts'

const client: Peer = inject('peers').litellm_client

const program = `
import json, os, sys
os.environ['LITELLM_LOCAL_MODEL_COST_MAP'] = 'True'
from litellm.proxy.client.keys import KeysManagementClient
url, master = sys.argv[1:3]
keys = KeysManagementClient(url, master)
def said(act):
    try: return act()
    except Exception as error:
        response = getattr(error, 'response', None)
        if response is None: response = getattr(getattr(error, 'orig_exception', None), 'response', None)
        return type(error).__name__ if response is None else response.status_code
out = {}
made = keys.generate(models=['gpt-5'], duration='1h', key_alias='one', team_id='payments')
out['made'] = [made['key'].startswith('sk-'), made['key_alias'], made['team_id'], made['models'], made['token'] == made['token_id'], made['expires'] is not None]
out['again'] = said(lambda: keys.generate(key_alias='one'))
two = keys.generate(key_alias='two')
row = keys.info(made['token'])
out['info'] = [row['key'] == made['token'], row['info']['key_alias'], row['info']['status'], 'token' in row['info']]
out['unknown'] = said(lambda: keys.info('f' * 64))
out['own'] = KeysManagementClient(url, made['key']).info(made['token'])['info']['key_alias']
out['stranger'] = said(lambda: KeysManagementClient(url, 'sk-nobody-nobody-nobody').info(made['token']))
out['updated'] = keys.update(made['key'], key_alias='uno', duration='2h')['key_alias']
out['bare'] = [len(page['keys'][0]) for page in [keys.list(page=1, size=1), keys.list(page=2, size=1)]]
full = keys.list(page=1, size=10, return_full_object=True)
out['full'] = [full['total_count'], full['current_page'], full['total_pages'], sorted(each['key_alias'] for each in full['keys'])]
out['found'] = [each['token'] == made['token'] for each in keys.list(key_alias='uno', return_full_object=True)['keys']]
out['deleted'] = keys.delete(keys=[made['key']])['deleted_keys'] == [made['key']]
out['gone'] = said(lambda: keys.delete(keys=[made['key']]))
out['by_alias'] = keys.delete(key_aliases=['two'])['deleted_keys']
out['archived'] = keys.info(two['token'])['info']['status']
out['none'] = keys.list()['total_count']
print(json.dumps(out))
`

const examine = (python: string): void => {
  let fake: RunningLitellm
  beforeAll(async () => {
    fake = await startLitellmFake({ now: () => Date.now() })
  })
  afterAll(() => fake.close())

  describe("LiteLLM's own client for keys", () => {
    it('finds in our fake what LiteLLM promises', { timeout: 60_000 }, async () => {
      const answers = JSON.parse(await run(python, ['-c', program, fake.url, fakeMasterKey], clientEnv(fake.url))) as object

      expect(answers).toEqual({
        made: [true, 'one', 'payments', ['gpt-5'], true, true],
        again: 400,
        info: [true, 'one', 'active', false],
        unknown: 404,
        own: 'one',
        stranger: 401,
        updated: 'uno',
        bare: [sha256('').length, sha256('').length],
        full: [2, 1, 1, ['two', 'uno']],
        found: [true],
        deleted: true,
        gone: 404,
        by_alias: ['two'],
        archived: 'deleted',
        none: 0,
      })
    })
  })
}

if ('url' in client) examine(client.url)
else {
  describe("LiteLLM's own client for keys", () => {
    it(`is left out: ${client.missing}`, () => {
      expect(client.missing).not.toBe('')
    })
  })
}

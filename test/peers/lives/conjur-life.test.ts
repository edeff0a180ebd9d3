// A key's whole life on the fake of Conjur, as CyberArk's own client in Python sees it. There is none in JavaScript, so what Latchkey's own tests see goes by plain requests.
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { conjurLife } from '../../lives/conjur-life.ts'
import { besideLitellm } from '../../lives/gateway.ts'
import { wholeLife } from '../../lives/whole-life.ts'
import { readerIn } from './conversation.ts'

const peer = inject('peers').python_clients

/** A client of its own for each look: tokens end after eight minutes of the fake's time. */
const seeing = `
import logging, tempfile
logging.disable(logging.CRITICAL)
from conjur_api.client import Client
from conjur_api.models import CredentialsData, ConjurConnectionInfo, Resource, SslVerificationMode
from conjur_api.providers import AuthnAuthenticationStrategy, SimpleCredentialsProvider
url, key = sys.argv[1:3]
def client():
    provider = SimpleCredentialsProvider()
    provider.save(CredentialsData(machine=url, username='admin', password=key, api_key=key))
    return Client(ConjurConnectionInfo(conjur_url=url, account='acct'), ssl_verification_mode=SslVerificationMode.INSECURE, authn_strategy=AuthnAuthenticationStrategy(provider), async_mode=False)
def see(name):
    conjur = client()
    text = lambda id, version=None: conjur.get(id, version).decode()
    beside = name.replace('/', '/__latchkey/chain/', 1)
    kept = json.loads(text(beside)) if conjur.resource_exists('variable', beside) else {'labels': {}}
    numbers = [one['version'] for one in conjur.get_resource('variable', name)['secrets']]
    return {'native': name, 'value': text(name), 'marks': kept['labels'], 'description': kept.get('description'), 'versions': [{'says': str(number), 'value': text(name, str(number))} for number in numbers]}
def write(name, value):
    with tempfile.NamedTemporaryFile('w', suffix='.yml') as file:
        file.write('- !variable ' + name)
        file.flush()
        client().load_policy_file('root', file.name)
    client().set(name, value)
`

const examine = (python: string): void => {
  const open = async () => {
    const life = await conjurLife()
    const reader = readerIn(python, life.fake.url, seeing, [life.fake.url, life.fake.service.keyOf('admin')])
    onTestFinished(() => reader.close())
    return { ...life, reader }
  }

  describe('a virtual key in the fake of Conjur', () => {
    it("is what CyberArk's client in Python sees, from creation to adoption", async () => {
      const { deleted } = await wholeLife(await open())

      expect(deleted.versions.map(({ says }) => says)).toEqual(['1', '2'])
    })

    it('is what the gateway lets in, at every step', async () => {
      const life = await open()
      const gateway = await besideLitellm(life.runtime)

      await wholeLife({ ...life, gateway })

      expect(gateway.rows()).toBeGreaterThan(0)
    })
  })
}

if ('url' in peer) examine(peer.url)
else {
  describe('a virtual key in the fake of Conjur', () => {
    it(`is left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
  })
}

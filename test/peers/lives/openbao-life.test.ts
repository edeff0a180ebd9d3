// A key's whole life in OpenBao, as hvac sees it: a Vault client in another language by other people.
import { randomBytes } from 'node:crypto'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { openVault } from '../../conformance/harnesses/hashicorp-vault.ts'
import { besideLitellm } from '../../lives/gateway.ts'
import { wholeLife } from '../../lives/whole-life.ts'
import { testRuntime } from '../../support/runtime.ts'
import { readerIn } from './conversation.ts'

const { openbao: bao, python_clients: hvac } = inject('peers')

const seeing = `
import hvac
kv = hvac.Client(url=sys.argv[1], token=sys.argv[2]).secrets.kv.v2
def version(name, number, about):
    if about['destroyed'] or about['deletion_time']: return {'says': 'destroyed' if about['destroyed'] else 'deleted'}
    return {'says': 'readable', 'value': kv.read_secret_version(path=name, version=int(number), raise_on_deleted_version=True)['data']['data'].get('key', '')}
def see(name):
    metadata = kv.read_secret_metadata(path=name)['data']
    marks = metadata['custom_metadata'] or {}
    return {
        'native': 'secret/' + name, 'description': marks.pop('description', None), 'marks': marks,
        'value': kv.read_secret_version(path=name, raise_on_deleted_version=True)['data']['data'].get('key', ''),
        'versions': [version(name, *pair) for pair in sorted(metadata['versions'].items(), key=lambda pair: int(pair[0]))],
    }
def write(name, value): kv.create_or_update_secret(path=name, secret={'key': value})
`

const examine = (url: string, token: string, python: string): void => {
  const open = async () => {
    const runtime = testRuntime({ now: Date.now(), hurries: true, seed: randomBytes(8).toString('hex') })
    const reader = readerIn(python, url, seeing, [url, token])
    const provider = await openVault(runtime, { vault_addr: url, vault_token: token })
    onTestFinished(async () => {
      await reader.close()
      await provider.close?.()
    })
    return { runtime, reader, provider, run: `-${randomBytes(4).toString('hex')}`, forgets: true, wallClock: true }
  }

  describe('a virtual key in OpenBao', () => {
    it('is what hvac sees, from creation to adoption', async () => {
      const life = await open()

      const { created, deleted } = await wholeLife(life)

      expect([created.versions.length, deleted.versions.at(-1)?.says]).toEqual([1, 'readable'])
    })

    it('is what the gateway lets in, at every step', async () => {
      const life = await open()
      const gateway = await besideLitellm(life.runtime)

      await wholeLife({ ...life, gateway })

      expect(gateway.rows()).toBeGreaterThan(0)
    })
  })
}

if ('url' in bao && 'url' in hvac) examine(bao.url, bao.facts['root_token'] ?? '', hvac.url)
else {
  describe('a virtual key in OpenBao', () => {
    it('is left out, because OpenBao or hvac is missing', () => {
      expect([bao, hvac].some((peer) => 'missing' in peer)).toBe(true)
    })
  })
}

// The shipped example, started as a stranger would, against each peer: the printed commands and a key's whole life over HTTP, seen by boto3.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, describe, expect, inject, it } from 'vitest'
import { ServerFolder } from '../hosts/server-process.ts'
import { clientEnv, run } from './python-peers.ts'
import { awsPeers } from './start-peers.ts'

const python = inject('python')
const peers = inject('peers')
const folder = new ServerFolder()
afterAll(() => folder.close())

const masterKey = `sk-${randomBytes(32).toString('hex')}`
const example = join(import.meta.dirname, '../../examples/aws.yaml')

const shell = (command: string): Record<string, unknown> =>
  JSON.parse(execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8', env: { PATH: process.env['PATH'] ?? '', LITELLM_MASTER_KEY: masterKey } })) as Record<string, unknown>

const seen = async (url: string, name: string): Promise<{ value: string; tags: Record<string, string>; description: string }> => {
  const program = `
import boto3, json, sys
sm = boto3.client('secretsmanager')
facts = sm.describe_secret(SecretId=sys.argv[1])
print(json.dumps({'value': sm.get_secret_value(SecretId=sys.argv[1], VersionStage='AWSCURRENT')['SecretString'], 'tags': {tag['Key']: tag['Value'] for tag in facts['Tags']}, 'description': facts.get('Description', '')}))`
  return JSON.parse(await run(python, ['-c', program, name], clientEnv(url))) as { value: string; tags: Record<string, string>; description: string }
}

for (const name of awsPeers) {
  const peer = peers[name]
  describe(`npm start -- --config examples/aws.yaml against ${name}`, () => {
    if ('missing' in peer) {
      it(`is left out: ${peer.missing}`, () => {
        expect(peer.missing).not.toBe('')
      })
      return
    }

    it('answers the three printed commands', async () => {
      const server = await folder.start({ ...clientEnv(peer.url), LITELLM_MASTER_KEY: masterKey }, ['--config', example])

      const [put, got, made] = server.curls.map(shell)

      expect(put).toMatchObject({ name: 'your-test-key', store: 'default' })
      expect(got).toMatchObject({ name: 'your-test-key', value: 'hello from Latchkey', source: 'aws_secret_manager' })
      expect(made).toMatchObject({ key: expect.stringMatching(/^sk-/) as string, stored: { store: 'default', name: expect.stringMatching(/^litellm\/demo-/) as string } })
      expect((await seen(peer.url, 'your-test-key')).value).toBe('hello from Latchkey')
    })

    it('creates, rotates and deletes a key that boto3 sees with its exact value and tags', async () => {
      const server = await folder.start({ ...clientEnv(peer.url), LITELLM_MASTER_KEY: masterKey }, ['--config', example])
      const alias = `peer-${randomBytes(4).toString('hex')}`
      const send = (path: string, body: object): Record<string, unknown> =>
        shell(`curl -sS -X POST ${server.url}${path} -H "Authorization: Bearer $LITELLM_MASTER_KEY" -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`)

      const created = send('/key/generate', { key_alias: alias, team_id: 'blue', metadata: { purpose: 'a test' } })
      const first = await seen(peer.url, `litellm/${alias}`)
      const rotated = send('/key/regenerate', { key: created['key_id'] })
      const second = await seen(peer.url, `litellm/${alias}`)
      const verified = [send('/key/verify', { key: created['key'] }), send('/key/verify', { key: rotated['key'] })]
      const deleted = send('/key/delete', { key_aliases: [alias] })
      const last = await seen(peer.url, `litellm/${alias}`)

      expect(first).toMatchObject({ value: created['key'], description: 'Virtual keys of the LLM gateway', tags: { 'managed-by': 'latchkey', 'latchkey-key-id': created['key_id'], 'latchkey-team': 'blue', team: 'platform', environment: 'development' } })
      expect(rotated).toMatchObject({ key_id: created['key_id'], key_alias: alias })
      expect(second.value).toBe(rotated['key'])
      expect(verified.map((answer) => answer['valid'])).toEqual([false, true])
      expect(deleted).toMatchObject({ deleted_keys: [created['key_id']] })
      expect(last).toMatchObject({ value: expect.stringMatching(/^revoked /) as string, tags: { 'latchkey-state': 'revoked', team: 'platform' } })
    })
  })
}

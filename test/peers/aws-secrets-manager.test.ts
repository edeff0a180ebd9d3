import { randomBytes } from 'node:crypto'
import { describe, expect, inject, it } from 'vitest'
import { openAws } from '../conformance/harnesses/aws-secrets-manager.ts'
import { providerConformance } from '../conformance/provider-conformance.ts'
import { testRuntime } from '../support/runtime.ts'
import { awsDeviations } from './aws-deviations.ts'
import { awsPeerHarness, peerSettings } from './aws-peer-harness.ts'
import { keyStory, type SeenSecret } from './key-story.ts'
import { clientEnv, run } from './python-peers.ts'
import { awsPeers, type AwsPeer } from './start-peers.ts'

const python = inject('python')
const peers = inject('peers')

/** A program for boto3: `sm` is its client, `name` the second argument. */
const boto3 = (url: string, program: string, name: string): Promise<string> => run(python, ['-c', `import boto3, json, sys\nsm = boto3.client('secretsmanager')\nname = sys.argv[1]\n${program}`, name], clientEnv(url)).then((text) => text.trim())

const seeing = `
def value(stage):
    try: return sm.get_secret_value(SecretId=name, VersionStage=stage)['SecretString']
    except sm.exceptions.ResourceNotFoundException: return None
print(json.dumps({'value': value('AWSCURRENT'), 'previous': value('AWSPREVIOUS'), 'tags': {tag['Key']: tag['Value'] for tag in sm.describe_secret(SecretId=name)['Tags']}}))`

const examine = (name: AwsPeer, url: string): void => {
  providerConformance(`aws on ${name}`, awsPeerHarness(url, awsDeviations[name]))

  describe(`virtual keys in ${name}`, () => {
    it('live from creation to tombstone and again, as boto3 sees them', async () => {
      const runtime = testRuntime({ now: Date.now(), seed: randomBytes(8).toString('hex') })
      const provider = await openAws(runtime, peerSettings(url))

      await keyStory(provider, runtime, `alias-${randomBytes(4).toString('hex')}`, async (secret) => JSON.parse(await boto3(url, seeing, secret)) as SeenSecret)

      await provider.close?.()
    })
  })

  describe(`the deviations of ${name}`, () => {
    for (const { case: id, reproduction } of awsDeviations[name]) {
      it(`show ${id} to boto3 as well: ${reproduction.aws}`, async () => {
        const printed = await boto3(url, reproduction.program, `reproduction/${id}-${randomBytes(4).toString('hex')}`)

        expect(printed).toBe(reproduction.prints)
      })
    }
  })
}

for (const name of awsPeers) {
  const peer = peers[name]
  if ('url' in peer) examine(name, peer.url)
  else {
    describe(`aws on ${name}`, () => {
      it(`is left out: ${peer.missing}`, () => {
        expect(peer.missing).not.toBe('')
      })
    })
  }
}

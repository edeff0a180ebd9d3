// A key's whole life on the servers of AWS's peers, as boto3 sees it. What a peer does otherwise than AWS stands in a list; each line of it must still be so.
import { randomBytes } from 'node:crypto'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { openAws } from '../../conformance/harnesses/aws-secrets-manager.ts'
import { besideLitellm } from '../../lives/gateway.ts'
import { wholeLife } from '../../lives/whole-life.ts'
import { testRuntime } from '../../support/runtime.ts'
import type { Reproduction } from '../aws-deviations.ts'
import { peerSettings } from '../aws-peer-harness.ts'
import { awsPeers, type AwsPeer } from '../start-peers.ts'
import { boto3, boto3Reader } from './boto3.ts'

const python = inject('python')
const peers = inject('peers')
const short = (): string => randomBytes(4).toString('hex')

const moves = ["sm.create_secret(Name=name, SecretString='one', ClientRequestToken='a' * 32)", "sm.put_secret_value(SecretId=name, SecretString='two', ClientRequestToken='b' * 32, VersionStages=['own'])", "sm.update_secret_version_stage(SecretId=name, VersionStage='AWSCURRENT', MoveToVersionId='b' * 32, RemoveFromVersionId=[id for id, labels in sm.describe_secret(SecretId=name)['VersionIdsToStages'].items() if 'AWSCURRENT' in labels][0])"]

/** What each peer does otherwise in the course of a life. */
const deviations: Readonly<Record<AwsPeer, readonly (Reproduction & { readonly reason: string })[]>> = {
  moto: [
    {
      reason: 'a read that names no label is answered with the value before, once AWSCURRENT was moved',
      program: [...moves, "print(sm.get_secret_value(SecretId=name)['SecretString'], sm.get_secret_value(SecretId=name, VersionStage='AWSCURRENT')['SecretString'])"].join('\n'),
      prints: 'one two',
      aws: 'Without a label AWSCURRENT is meant.',
    },
  ],
  ministack: [
    {
      reason: 'a created version has an id of its own, so that only keys over tombstones are known by their operations',
      program: "print(sm.create_secret(Name=name, SecretString='x', ClientRequestToken='t' * 32)['VersionId'] == 't' * 32)",
      prints: 'False',
      aws: 'The client request token becomes the id of the version.',
    },
    {
      reason: 'a version that loses its last label to a new one is gone at once',
      program: [...moves, "sm.update_secret_version_stage(SecretId=name, VersionStage='own', RemoveFromVersionId='b' * 32)", "sm.put_secret_value(SecretId=name, SecretString='three', ClientRequestToken='c' * 32)", "sm.put_secret_value(SecretId=name, SecretString='four', ClientRequestToken='d' * 32)", "print(len(sm.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)['Versions']))"].join('\n'),
      prints: '2',
      aws: 'It is kept for a day at least, and listed with IncludeDeprecated.',
    },
  ],
}

const examine = (name: AwsPeer, url: string): void => {
  const open = async () => {
    const runtime = testRuntime({ now: Date.now(), seed: short() })
    const peculiar = { reader: boto3Reader(python, url, name === 'moto' ? 'AWSCURRENT' : ''), overTombstones: name === 'ministack', forgets: false }
    const provider = await openAws(runtime, peerSettings(url))
    onTestFinished(async () => {
      await peculiar.reader.close()
      await provider.close?.()
    })
    return { ...peculiar, runtime, provider, run: `-${short()}`, wallClock: true }
  }

  describe(`a virtual key in ${name}`, () => {
    it('is what boto3 sees, from creation to adoption', async () => {
      const life = await open()

      const { oldName, deleted } = await wholeLife(life)

      expect([oldName, deleted].map(({ versions }) => versions.at(-1)?.says)).toEqual(['AWSCURRENT', 'AWSCURRENT'])
    })

    it('is what the gateway lets in, at every step', async () => {
      const life = await open()
      const gateway = await besideLitellm(life.runtime)

      await wholeLife({ ...life, gateway })

      expect(gateway.rows()).toBeGreaterThan(0)
    })

    for (const { reason, program, prints, aws } of deviations[name]) {
      it(`deviates still: ${reason}. AWS: ${aws}`, async () => {
        expect(await boto3(python, url, program, `reproduction/${short()}`)).toBe(prints)
      })
    }
  })
}

for (const name of awsPeers) {
  const peer = peers[name]
  if ('url' in peer) examine(name, peer.url)
  else {
    describe(`a virtual key in ${name}`, () => {
      it(`is left out: ${peer.missing}`, () => {
        expect(peer.missing).not.toBe('')
      })
    })
  }
}

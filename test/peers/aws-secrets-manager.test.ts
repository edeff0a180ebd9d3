import { randomBytes } from 'node:crypto'
import { describe, expect, inject, it } from 'vitest'
import { providerConformance } from '../conformance/provider-conformance.ts'
import { awsDeviations } from './aws-deviations.ts'
import { awsPeerHarness } from './aws-peer-harness.ts'
import { boto3 } from './lives/boto3.ts'
import { awsPeers, type AwsPeer } from './start-peers.ts'

const python = inject('python')
const peers = inject('peers')

const examine = (name: AwsPeer, url: string): void => {
  providerConformance(`aws on ${name}`, awsPeerHarness(url, awsDeviations[name]))

  describe(`the deviations of ${name}`, () => {
    for (const { case: id, reproduction } of awsDeviations[name]) {
      it(`show ${id} to boto3 as well: ${reproduction.aws}`, async () => {
        const printed = await boto3(python, url, reproduction.program, `reproduction/${id}-${randomBytes(4).toString('hex')}`)

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

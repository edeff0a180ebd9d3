import { describe, expect, inject, it } from 'vitest'
import { providerConformance } from '../conformance/provider-conformance.ts'
import { awsPeerHarness } from './aws-peer-harness.ts'
import { awsPeers } from './start-peers.ts'

const peers = inject('peers')
for (const name of awsPeers) {
  const peer = peers[name]
  if ('url' in peer) providerConformance(`aws on ${name}`, awsPeerHarness(peer.url, []))
}

// OpenBao as a peer: the built program, spawned so that it ends with us, on two free ports of loopback; the second speaks TLS and asks for client certificates.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { authority } from '../../support/certificates.ts'
import { goProgram, startProgram } from '../go-programs.ts'
import type { Running } from '../python-peers.ts'

/** What the program prints once it answers. */
interface Ready {
  readonly address: string
  readonly tls_address: string
  readonly root_token: string
  readonly unseal_key: string
}

/** The flags of its README: without the version it calls itself by another. */
export const baoFlags = ['-ldflags', '-s -w -X github.com/openbao/openbao/version.fullVersion=2.4.0'] as const

/** Builds it where that was not done, starts it and waits until it answers. Facts: `tls_address`, `root_token`, `unseal_key`, `ca`. */
export const startOpenBao = async (): Promise<Running> => {
  const program = await goProgram('bao', baoFlags)
  const scratch = mkdtempSync(join(tmpdir(), 'latchkey-peer-openbao-'))
  const ca = authority('the authority of an OpenBao')
  const { cert, key } = ca.signs({ subject: 'openbao', names: ['127.0.0.1', 'localhost'] })
  writeFileSync(join(scratch, 'server.pem'), cert)
  writeFileSync(join(scratch, 'server.key'), key, { mode: 0o600 })
  const args = ['-until-eof', '-tls-address', '127.0.0.1:0', '-tls-cert', join(scratch, 'server.pem'), '-tls-key', join(scratch, 'server.key'), '-log-level', 'error']
  const { line, stop } = await startProgram(program, args, scratch)
  const ready = JSON.parse(line) as Ready
  return { url: ready.address, facts: { tls_address: ready.tls_address, root_token: ready.root_token, unseal_key: ready.unseal_key, ca: ca.cert }, stop }
}

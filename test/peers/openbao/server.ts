// OpenBao as a peer: the built program, spawned so that it ends with us, on two free ports of loopback; the second speaks TLS and asks for client certificates.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { authority } from '../../support/certificates.ts'
import { goProgram } from '../go-programs.ts'
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

/** Builds it where that was not done, starts it and waits until it answers, 30 s at most. Facts: `tls_address`, `root_token`, `unseal_key`, `ca`. */
export const startOpenBao = async (): Promise<Running> => {
  const program = await goProgram('bao', baoFlags)
  const scratch = mkdtempSync(join(tmpdir(), 'latchkey-peer-openbao-'))
  const ca = authority('the authority of an OpenBao')
  const { cert, key } = ca.signs({ subject: 'openbao', names: ['127.0.0.1', 'localhost'] })
  writeFileSync(join(scratch, 'server.pem'), cert)
  writeFileSync(join(scratch, 'server.key'), key, { mode: 0o600 })
  const child = spawn(program, ['-until-eof', '-tls-address', '127.0.0.1:0', '-tls-cert', join(scratch, 'server.pem'), '-tls-key', join(scratch, 'server.key'), '-log-level', 'error'], { cwd: scratch, env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: scratch }, stdio: ['pipe', 'pipe', 'ignore'] })
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const stop = async (): Promise<void> => {
    child.stdin.end()
    await ended
    rmSync(scratch, { recursive: true, force: true })
  }
  const line = await Promise.race([
    new Promise<string | undefined>((resolve) => void createInterface({ input: child.stdout }).once('line', resolve)),
    ended.then(() => undefined),
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 30_000).unref()),
  ])
  if (line === undefined) {
    await stop()
    throw new Error('it did not answer within 30 s')
  }
  const ready = JSON.parse(line) as Ready
  return { url: ready.address, facts: { tls_address: ready.tls_address, root_token: ready.root_token, unseal_key: ready.unseal_key, ca: ca.cert }, stop }
}

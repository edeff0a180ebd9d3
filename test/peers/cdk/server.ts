// ministack as a place to deploy to: its IAM on, and TLS, because policies of buckets and queues refuse whoever comes without. The certificate is made for this run;
// functions inherit the server's environment, so they find the server and trust it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { authority } from '../../support/certificates.ts'
import { pythonEnvironment, startServer, type Running } from '../python-peers.ts'

/** The only account that this server knows. */
export const account = '123456789012'
/** Where everything is deployed. */
export const region = 'us-east-1'

/** Starts it. `facts.authority` is the path of the certificate that clients, and the server itself, must trust; `facts.certificate` and `facts.key` are for another server of this run on loopback. */
export const startDeploymentServer = async (name: string): Promise<Running> => {
  const program = join(await pythonEnvironment('aws'), 'bin', 'ministack')
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-tls-'))
  const file = (path: string, text: string): string => {
    writeFileSync(join(folder, path), text, { mode: 0o600 })
    return join(folder, path)
  }
  const issuer = authority()
  const server = issuer.signs({ subject: 'ministack', names: ['localhost', '127.0.0.1'] })
  const [trusted, cert, key] = [file('authority.pem', issuer.cert), file('server.pem', server.cert), file('server.key', server.key)]
  const running = await startServer(name, (port) => ({
    file: program,
    args: [],
    env: {
      GATEWAY_PORT: String(port), BIND_HOST: '127.0.0.1', MINISTACK_ACCOUNT_ID: account, AUTH: 'true', AWS_SECRET_ACCESS_KEY: 'test', IOT_MTLS_ENABLED: '0',
      USE_SSL: '1', MINISTACK_SSL_CERT: cert, MINISTACK_SSL_KEY: key,
      AWS_ENDPOINT_URL: `https://127.0.0.1:${port}`, NODE_EXTRA_CA_CERTS: trusted, AWS_CA_BUNDLE: trusted, SSL_CERT_FILE: trusted,
      // Node 24 first: the server runs its functions on whatever `node` it finds.
      PATH: `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}`,
    },
  }))
  return {
    url: running.url.replace('http:', 'https:'),
    facts: { authority: trusted, certificate: cert, key },
    stop: async () => {
      await running.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

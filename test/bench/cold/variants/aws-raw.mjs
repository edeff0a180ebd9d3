// The floor of a read from AWS: one signed request over node:https, and nothing around it.
import { createHmac, hash } from 'node:crypto'
import { Agent, request } from 'node:https'

const agent = new Agent({ keepAlive: true })
const { AWS_REGION: region, AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token, AWS_ENDPOINT_URL: endpoint } = process.env
const url = new URL(endpoint)
const hmac = (key, text) => createHmac('sha256', key).update(text).digest()
let kept = { day: '' }

const sign = (target, body) => {
  const date = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const day = date.slice(0, 8)
  if (kept.day !== day) kept = { day, key: hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), 'secretsmanager'), 'aws4_request') }
  const headers = { 'content-type': 'application/x-amz-json-1.1', host: url.host, 'x-amz-date': date, 'x-amz-security-token': token, 'x-amz-target': target }
  const names = Object.keys(headers)
  const canonical = ['POST', '/', '', names.map((name) => `${name}:${headers[name]}\n`).join(''), names.join(';'), hash('sha256', body)].join('\n')
  const scope = `${day}/${region}/secretsmanager/aws4_request`
  const signature = hmac(kept.key, ['AWS4-HMAC-SHA256', date, scope, hash('sha256', canonical)].join('\n')).toString('hex')
  return { ...headers, authorization: `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}` }
}

const call = (target, input) =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify(input)
    const outgoing = request({ hostname: url.hostname, port: url.port, method: 'POST', path: '/', agent, headers: { ...sign(target, body), 'content-length': Buffer.byteLength(body) } }, (incoming) => {
      const chunks = []
      incoming.on('data', (chunk) => chunks.push(chunk))
      incoming.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString('utf8'))))
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })

export const handler = async () => ({ statusCode: 200, body: (await call('secretsmanager.GetSecretValue', { SecretId: 'app-key-1', VersionStage: 'AWSCURRENT' })).SecretString })

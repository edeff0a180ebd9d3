// The floor of a read from Google: a token of the metadata server over HTTP, then the secret over HTTPS.
const http = process.getBuiltinModule('node:http')
const https = process.getBuiltinModule('node:https')
const agent = new https.Agent({ keepAlive: true })
const { GCE_METADATA_HOST: metadata, BENCH_TLS_URL: api } = process.env

const get = (url, options) =>
  new Promise((resolve, reject) => {
    const outgoing = (url.startsWith('https:') ? https : http).get(url, options, (incoming) => {
      const chunks = []
      incoming.on('data', (chunk) => chunks.push(chunk))
      incoming.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString('utf8'))))
    })
    outgoing.on('error', reject)
  })
let token

export const handler = async () => {
  token ??= (await get(`http://${metadata}/computeMetadata/v1/instance/service-accounts/default/token`, { headers: { 'metadata-flavor': 'Google' } })).access_token
  const { payload } = await get(`${api}/v1/projects/bench/secrets/app-key-1/versions/latest:access`, { agent, headers: { authorization: `Bearer ${token}` } })
  return { statusCode: 200, body: Buffer.from(payload.data, 'base64').toString('utf8') }
}

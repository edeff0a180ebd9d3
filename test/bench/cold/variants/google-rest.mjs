// Google's client over REST, without TLS, its token from the metadata server.
import { SecretManagerServiceClient } from '@google-cloud/secret-manager'

const client = new SecretManagerServiceClient({ fallback: true, protocol: 'http', apiEndpoint: '127.0.0.1', port: Number(process.env.BENCH_HTTP_PORT), projectId: 'bench' })

export const handler = async () => ({ statusCode: 200, body: Buffer.from((await client.accessSecretVersion({ name: 'projects/bench/secrets/app-key-1/versions/latest' }))[0].payload.data).toString('utf8') })

// Google's client as it comes: gRPC, here without TLS and without a token.
import { credentials } from '@grpc/grpc-js'
import { SecretManagerServiceClient } from '@google-cloud/secret-manager'

const client = new SecretManagerServiceClient({ apiEndpoint: '127.0.0.1', port: Number(process.env.BENCH_GRPC_PORT), sslCreds: credentials.createInsecure(), projectId: 'bench' })

export const handler = async () => ({ statusCode: 200, body: Buffer.from((await client.accessSecretVersion({ name: 'projects/bench/secrets/app-key-1/versions/latest' }))[0].payload.data).toString('utf8') })

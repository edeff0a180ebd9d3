// aws-lite without plugins.
import awsLite from '@aws-lite/client'

const url = new URL(process.env.AWS_ENDPOINT_URL)
const client = awsLite({ autoloadPlugins: false, protocol: 'https', host: url.hostname, port: Number(url.port) })

export const handler = async () => {
  const aws = await client
  const { payload } = await aws({ service: 'secretsmanager', awsjson: false, method: 'POST', headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'secretsmanager.GetSecretValue' }, payload: { SecretId: 'app-key-1' } })
  return { statusCode: 200, body: payload.SecretString }
}

// AWS IAM as an identity for Infisical: a GetCallerIdentity that AWS's own client signs and nobody sends, for Infisical to send. Loaded only for that login.
import { LatchkeyError } from '../../core/errors.ts'
import type { Env } from '../../core/runtime.ts'
import { environmentKeys } from '../aws-keys.ts'

interface Signed {
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly protocol: string
  readonly hostname: string
  readonly path: string
}

/** The signed request as Infisical's login takes it. Makes no call to STS. @throws misconfigured when there are no AWS credentials */
export const signedCallerIdentity = async (region: string, env: Env): Promise<Readonly<Record<string, string>>> => {
  if (!/^[a-z0-9-]{1,63}$/.test(region)) throw new LatchkeyError('misconfigured', 'infisical_aws_region must be made of a-z, 0-9 and "-", such as us-east-1.')
  const { STSClient, GetCallerIdentityCommand } = await import('@aws-sdk/client-sts')
  const credentials = environmentKeys(env) ?? (await import('@aws-sdk/credential-providers')).fromNodeProviderChain({ clientConfig: { region } })
  let signed: Signed | undefined
  const requestHandler = {
    handle: async (request: Signed): Promise<never> => {
      signed = request
      throw new Error('kept')
    },
  }
  const client = new STSClient({ region, credentials, endpoint: `https://sts.${region}.amazonaws.com`, maxAttempts: 1, requestHandler: requestHandler as never })
  await client.send(new GetCallerIdentityCommand({})).catch(() => undefined)
  client.destroy()
  if (signed === undefined) throw new LatchkeyError('misconfigured', 'infisical_auth_method aws: no AWS credentials were found for the login. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with an identity that the AWS SDK finds.')
  const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')
  return { iamHttpRequestMethod: 'POST', iamRequestUrl: base64(`${signed.protocol}//${signed.hostname}${signed.path}`), iamRequestBody: base64(String(signed.body)), iamRequestHeaders: base64(JSON.stringify(signed.headers)) }
}

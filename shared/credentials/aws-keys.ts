// Keys of AWS that are simply there. Apart from the identity that a store has, because whoever needs no login loads nothing that could make one.
import type { Env } from '../core/runtime.ts'

/** One set of keys, as the AWS SDK takes it. */
export interface AwsKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

const given = (env: Env, name: string): string | undefined => env.get(name) || undefined

/** The keys of the environment; none where it names a profile, which outranks them: the SDK's own rule. */
export const environmentKeys = (env: Env): AwsKeys | undefined => {
  const [id, secret, token] = [given(env, 'AWS_ACCESS_KEY_ID'), given(env, 'AWS_SECRET_ACCESS_KEY'), given(env, 'AWS_SESSION_TOKEN')]
  if (id === undefined || secret === undefined || given(env, 'AWS_PROFILE') !== undefined) return undefined
  return { accessKeyId: id, secretAccessKey: secret, ...(token !== undefined && { sessionToken: token }) }
}

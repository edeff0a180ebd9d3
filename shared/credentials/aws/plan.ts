// From settings to the way that leads to an identity: where it starts, and which roles it goes through. Everything that does not fit together is found
// here, at open, with the setting and the fix; no value stands in a message.
import { LatchkeyError, wrongSetting as wrong } from '../../core/errors.ts'
import type { Env, ProviderIo } from '../../core/runtime.ts'
import type { AwsClientSettings } from '../aws-calls.ts'
import { awsRegion, type AwsIdentitySettings } from '../aws.ts'
import { environmentKeys, type AwsKeys } from '../aws-keys.ts'
import { isJwt, isOidcReference, oidcTokens, tokenFile, type IdentityTokens } from '../oidc.ts'
import { SecretValue } from '../../core/secret.ts'
import { refuseOpenHttp } from '../plain-http.ts'

/** Everything that an identity hangs on. */
export type AwsLoginSettings = AwsIdentitySettings & AwsClientSettings

/** Where the way starts. */
export type Start =
  | { readonly kind: 'keys'; readonly keys: AwsKeys; readonly setting: string }
  | { readonly kind: 'profile'; readonly profile: string; readonly filepath: string; readonly configFilepath: string; readonly setting: string }
  | { readonly kind: 'chain'; readonly setting: string }
  | { readonly kind: 'token'; readonly tokens: () => IdentityTokens; readonly setting: string }

/** One role on the way. */
export interface Hop {
  readonly call: 'AssumeRole' | 'AssumeRoleWithWebIdentity'
  readonly role: string
  /** The setting, or the variable, that names the role. */
  readonly setting: string
  readonly sessionName: string
  readonly externalId?: string
  readonly sourceIdentity?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly seconds?: number
}

/** A whole way. */
export interface Plan {
  readonly start: Start
  readonly hops: readonly Hop[]
  readonly sts: { readonly region: string; readonly url?: string }
  readonly notices: readonly string[]
}

const misconfigured = (message: string): LatchkeyError => new LatchkeyError('misconfigured', message)
const given = (env: Env, name: string): string | undefined => env.get(name) || undefined

/** What is wrong where this is no region's name. */
export const noRegion = (region: string | undefined): LatchkeyError =>
  misconfigured(
    region === undefined
      ? 'aws_region_name is missing; set it beside key_management_system, or AWS_REGION_NAME (or AWS_REGION, AWS_DEFAULT_REGION) in the environment.'
      : 'aws_region_name must be made of a-z, 0-9 and "-", such as us-east-1; AWS_REGION_NAME, AWS_REGION and AWS_DEFAULT_REGION likewise.',
  )

/** The keys of the settings. @throws misconfigured when they are no whole set */
export const staticKeys = ({ aws_access_key_id: id, aws_secret_access_key: secret, aws_session_token: token }: AwsIdentitySettings): AwsKeys | undefined => {
  if ((id === undefined) !== (secret === undefined)) throw misconfigured(`${id === undefined ? 'aws_secret_access_key stands without aws_access_key_id' : 'aws_access_key_id stands without aws_secret_access_key'}; set both or neither.`)
  if (id === undefined && token !== undefined) throw misconfigured('aws_session_token stands without aws_access_key_id and aws_secret_access_key; set all three or none.')
  return id === undefined || secret === undefined ? undefined : { accessKeyId: id.reveal(), secretAccessKey: secret.reveal(), ...(token !== undefined && { sessionToken: token.reveal() }) }
}

const words = /^[\w+=,.@-]{2,64}$/
const tagText = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u
const roleArn = /^arn:(aws[a-z-]*):iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/

const checkRole = (role: string, setting: string, region: string): string => {
  const partition = roleArn.exec(role)?.[1]
  if (partition === undefined) throw wrong(setting, 'must be the ARN of a role: arn:aws:iam::<12 digits>:role/<path and name>.')
  const home = region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
  if (['aws', 'aws-cn', 'aws-us-gov'].includes(partition) && partition !== home) throw wrong(setting, 'names a role of another partition than that of aws_region_name; no role can be assumed across partitions.')
  return role
}

/** The rules of STS for what goes into a session. */
const checkSession = (settings: AwsLoginSettings): void => {
  const { aws_session_name: name, aws_external_id: id, aws_source_identity: source, aws_session_tags: tags = {} } = settings
  if (name !== undefined && !words.test(name)) throw wrong('aws_session_name', 'must have 2 to 64 of A-Z a-z 0-9 _ + = , . @ -.')
  if (id !== undefined && !/^[\w+=,.@:/-]{2,1224}$/.test(id)) throw wrong('aws_external_id', 'must have 2 to 1224 of A-Z a-z 0-9 _ + = , . @ : / -.')
  if (source !== undefined && (!words.test(source) || /^aws:/i.test(source))) throw wrong('aws_source_identity', 'must have 2 to 64 of A-Z a-z 0-9 _ + = , . @ -.')
  const entries = Object.entries(tags)
  if (entries.length > 50) throw wrong('aws_session_tags', 'must be at most 50.')
  if (entries.some(([key, value]) => key === '' || key.length > 128 || value.length > 256 || /^aws:/i.test(key) || !tagText.test(key) || !tagText.test(value))) {
    throw wrong('aws_session_tags', 'must have keys of 1 to 128 and values of at most 256 letters, digits, spaces and _ . : / = + - @; no key begins with "aws:".')
  }
}

const sessionSettings = ['aws_session_name', 'aws_external_id', 'aws_source_identity', 'aws_session_tags', 'aws_session_duration_seconds'] as const
const neverWithToken = { aws_external_id: 'an external id', aws_session_tags: 'session tags', aws_source_identity: 'a source identity' } as const

/** A path, a reference or the token itself. A file must be there now, and is read again at every login. */
const tokensOf = async (text: string, setting: string, io: ProviderIo): Promise<() => IdentityTokens> => {
  if (isOidcReference(text)) {
    oidcTokens(text, setting, io)
    return () => oidcTokens(text, setting, io)
  }
  if (isJwt(text)) return () => ({ get: async () => SecretValue.of(text) })
  if (text.startsWith('os.environ/')) return tokensOf(given(io.env, text.slice('os.environ/'.length)) ?? '', setting, io)
  if (text === '' || text.length > 4096 || /\p{Cc}/u.test(text)) throw wrong(setting, 'is neither a token, nor the path of a file with one, nor oidc/<provider>/<audience>.')
  const read = (): Promise<SecretValue> => tokenFile(io.files, text, setting, 'the token file that it names')
  await read()
  return () => ({ get: read })
}

const homePath = (env: Env, path: string): string => path.replace(/^~(?=\/|$)/, given(env, 'HOME') ?? given(env, 'USERPROFILE') ?? '~')

/** The shared files, which a bundle or a container image usually does not have. @throws misconfigured when they do not know the profile */
const profileOf = async (profile: string, io: ProviderIo): Promise<Start> => {
  const setting = 'aws_profile_name'
  const filepath = homePath(io.env, given(io.env, 'AWS_SHARED_CREDENTIALS_FILE') ?? '~/.aws/credentials')
  const configFilepath = homePath(io.env, given(io.env, 'AWS_CONFIG_FILE') ?? '~/.aws/config')
  const texts = await Promise.all([filepath, configFilepath].map(async (path) => Buffer.from((await io.files.read(path)) ?? '').toString('utf8')))
  if (texts.every((text) => text === '')) {
    throw wrong(setting, 'names a profile, but there are no shared AWS files here (~/.aws/credentials, ~/.aws/config, or what AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE name). A deployed function has none: give it a role instead, and leave this setting out.')
  }
  const known = texts.flatMap((text) => [...text.matchAll(/^\s*\[\s*(?:profile\s+)?["']?([^\]"']+?)["']?\s*\]/gm)].map(([, name]) => name))
  if (!known.includes(profile)) throw wrong(setting, 'names a profile that the shared AWS files do not have.')
  return { kind: 'profile', profile, filepath, configFilepath, setting }
}

const stsOf = async (settings: AwsLoginSettings): Promise<Plan['sts']> => {
  const region = await awsRegion(settings)
  const url = settings.aws_sts_endpoint
  if (url === undefined) return { region }
  refuseOpenHttp('aws_sts_endpoint', url, { setting: 'aws_allow_plain_http', value: settings.aws_allow_plain_http })
  const { username, password, search, hash, hostname } = new URL(url)
  if (username + password + search + hash !== '') throw wrong('aws_sts_endpoint', 'must be a URL of scheme, host and port, without user, query or fragment.')
  // A request is signed for the region that its endpoint belongs to, and that may be another than the secrets'.
  const own = /(?:^|\.)sts(?:-fips)?\.([a-z]{2,}(?:-[a-z]+)+-\d+)\./.exec(hostname)?.[1]
  return { url, region: own ?? (hostname === 'sts.amazonaws.com' ? 'us-east-1' : region) }
}

const startOf = async (settings: AwsLoginSettings, io: ProviderIo): Promise<Start> => {
  const keys = staticKeys(settings)
  const { aws_profile_name: profile, aws_web_identity_token: token } = settings
  const several = Object.entries({ aws_web_identity_token: token, aws_profile_name: profile, aws_access_key_id: keys }).flatMap(([setting, value]) => (value === undefined ? [] : [setting]))
  if (several.length > 1) throw wrong(several.join(' and '), `are ${several.length} credentials at once; leave all but one out (AWS_WEB_IDENTITY_TOKEN and AWS_PROFILE_NAME of the environment count too).`)
  if (token !== undefined) return { kind: 'token', tokens: await tokensOf(token.reveal(), 'aws_web_identity_token', io), setting: 'aws_web_identity_token' }
  if (profile !== undefined) return profileOf(profile, io)
  if (keys !== undefined) return { kind: 'keys', keys, setting: 'aws_access_key_id' }
  const ambient = environmentKeys(io.env)
  if (ambient !== undefined) return { kind: 'keys', keys: ambient, setting: 'AWS_ACCESS_KEY_ID' }
  const file = given(io.env, 'AWS_WEB_IDENTITY_TOKEN_FILE')
  if (file !== undefined && given(io.env, 'AWS_ROLE_ARN') !== undefined && given(io.env, 'AWS_PROFILE') === undefined) {
    return { kind: 'token', tokens: await tokensOf(file, 'AWS_WEB_IDENTITY_TOKEN_FILE', io), setting: 'AWS_WEB_IDENTITY_TOKEN_FILE' }
  }
  return { kind: 'chain', setting: 'aws_access_key_id' }
}

/** The way that these settings mean. Makes no call. @throws misconfigured */
export const planOf = async (settings: AwsLoginSettings, io: ProviderIo): Promise<Plan> => {
  checkSession(settings)
  const sts = await stsOf(settings)
  const start = await startOf(settings, io)
  const region = await awsRegion(settings)
  const { aws_role_name: role, aws_session_duration_seconds: seconds } = settings
  const pod = start.kind === 'token' ? given(io.env, 'AWS_ROLE_ARN') : undefined
  if (start.kind === 'token' && role === undefined && pod === undefined) throw wrong('aws_web_identity_token', 'stands without a role to go into: set aws_role_name.')
  const idle = sessionSettings.filter((setting) => settings[setting] !== undefined)
  if (role === undefined && idle.length > 0) throw wrong(idle.join(', '), `${idle.length === 1 ? 'does' : 'do'} nothing without aws_role_name: set the role, or leave ${idle.length === 1 ? 'it' : 'them'} out.`)
  const generated = (): string => `latchkey-${Buffer.from(io.random.bytes(8)).toString('hex')}`

  const two = role !== undefined && pod !== undefined && pod !== role
  const hops: Hop[] = []
  if (start.kind === 'token') {
    const straight = two ? undefined : role
    for (const [setting, what] of straight === undefined ? [] : Object.entries(neverWithToken)) {
      if (settings[setting as keyof typeof neverWithToken] !== undefined) {
        throw wrong(setting, `cannot be sent: ${start.setting} goes straight into aws_role_name, and AWS takes no ${what.replace(/^an? /, '')} with a web identity token. Leave it out, or set AWS_ROLE_ARN to the role that the token is for, so that aws_role_name is assumed from there.`)
      }
    }
    const podName = given(io.env, 'AWS_ROLE_SESSION_NAME')
    if (straight === undefined && podName !== undefined && !words.test(podName)) throw wrong('AWS_ROLE_SESSION_NAME', 'must have 2 to 64 of A-Z a-z 0-9 _ + = , . @ -.')
    hops.push({
      call: 'AssumeRoleWithWebIdentity',
      ...(straight === undefined ? { role: checkRole(pod ?? '', 'AWS_ROLE_ARN', region), setting: 'AWS_ROLE_ARN', sessionName: podName ?? generated() } : { role: checkRole(straight, 'aws_role_name', region), setting: 'aws_role_name', sessionName: settings.aws_session_name ?? generated() }),
      ...(!two && seconds !== undefined && { seconds }),
    })
  }
  if (role !== undefined && (start.kind !== 'token' || two)) {
    if (two && seconds !== undefined && seconds > 3600) throw wrong('aws_session_duration_seconds', 'must be at most 3600: aws_role_name is assumed from the role in AWS_ROLE_ARN, and AWS ends such a session after an hour.')
    const { aws_external_id: externalId, aws_source_identity: sourceIdentity, aws_session_tags: tags } = settings
    hops.push({
      call: 'AssumeRole',
      role: checkRole(role, 'aws_role_name', region),
      setting: 'aws_role_name',
      sessionName: settings.aws_session_name ?? generated(),
      ...(externalId !== undefined && { externalId }),
      ...(sourceIdentity !== undefined && { sourceIdentity }),
      ...(tags !== undefined && Object.keys(tags).length > 0 && { tags }),
      ...(seconds !== undefined && { seconds }),
    })
  }
  const literal = start.kind === 'token' && isJwt(settings.aws_web_identity_token?.reveal() ?? '')
  const notices = [
    ...(literal ? ['aws_web_identity_token holds a token itself, which ends and is not renewed: name the file that it is written to, or oidc/<provider>/<audience>.'] : []),
    ...(start.kind === 'keys' && settings.aws_session_token !== undefined ? ['aws_session_token is set: these keys end within hours, and nothing renews them.'] : []),
  ]
  return { start, hops, sts, notices }
}

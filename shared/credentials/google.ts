// Who Latchkey is on Google Cloud: the settings that say so, and the one place that turns them into an identity, for both providers that stand there.
// Exactly one source is used and nothing is merged: the file or text named by a setting, else gcloud's own file, else the metadata server of the machine.
// Which hosts a credential file may send anything to is decided here, before anything is sent.
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { LatchkeyError } from '../core/errors.ts'
import type { ProviderIo } from '../core/runtime.ts'
import { SecretValue } from '../core/secret.ts'
import type { SettingsTable } from '../core/settings.ts'
import { isMapping } from '../core/settings/mapping.ts'
import { isLoopbackHost } from '../core/settings/loopback.ts'
import { googleLogin, type AwsSource, type GoogleCredential } from './google/logins.ts'
import { tokenSource, type TokenSource } from './token.ts'
import { homePath } from './operator-files.ts'

/** Settings of identity that every Google provider has. */
export interface GoogleIdentitySettings {
  readonly google_service_account?: SecretValue
  readonly google_application_credentials?: SecretValue
  readonly google_trusted_hosts?: readonly string[]
  readonly google_metadata_host: string
  readonly google_quota_project?: string
}

/** The identity rows of every Google provider's settings table. Secret Manager gives the first one LiteLLM's variable. */
export const googleIdentitySettings: SettingsTable<GoogleIdentitySettings> = {
  google_service_account: { type: 'string', secret: true, text: 'Credential file of Google as a path, or its JSON text. Goes before `google_application_credentials`, as in LiteLLM.' },
  google_application_credentials: {
    type: 'string',
    secret: true,
    env: ['GOOGLE_APPLICATION_CREDENTIALS'],
    text: "Credential file of Google (service account, workload identity federation, gcloud's own) as a path, or its JSON text. Default: gcloud's file where it usually is, else the metadata server.",
  },
  google_trusted_hosts: { type: 'string_list', text: "Further hosts that a credential file may name, beside Google's own and `sts.<region>.amazonaws.com`; for private endpoints and emulators." },
  google_metadata_host: { type: 'string', default: 'metadata.google.internal', env: ['GCE_METADATA_HOST'], text: 'The metadata server, asked when there is no credential file.' },
  google_quota_project: { type: 'string', env: ['GOOGLE_CLOUD_QUOTA_PROJECT'], text: "Project that calls are counted against. Default: the identity's own." },
}

/** An identity: where it came from, for people, and its tokens. */
export interface GoogleIdentity {
  /** Such as `the service account reader@p.iam.gserviceaccount.com`; never key material. */
  readonly who: string
  /** The setting that decides it. */
  readonly setting: string
  readonly quotaProject?: string
  readonly tokens: TokenSource
  close(): Promise<void>
}

type Json = Readonly<Record<string, unknown>>

const ours: ReadonlySet<string> = new Set(['oauth2.googleapis.com', 'sts.googleapis.com', 'iamcredentials.googleapis.com'])
const mostBytes = 65_536
const metadataAddress = '169.254.169.254'

/** What is wrong with a credential, said with its setting and never with its content. */
const wrong = (setting: string, message: string): LatchkeyError => new LatchkeyError('misconfigured', `${setting}: ${message}`)

/** Reads the fields of one credential file. @throws misconfigured */
class CredentialFile {
  readonly #json: Json
  readonly #setting: string
  readonly #trusted: ReadonlySet<string>

  constructor(json: Json, setting: string, trusted: ReadonlySet<string>) {
    this.#json = json
    this.#setting = setting
    this.#trusted = trusted
  }

  text(field: string, pattern = /^[\x21-\x7e]{1,2048}$/): string {
    const value = this.#json[field]
    if (typeof value !== 'string' || !pattern.test(value)) throw wrong(this.#setting, `the credential file has no ${field}, or one that cannot be used.`)
    return value
  }

  optional(field: string): string | undefined {
    return this.#json[field] === undefined || this.#json[field] === null || this.#json[field] === '' ? undefined : this.text(field)
  }

  secret(field: string): SecretValue {
    return SecretValue.of(this.text(field, /^[\x20-\x7e\s]{1,16384}$/))
  }

  /** An RSA key: Google's service accounts have no other. */
  key(field: string): KeyObject {
    try {
      const key = createPrivateKey(this.text(field, /^[\x20-\x7e\s]{1,16384}$/))
      if (key.asymmetricKeyType === 'rsa') return key
    } catch {
      // OpenSSL's words say nothing that the sentence below does not.
    }
    throw wrong(this.#setting, `${field} of the credential file is no RSA key.`)
  }

  /** A URL to which something secret is sent. */
  url(field: string, given = this.text(field), path: RegExp = /^\//): string {
    const url = URL.canParse(given) ? new URL(given) : undefined
    const known = url !== undefined && (ours.has(url.host) || this.#trusted.has(url.hostname))
    const safe = url?.protocol === 'https:' || (url !== undefined && isLoopbackHost(url.hostname))
    if (url === undefined || !known || !safe || url.username !== '' || url.hash !== '' || !path.test(url.pathname)) {
      throw wrong(this.#setting, `${field} of the credential file leads to a host that is not Google's, or not over https; a private endpoint of your own is named in google_trusted_hosts.`)
    }
    return given
  }

  within(field: string): CredentialFile {
    const value = this.#json[field]
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw wrong(this.#setting, `the credential file has no ${field}.`)
    return new CredentialFile(value as Json, this.#setting, this.#trusted)
  }

  has(field: string): boolean {
    return this.#json[field] !== undefined && this.#json[field] !== null
  }

  refuse(message: string): LatchkeyError {
    return wrong(this.#setting, message)
  }

  trusts(host: string): boolean {
    return host === metadataAddress || this.#trusted.has(host)
  }
}

const headersOf = (source: CredentialFile): Readonly<Record<string, string>> => {
  if (!source.has('headers')) return {}
  const headers = source.within('headers')
  return Object.fromEntries(['Metadata', 'Metadata-Flavor', 'Authorization', 'X-IDENTITY-HEADER'].flatMap((name) => (headers.has(name) ? [[name, headers.text(name, /^[\x20-\x7e]{1,8192}$/)]] : [])))
}

/** Where the foreign token of a federation comes from. Programs are never run. */
const subjectOf = (file: CredentialFile): Extract<GoogleCredential, { kind: 'external_account' }>['subject'] => {
  const source = file.within('credential_source')
  if (source.has('executable')) throw file.refuse('the credential file wants a program to be run for its token, which Latchkey does not do; use a file, a URL or AWS.')
  if (source.has('environment_id')) {
    const check = source.text('regional_cred_verification_url')
    if (source.text('environment_id') !== 'aws1' || !/^https:\/\/sts\.(\{region\}|[a-z0-9-]+)\.amazonaws\.com(\.cn)?\/?\?Action=GetCallerIdentity&Version=2011-06-15$/.test(check)) {
      throw file.refuse('regional_cred_verification_url of the credential file must be https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15.')
    }
    return { from: 'aws', check } satisfies AwsSource
  }
  const field = source.has('format') && source.within('format').optional('type') === 'json' ? source.within('format').text('subject_token_field_name') : undefined
  if (source.has('file')) return { from: 'file', path: source.text('file', /^[^\0]{1,4096}$/), ...(field !== undefined && { field }) }
  if (!source.has('url')) throw file.refuse('credential_source of the credential file must have a file, a url or an AWS environment; certificates are not supported.')
  const url = source.text('url')
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol) || !source.trusts(new URL(url).hostname)) throw file.refuse(`credential_source.url of the credential file may lead to ${metadataAddress} and to hosts named in google_trusted_hosts.`)
  return { from: 'url', url, headers: headersOf(source), ...(field !== undefined && { field }) }
}

const tokenUrl = (file: CredentialFile): string => (file.has('token_uri') ? file.url('token_uri') : 'https://oauth2.googleapis.com/token')

/** The credential that a file holds. @throws misconfigured */
const credentialOf = (file: CredentialFile): GoogleCredential => {
  const type = file.text('type')
  if (file.has('universe_domain') && file.text('universe_domain') !== 'googleapis.com') throw file.refuse('the credential file belongs to another universe than googleapis.com.')
  switch (type) {
    case 'service_account': {
      const id = file.optional('private_key_id')
      return { kind: type, email: file.text('client_email', /^[\x21-\x7e]{3,320}$/), key: file.key('private_key'), ...(id !== undefined && { keyId: id }) }
    }
    case 'authorized_user':
      return { kind: type, clientId: file.text('client_id'), clientSecret: file.secret('client_secret'), refreshToken: file.secret('refresh_token'), url: tokenUrl(file) }
    case 'external_account':
      return {
        kind: type,
        audience: file.text('audience'),
        tokenType: file.text('subject_token_type'),
        url: file.url('token_url'),
        subject: subjectOf(file),
        ...(file.has('service_account_impersonation_url') && { impersonate: file.url('service_account_impersonation_url', undefined, impersonationPath) }),
      }
    case 'impersonated_service_account': {
      const source = credentialOf(file.within('source_credentials'))
      if (source.kind !== 'service_account' && source.kind !== 'authorized_user') throw file.refuse('source_credentials of the credential file must be a service account or a user.')
      return { kind: type, source, impersonate: file.url('service_account_impersonation_url', undefined, impersonationPath) }
    }
    default:
      throw file.refuse('the type of the credential file must be service_account, external_account, authorized_user or impersonated_service_account.')
  }
}

const impersonationPath = /^\/v1\/projects\/-\/serviceAccounts\/[^/:]+:generateAccessToken$/
const accountOf = (url: string): string => decodeURIComponent(/serviceAccounts\/([^/:]+):/.exec(url)?.[1] ?? '')

const whoIs = (credential: GoogleCredential): string => {
  switch (credential.kind) {
    case 'service_account':
      return `the service account ${credential.email}`
    case 'authorized_user':
      return 'the user who logged in with gcloud'
    case 'external_account':
      return credential.impersonate === undefined ? 'the federated identity of the credential file' : `the service account ${accountOf(credential.impersonate)}, by federation`
    case 'impersonated_service_account':
      return `the service account ${accountOf(credential.impersonate)}, by impersonation`
    case 'metadata':
      return 'the service account of this machine'
  }
}

const parse = (text: string, setting: string): Json => {
  try {
    const json: unknown = JSON.parse(text)
    if (isMapping(json)) return json
  } catch {
    // What JSON.parse says of it shows the beginning of the text.
  }
  throw wrong(setting, 'what it names is no credential file of Google: it is not the JSON that was downloaded.')
}

const readFile = async (path: string, setting: string, io: ProviderIo): Promise<string | undefined> => {
  const bytes = await io.files.read(path).catch(() => {
    throw wrong(setting, 'the credential file cannot be read.')
  })
  if (bytes !== undefined && bytes.byteLength > mostBytes) throw wrong(setting, `the credential file is larger than ${mostBytes} bytes.`)
  return bytes && Buffer.from(bytes).toString('utf8')
}

/** The file that is used, if one is: named by a setting, or where gcloud leaves it. */
const findFile = async (settings: GoogleIdentitySettings, io: ProviderIo): Promise<{ readonly json: Json; readonly setting: string } | undefined> => {
  for (const setting of ['google_service_account', 'google_application_credentials'] as const) {
    const given = settings[setting]?.reveal().trim()
    if (given === undefined || given === '') continue
    if (given.startsWith('{')) return { json: parse(given, setting), setting }
    const text = await readFile(homePath(given, io.env), setting, io)
    if (text === undefined) throw wrong(setting, 'there is no such file.')
    return { json: parse(text, setting), setting }
  }
  const setting = 'google_application_credentials'
  const home = io.env.get('HOME')
  const folder = io.env.get('CLOUDSDK_CONFIG') || (home ? `${home}/.config/gcloud` : undefined)
  const text = folder ? await readFile(`${folder}/application_default_credentials.json`, setting, io) : undefined
  return text === undefined ? undefined : { json: parse(text, setting), setting }
}

/**
 * The identity of these settings. Reads files, makes no network call; tokens are fetched on use and kept until shortly before they end.
 * @throws misconfigured naming the setting, never the content
 */
export const googleIdentity = async (settings: GoogleIdentitySettings, io: ProviderIo): Promise<GoogleIdentity> => {
  const found = await findFile(settings, io)
  if (!/^[A-Za-z0-9.:[\]-]{1,255}$/.test(settings.google_metadata_host)) throw wrong('google_metadata_host', 'must be a host, or a host and a port.')
  const setting = found?.setting ?? 'google_application_credentials'
  const credential: GoogleCredential = found === undefined ? { kind: 'metadata', host: settings.google_metadata_host } : credentialOf(new CredentialFile(found.json, setting, new Set(settings.google_trusted_hosts)))
  const who = whoIs(credential)
  const { login, close } = googleLogin(credential, { who, setting }, io)
  const quotaProject = settings.google_quota_project ?? (typeof found?.json['quota_project_id'] === 'string' ? found.json['quota_project_id'] : undefined)
  return { who, setting, tokens: tokenSource({ clock: io.clock, login }), close, ...(quotaProject !== undefined && /^[a-z0-9.:-]{1,128}$/.test(quotaProject) && { quotaProject }) }
}

// Google Cloud KMS: an environment variable holds ciphertext (base64, or the literal of LiteLLM's page), and reading it is one decrypt. Read only. Checksums go with
// the request and are held against the answer; an empty plaintext, which JSON leaves out, is one only with its checksum. Decrypting is one plain request; Google's
// own client is loaded only to ask what Latchkey may do. What does not decrypt is a failure of its own, and the ciphertext is never the answer.
import type { KeyManagementServiceClient } from '@google-cloud/kms'
import { crc32c } from '../credentials/crc32c.ts'
import { addressOf, googleApi, type GoogleAction, type GoogleService, type Json } from '../credentials/google-calls.ts'
import { googleIdentity, googleIdentitySettings, type GoogleIdentitySettings } from '../credentials/google.ts'
import { ciphertextVariables, readableSettings, textFor, type ReadableSettings } from '../credentials/kms/ciphertext-variables.ts'
import { googleCiphertext } from '../credentials/kms/google-ciphertext.ts'
import { asLatchkeyError, LatchkeyError, type ErrorCode } from '../core/errors.ts'
import { serviceFailure } from '../core/failure.ts'
import { refuseOpenHttp } from '../credentials/plain-http.ts'
import { hostedName, verbatimCodec } from '../core/names.ts'
import { defineProvider, type Finding, type OpenedProvider, type SecretProvider } from '../core/provider.ts'
import type { Call, ProviderIo } from '../core/runtime.ts'
import { SecretValue, type SecretName } from '../core/secret.ts'

interface GoogleKmsSettings extends GoogleIdentitySettings, ReadableSettings {
  readonly google_kms_resource_name: string
  readonly google_kms_aad?: string
  readonly google_kms_endpoint: string
  readonly google_allow_plain_http: boolean
}

const title = 'Google Cloud KMS'
const permission = 'cloudkms.cryptoKeyVersions.useToDecrypt'
const limits = { plaintextBytes: 65_536, aadBytes: 65_536 }
const tries = 2

/**
 * What Google says of a ciphertext or its key, by the name in `error.status`. `integrity`: it does not decrypt as it stands; Google does not say why. `version_disabled`:
 * the key is there and may not be used, so nothing kept of it is served any longer. `misconfigured`: the setting names no key.
 */
const refusals: Readonly<Record<string, readonly [code: ErrorCode, says: (name: string) => string]>> = {
  INVALID_ARGUMENT: ['integrity', (name) => `${title} cannot decrypt what the variable ${name} holds: it was changed or cut, or it was encrypted under another key than google_kms_resource_name or with another google_kms_aad.`],
  NOT_FOUND: ['misconfigured', () => `${title} has no such key: check google_kms_resource_name.`],
  FAILED_PRECONDITION: ['version_disabled', (name) => `The version of the key under which ${name} was encrypted is disabled or destroyed, or the key is not one that encrypts and decrypts. Enable it, or encrypt the value again.`],
}

/** @throws misconfigured, with what the name should look like */
const resourceOf = (given: string): string => {
  if (/^projects\/[a-z0-9.:-]{1,100}\/locations\/[a-z0-9-]{1,63}\/keyRings\/[\w-]{1,63}\/cryptoKeys\/[\w-]{1,63}$/.test(given)) return given
  const version = given.includes('/cryptoKeyVersions/') ? ' A ciphertext names its version itself: leave /cryptoKeyVersions/… off.' : ''
  throw new LatchkeyError('misconfigured', `google_kms_resource_name (GOOGLE_KMS_RESOURCE_NAME) must be projects/…/locations/…/keyRings/…/cryptoKeys/….${version}`)
}

/** The plaintext, if it is one and fits its checksum; what is wrong otherwise. */
const plaintextOf = ({ plaintext = '', plaintextCrc32c: sum }: Json): SecretValue | 'provider_unavailable' | 'integrity' => {
  if (typeof plaintext !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(plaintext) || plaintext.length % 4 !== 0 || !/^\d{1,10}$/.test(String(sum))) return 'provider_unavailable'
  const bytes = Buffer.from(plaintext, 'base64')
  return Number(sum) === crc32c(bytes) ? SecretValue.ofBytes(bytes) : 'integrity'
}

const open = async (settings: GoogleKmsSettings, io: ProviderIo): Promise<OpenedProvider> => {
  const resource = resourceOf(settings.google_kms_resource_name)
  const { google_kms_aad: aad = '', google_kms_endpoint: url } = settings
  if (Buffer.byteLength(aad) > limits.aadBytes) throw new LatchkeyError('misconfigured', `google_kms_aad is ${Buffer.byteLength(aad)} bytes long; ${title} takes ${limits.aadBytes}.`)
  refuseOpenHttp('google_kms_endpoint', url, { setting: 'google_allow_plain_http', value: settings.google_allow_plain_http })
  const service: GoogleService = { title, url, setting: 'google_kms_endpoint' }
  const identity = await googleIdentity(settings, io)
  const api = await googleApi(service, identity, io)
  const path = `/v1/${resource.split('/').map(encodeURIComponent).join('/')}`

  const decryptBytes = async (name: SecretName, ciphertext: Uint8Array, call: Call): Promise<SecretValue> => {
    const action: GoogleAction = { action: permission, name: name.text, native: resource }
    const bound = Buffer.from(textFor(aad, name))
    const body = JSON.stringify({
      ciphertext: Buffer.from(ciphertext).toString('base64'),
      ciphertextCrc32c: String(crc32c(ciphertext)),
      ...(bound.byteLength > 0 && { additionalAuthenticatedData: bound.toString('base64'), additionalAuthenticatedDataCrc32c: String(crc32c(bound)) }),
    })
    for (let attempt = 1; ; attempt += 1) {
      const answer = await api.send(action, { method: 'POST', path: `${path}:decrypt`, headers: { 'content-type': 'application/json' }, body, repeatable: true }, call).catch((error: unknown) => {
        const status = error instanceof LatchkeyError && error.code !== 'provider_quota' ? error.details.vendor?.name : undefined
        const said = status !== undefined && Object.hasOwn(refusals, status) ? refusals[status] : undefined
        throw said === undefined || !(error instanceof LatchkeyError) ? error : new LatchkeyError(said[0], said[1](name.text), error.details)
      })
      const value = plaintextOf(answer)
      if (value instanceof SecretValue) return value
      // What was changed on its way may arrive whole the next time.
      if (value !== 'integrity' || attempt === tries) throw serviceFailure(value, { title, ...action })
    }
  }
  const { sample, ...reading } = ciphertextVariables(settings, io, (name, text, call) => decryptBytes(name, googleCiphertext(name, text), call))

  let client: Promise<KeyManagementServiceClient> | undefined
  const load = async (): Promise<KeyManagementServiceClient> => {
    const [{ KeyManagementServiceClient: Client }, fallback, { loggingUtils }] = await Promise.all([import('@google-cloud/kms'), import('google-gax/fallback'), import('google-gax')])
    // A variable of the environment would make the client print every request.
    loggingUtils.setBackend(null)
    return new Client({ ...addressOf(service), auth: api.auth }, fallback)
  }
  /** Anybody who is known may ask what he may do; a key that is not there allows nothing. */
  const mayDecrypt = async (call: Call): Promise<Finding> => {
    const asked = { resource, permissions: [permission] } as Parameters<KeyManagementServiceClient['testIamPermissions']>[0]
    const [{ permissions }] = await api.through({ action: 'testIamPermissions', native: resource }, call, async (options) => (await (client ??= load())).testIamPermissions(asked, options))
    return permissions?.includes(permission) === true
      ? finding(undefined, `Allowed: ${identity.who} may decrypt with the key.`)
      : { ok: false, subject: permission, message: `${identity.who} may not decrypt with the key of google_kms_resource_name, or there is no such key. Give it roles/cloudkms.cryptoKeyDecrypter on the key.`, setting: 'google_kms_resource_name' }
  }
  /** A byte that is no ciphertext is refused as such by a service that knows who asks, or for want of a permission. */
  const knock = async (call: Call): Promise<Finding> => {
    const failure = await decryptBytes(hostedName('latchkey-check'), Uint8Array.of(0), call).then(() => undefined, asLatchkeyError)
    const answers = failure?.code === 'integrity' || failure?.details.vendor?.name === 'PERMISSION_DENIED'
    return finding(answers ? undefined : failure, `${title} answers. Whether it decrypts is known once a variable that may be read is set.`)
  }
  const finding = (failure: LatchkeyError | undefined, message: string): Finding => {
    if (failure === undefined) return { ok: true, subject: permission, message }
    const setting = failure.details.issues?.[0]?.path ?? (failure.code === 'provider_denied' ? identity.setting : failure.code === 'provider_unavailable' ? 'google_kms_endpoint' : 'google_kms_resource_name')
    return { ok: false, subject: permission, message: failure.message, setting }
  }
  const look = async (depth: 'reach' | 'read' | 'write', call: Call): Promise<Finding> => {
    const name = sample()
    if (name !== undefined) return reading.read(name, {}, call).then(() => finding(undefined, `Allowed: ${name.text} was decrypted.`))
    return depth === 'reach' ? knock(call) : mayDecrypt(call)
  }
  const check: SecretProvider['check'] = async (depth, call) => {
    const found = await look(depth, call).catch((error: unknown) => finding(asLatchkeyError(error), ''))
    return depth === 'write' ? [found, { ok: false, subject: 'cloudkms.cryptoKeyVersions.useToEncrypt', message: 'google_kms only reads: the environment is never written.', setting: 'access_mode' }] : [found]
  }

  return {
    ...reading,
    check,
    close: () => api.close(),
    traits: { names: verbatimCodec(), settleMs: 0, versions: 'none', value: { maxBytes: limits.plaintextBytes, empty: true, bytes: 'any' } },
  }
}

/** Google Cloud KMS over variables of the environment. */
export const googleKms = defineProvider<GoogleKmsSettings>({
  name: 'google_kms',
  title,
  settings: {
    ...googleIdentitySettings,
    ...readableSettings,
    google_kms_resource_name: { type: 'string', required: true, env: ['GOOGLE_KMS_RESOURCE_NAME'], text: 'The key, as `projects/…/locations/…/keyRings/…/cryptoKeys/…`, without a version.' },
    google_kms_aad: { type: 'string', text: 'Additional authenticated data that every ciphertext was made with; `{name}` in it is the name of the variable. Default: none, as in LiteLLM.' },
    google_kms_endpoint: { type: 'url', default: 'https://cloudkms.googleapis.com', env: ['CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS'], text: "Another endpoint than Google's own, for example of a location or a private connection." },
    google_allow_plain_http: { type: 'boolean', default: false, text: 'Allows an endpoint that begins with `http://` on another machine. Secrets then travel unencrypted.' },
  },
  open,
})

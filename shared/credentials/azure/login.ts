// Tokens for a vault. Applications sign in through @azure/identity, one fresh credential a login, because what it caches goes by the machine's clock and not by ours.
// A managed identity is one plain request: the SDK's keeps its endpoint and tokens for the whole process, reads the process's own variables and waits up to half a minute.
import type { TokenCredential } from '@azure/identity'
import { LatchkeyError } from '../../core/errors.ts'
import type { HttpResponse } from '../../core/http-client.ts'
import { jsonOf, retryAfterOf } from '../../core/http/answers.ts'
import type { Call, Env, ProviderIo } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import { clientCertificate, type AzureKind, type AzureSettings, type AzureSite } from './identity.ts'
import { requestOf, responseOf, sdkOrigin, type SdkClient } from './pipeline.ts'
import { oidcTokens, tokenFile } from '../oidc.ts'
import { tokenSource, type Token } from '../token.ts'
import { isMapping } from '../../core/settings/mapping.ts'

/** The tokens of one identity. */
export interface AzureTokens {
  /** Who that is, for people; never key material. */
  readonly who: string
  /** A token that is good now. @throws misconfigured, provider_denied naming the setting, provider_throttled, provider_unavailable, deadline_exceeded */
  get(call: Call): Promise<Token>
  /** The vault refused a token; `claims` is what it asks the next one to prove. */
  refused(token: Token, claims?: string): void
  close(): Promise<void>
}

type Sign = (call: Call, claims: string | undefined) => Promise<Token>
type Json = Readonly<Record<string, unknown>>

const entra = 'Microsoft Entra ID'
const skewMs = 120_000

/** What Entra's own numbers mean, and which setting is at fault. */
const meanings: Readonly<Record<number, readonly [setting: string, says: string]>> = {
  7000215: ['azure_client_secret', 'the client secret is wrong (its value is needed, not its id)'],
  7000222: ['azure_client_secret', 'the client secret has expired'],
  7000112: ['azure_client_id', 'the application is disabled'],
  700016: ['azure_client_id', 'there is no such application in this directory'],
  700027: ['azure_client_certificate_path', 'the certificate is not registered for the application, or its signature does not fit'],
  700021: ['azure_client_assertion', 'the application or its directory is not the one that the identity token is for'],
  70021: ['azure_federated_token_file', 'no federated credential of the application fits the issuer and subject of the identity token'],
  700211: ['azure_federated_token_file', 'no federated credential of the application fits the issuer of the identity token'],
  700212: ['azure_federated_token_file', 'no federated credential of the application fits the audience of the identity token'],
  700213: ['azure_federated_token_file', 'no federated credential of the application fits the subject of the identity token'],
  700024: ['azure_federated_token_file', 'the identity token, or this clock, is out of time'],
  90002: ['azure_tenant_id', 'there is no such directory'],
  900023: ['azure_tenant_id', 'there is no such directory'],
  500011: ['azure_key_vault_uri', 'the directory does not know Key Vault under the scope of this cloud'],
  53003: ['azure_tenant_id', 'a Conditional Access policy forbids it'],
}

const objectOf = (answer: HttpResponse, title: string): Json => {
  const json = jsonOf(answer, title)
  if (isMapping(json)) return json
  throw new LatchkeyError('provider_unavailable', `${title} did not answer sensibly.`, { vendor: { status: answer.status } })
}

/** How long a token of that life is used, in epoch milliseconds: never into its last two minutes, nor its last tenth. */
const useUntil = (now: number, ends: number): number => ends - Math.min(skewMs, Math.max(0, ends - now) / 10)

/** A refused login, in our words: which identity, by which setting, and what to change. */
const refusal = (answer: HttpResponse, { credential }: AzureSite): LatchkeyError => {
  const { status } = answer
  const retryAfter = retryAfterOf(answer)
  if (status === 429) return new LatchkeyError('provider_throttled', `${entra} throttles the login.`, { vendor: { status }, retryAfter: Math.max(1, retryAfter ?? 1) })
  const json = objectOf(answer, entra)
  const codes = Array.isArray(json['error_codes']) ? json['error_codes'].filter((code) => Number.isSafeInteger(code)) : []
  if (status >= 500 || typeof json['error'] !== 'string') return new LatchkeyError('provider_unavailable', `${entra} could not be reached, or did not answer the login sensibly.`, { vendor: { status } })
  const [code] = codes as number[]
  const [setting, says] = meanings[code ?? 0] ?? [credential.setting, 'the login was refused']
  const named = credential.kind === 'client_assertion' && setting === 'azure_federated_token_file' ? 'azure_client_assertion' : setting
  return new LatchkeyError('provider_denied', `${entra} refused the login of the application in azure_client_id by ${credential.setting}: ${says}${code === undefined ? '' : ` (AADSTS${code})`}. Check ${named}.`, {
    detail: `application ${credential.clientId} in directory ${credential.tenantId}`,
    vendor: { status, name: code === undefined ? 'login' : `AADSTS${code}` },
  })
}

/** Signs in through the SDK. What the SDK throws is dropped: it holds the exchange. What the exchange showed us decides. */
const application = async (settings: AzureSettings, site: AzureSite, io: ProviderIo): Promise<{ readonly sign: Sign; close(): Promise<void> }> => {
  const { credential, authority, resource } = site
  const { tenantId, clientId, kind } = credential
  const [sdk, http] = await Promise.all([import('@azure/identity'), io.http.connect({ url: authority, title: entra, setting: 'azure_authority_host' })])
  const federated = kind === 'client_assertion' ? oidcTokens(settings.azure_client_assertion ?? '', 'azure_client_assertion', io) : undefined

  const credentialWith = async (httpClient: SdkClient, call: Call): Promise<TokenCredential> => {
    // The authority is ours and fixed: it is not looked up, and nothing it names elsewhere is dialled.
    const options = { authorityHost: sdkOrigin(authority), disableInstanceDiscovery: true, httpClient, retryOptions: { maxRetries: 0 } }
    if (kind === 'client_secret') return new sdk.ClientSecretCredential(tenantId, clientId, settings.azure_client_secret?.reveal() ?? '', options)
    if (kind === 'client_certificate') {
      const password = settings.azure_client_certificate_password?.reveal()
      const certificate = await clientCertificate(settings, io.files)
      return new sdk.ClientCertificateCredential(tenantId, clientId, { certificate, ...(password !== undefined && { certificatePassword: password }) }, { ...options, sendCertificateChain: settings.azure_client_send_certificate_chain })
    }
    const assertion = await (federated?.get(call) ?? tokenFile(io.files, settings.azure_federated_token_file ?? '', 'azure_federated_token_file'))
    return new sdk.ClientAssertionCredential(tenantId, clientId, async () => assertion.reveal(), options)
  }

  const sign: Sign = async (call, claims) => {
    let failure: Error | undefined
    let seconds = 0
    const exchange: SdkClient['sendRequest'] = async (request) => {
      const answer = await http.send({ ...requestOf(request, authority, entra), repeatable: true }, call)
      if (answer.status !== 200) throw refusal(answer, site)
      seconds = Number(objectOf(answer, entra)['expires_in'] ?? 0)
      return responseOf(request, answer)
    }
    const watched: SdkClient = { sendRequest: (request) => exchange(request).catch((error: unknown) => Promise.reject((failure ??= error as Error))) }
    const source = await credentialWith(watched, call)
    const began = io.clock.now()
    const token = await source.getToken(`${resource}/.default`, { enableCae: true, ...(claims !== undefined && { claims }) }).catch(() => undefined)
    if (failure !== undefined) throw failure
    if (token === undefined || token === null || !(seconds > 0)) throw new LatchkeyError('provider_unavailable', `${entra} did not answer the login with a token.`)
    return { value: SecretValue.of(token.token), useUntil: useUntil(began, began + seconds * 1000) }
  }
  return { sign, close: () => http.close() }
}

const given = (env: Env, name: string): string | undefined => env.get(name) || undefined

/** Asks the host for the token of its managed identity: App Service and Functions by their endpoint, virtual machines and containers by the metadata service. */
const managed = async (settings: AzureSettings, site: AzureSite, io: ProviderIo): Promise<{ readonly sign: Sign; close(): Promise<void> }> => {
  const title = 'The managed identity of this host'
  const [endpoint, secret] = [given(io.env, 'IDENTITY_ENDPOINT'), given(io.env, 'IDENTITY_HEADER')]
  const onAppService = endpoint !== undefined && secret !== undefined
  const address = onAppService ? endpoint : `${(given(io.env, 'AZURE_POD_IDENTITY_AUTHORITY_HOST') ?? 'http://169.254.169.254').replace(/\/+$/, '')}/metadata/identity/oauth2/token`
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) throw new LatchkeyError('misconfigured', `${onAppService ? 'IDENTITY_ENDPOINT' : 'AZURE_POD_IDENTITY_AUTHORITY_HOST'} must be a URL; the platform sets it.`)
  const url = new URL(address)
  const http = await io.http.connect({ url: url.origin, title, setting: 'azure_credential', limits: { connect: 1_000 } })
  const resourceId = settings.azure_managed_identity_resource_id
  const query = new URLSearchParams({
    resource: site.resource,
    'api-version': onAppService ? '2019-08-01' : '2018-02-01',
    ...(site.credential.clientId !== '' && { client_id: site.credential.clientId }),
    ...(resourceId !== undefined && { [onAppService ? 'mi_res_id' : 'msi_res_id']: resourceId }),
  })
  const sign: Sign = async (call) => {
    const headers: Readonly<Record<string, string | SecretValue>> = secret !== undefined && onAppService ? { 'x-identity-header': SecretValue.of(secret) } : { metadata: 'true' }
    const answer = await http.send({ method: 'GET', path: `${url.pathname}?${query.toString()}`, headers, ...(!onAppService && { repeatOn: [404, 410] }) }, call)
    const { status } = answer
    if (status === 429) throw new LatchkeyError('provider_throttled', `${title} throttles the login.`, { vendor: { status }, retryAfter: 1 })
    if (status >= 500) throw new LatchkeyError('provider_unavailable', `${title} does not answer. Where there is none, set azure_client_secret or another credential.`, { vendor: { status } })
    if (status !== 200) throw new LatchkeyError('provider_denied', `${title} was refused: assign one to this host, or name the right one in azure_client_id or azure_managed_identity_resource_id.`, { vendor: { status } })
    const { access_token: text, expires_on: ends } = objectOf(answer, title)
    const at = Number(ends) * 1000
    if (typeof text !== 'string' || text === '' || !(at > 0)) throw new LatchkeyError('provider_unavailable', `${title} did not answer with a token.`, { vendor: { status } })
    return { value: SecretValue.of(text), useUntil: useUntil(io.clock.now(), at) }
  }
  return { sign, close: () => http.close() }
}

const says: Readonly<Record<AzureKind, string>> = {
  client_secret: 'the application in azure_client_id, by client secret',
  client_certificate: 'the application in azure_client_id, by certificate',
  workload_identity: 'the application in azure_client_id, by the token in azure_federated_token_file',
  client_assertion: 'the application in azure_client_id, by the token of azure_client_assertion',
  managed_identity: 'the managed identity of this host',
}

/** The way to tokens for a vault; makes no call. @throws misconfigured */
export const azureTokens = async (settings: AzureSettings, site: AzureSite, io: ProviderIo): Promise<AzureTokens> => {
  const { sign, close } = await (site.credential.kind === 'managed_identity' ? managed : application)(settings, site, io)
  let asked: string | undefined
  const source = tokenSource({ clock: io.clock, login: (call) => sign(call, asked) })
  return {
    who: says[site.credential.kind],
    get: (call) => source.get(call),
    refused: (token, claims) => {
      asked = claims ?? asked
      source.refused(token)
    },
    close,
  }
}

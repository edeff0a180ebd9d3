import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { afterAll, describe, expect, inject, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { openVault, vaultTargetHarness } from '../../conformance/harnesses/hashicorp-vault.ts'
import { providerConformance } from '../../conformance/provider-conformance.ts'
import { canary, watch } from '../../support/canary.ts'
import { authority } from '../../support/certificates.ts'
import { callOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'
import type { Peer } from '../python-peers.ts'

const peers = inject('peers')
const peer: Peer = peers.openbao

interface Answer {
  readonly status: number
  readonly body: { readonly data?: Record<string, unknown>; readonly auth?: { readonly client_token?: string } }
}

/** The operator: plain requests with the root token. */
const operatorOf = (url: string, token: string) => {
  const runtime = testRuntime({ now: Date.now() })
  return async (method: string, path: string, body?: object, namespace?: string): Promise<Answer> => {
    const client = await runtime.http.connect({ url, title: 'OpenBao', setting: 'url' })
    const headers = { 'x-vault-token': token, 'content-type': 'application/json', ...(namespace !== undefined && { 'x-vault-namespace': namespace }) }
    const { status, body: bytes } = await client.send({ method, path: `/v1/${path}`, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }, callOf(runtime.clock))
    await client.close()
    return { status, body: bytes.byteLength === 0 ? {} : (JSON.parse(Buffer.from(bytes).toString()) as Answer['body']) }
  }
}

const label = (hint: string): string => `${hint}-${randomBytes(4).toString('hex')}`

/** The README's least policy for names below one prefix of one engine. */
const leastPolicy = (mount: string, prefix: string): string =>
  Object.entries({ data: 'create", "read", "update', subkeys: 'read', metadata: 'create", "read", "update", "patch", "list', delete: 'update', undelete: 'update', destroy: 'update' })
    .map(([kind, capabilities]) => `path "${mount}/${kind}/${prefix}*" { capabilities = ["${capabilities}"] }`)
    .join('\n')

const examine = (url: string, facts: Readonly<Record<string, string>>): void => {
  const { root_token: rootToken = '', tls_address: tlsAddress = '', ca = '', unseal_key: unsealKey = '' } = facts
  const operator = operatorOf(url, watch('root token', rootToken))
  const opened: SecretProvider[] = []
  const open = async (given: Record<string, unknown>, runtime: TestRuntime = testRuntime({ now: Date.now(), hurries: true })): Promise<{ provider: SecretProvider; runtime: TestRuntime }> => {
    const provider = await openVault(runtime, { vault_addr: url, ...given })
    opened.push(provider)
    return { provider, runtime }
  }
  const roundTrip = async ({ provider, runtime }: { provider: SecretProvider; runtime: TestRuntime }, text: string): Promise<string> => {
    const name = createdName(text)
    const value = canary(text.slice(-20))
    await provider.write?.({ name, value: SecretValue.of(value), expect: 'absent', operation: `put-${randomBytes(16).toString('hex')}`, stage: 'current', labels: { team: 'payments' } }, callOf(runtime.clock))
    const read = await provider.read(name, {}, callOf(runtime.clock))
    return read.value.reveal() === value ? 'the same' : 'another'
  }
  afterAll(async () => {
    for (const provider of opened) await provider.close?.()
  })

  providerConformance('hashicorp_vault on openbao', vaultTargetHarness({ url, settings: { vault_token: rootToken } }))

  describe('logins to OpenBao', () => {
    it('by AppRole live with the least policy: everything is done, nothing is missing, and other names are refused', async () => {
      await operator('POST', 'sys/policies/acl/least', { policy: leastPolicy('secret', 'litellm/') })
      await operator('POST', 'auth/approle/role/least', { token_policies: 'least', token_ttl: '60s', token_max_ttl: '600s' })
      const roleId = (await operator('GET', 'auth/approle/role/least/role-id')).body.data?.['role_id']
      const secretId = watch('secret id', String((await operator('POST', 'auth/approle/role/least/secret-id', {})).body.data?.['secret_id']))
      const { provider, runtime } = await open({ approle_role_id: roleId, approle_secret_id: secretId })

      const made = await roundTrip({ provider, runtime }, `litellm/${label('approle')}`)
      const findings = await provider.check('write', callOf(runtime.clock))

      expect(made).toBe('the same')
      expect(findings.filter(({ ok }) => !ok)).toEqual([])
      await expect(provider.read(createdName(label('elsewhere')), {}, callOf(runtime.clock))).rejects.toMatchObject({ code: 'provider_denied' })
    })

    it('by AppRole with a secret id that is used up end as a refusal', async () => {
      await operator('POST', 'auth/approle/role/once', { token_policies: 'default', secret_id_num_uses: 1 })
      const roleId = (await operator('GET', 'auth/approle/role/once/role-id')).body.data?.['role_id']
      const secretId = watch('spent secret id', String((await operator('POST', 'auth/approle/role/once/secret-id', {})).body.data?.['secret_id']))
      const [first, second] = [await open({ approle_role_id: roleId, approle_secret_id: secretId }), await open({ approle_role_id: roleId, approle_secret_id: secretId })]

      const findings = [await first.provider.check('reach', callOf(first.runtime.clock)), await second.provider.check('reach', callOf(second.runtime.clock))]

      expect(findings.map(([token]) => token?.ok)).toEqual([true, false])
      expect(findings[1]?.[0]?.message).toContain('secret id that is neither expired nor used up')
      await expect(second.provider.read(createdName('litellm/x'), {}, callOf(second.runtime.clock))).rejects.toMatchObject({ code: 'provider_denied' })
    })

    it('by AppRole take a wrapped secret id once', async () => {
      await operator('POST', 'auth/approle/role/wrapped', { token_policies: 'least' })
      const roleId = (await operator('GET', 'auth/approle/role/wrapped/role-id')).body.data?.['role_id']
      const secretId = String((await operator('POST', 'auth/approle/role/wrapped/secret-id', {})).body.data?.['secret_id'])
      const client = await testRuntime({ now: Date.now() }).http.connect({ url, title: 'OpenBao', setting: 'url' })
      const wrapped = await client.send({ method: 'POST', path: '/v1/sys/wrapping/wrap', headers: { 'x-vault-token': rootToken, 'x-vault-wrap-ttl': '60s', 'content-type': 'application/json' }, body: JSON.stringify({ secret_id: secretId }) }, callOf(testRuntime({ now: Date.now() }).clock))
      const { wrap_info: info } = JSON.parse(Buffer.from(wrapped.body).toString()) as { wrap_info: { token: string } }
      const settings = { approle_role_id: roleId, approle_secret_id: watch('wrapping token', info.token), vault_approle_secret_id_wrapped: true }

      const made = await roundTrip(await open(settings), `litellm/${label('wrapped')}`)
      const late = await open(settings)

      expect(made).toBe('the same')
      await expect(late.provider.read(createdName('litellm/x'), {}, callOf(late.runtime.clock))).rejects.toMatchObject({ code: 'provider_denied' })
      await client.close()
    })

    it('by certificate work over TLS with an authority of ours, and fail with a certificate of nobody', async () => {
      const clients = authority('the authority of clients')
      const [known, unknown] = [clients.signs({ subject: 'gateway' }), authority('another').signs({ subject: 'gateway' })]
      await operator('POST', 'auth/cert/certs/gateway', { certificate: clients.cert, token_policies: 'least', allowed_common_names: 'gateway' })
      const settings = { vault_addr: tlsAddress, vault_ca: ca, vault_cert_role: 'gateway' }

      const made = await roundTrip(await open({ ...settings, client_cert: known.cert, client_key: known.key }), `litellm/${label('cert')}`)
      const stranger = await open({ ...settings, client_cert: unknown.cert, client_key: unknown.key })
      const distrusting = await open({ ...settings, vault_ca: clients.cert, client_cert: known.cert, client_key: known.key })

      expect(made).toBe('the same')
      await expect(stranger.provider.read(createdName('litellm/x'), {}, callOf(stranger.runtime.clock))).rejects.toMatchObject({ code: 'provider_denied' })
      await expect(distrusting.provider.read(createdName('litellm/x'), {}, callOf(distrusting.runtime.clock))).rejects.toMatchObject({ code: 'provider_unavailable' })
    })

    it('by JWT read the token file at every login', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
      const jwt = (audience: string): string => {
        const text = [{ alg: 'RS256', typ: 'JWT' }, { aud: audience, sub: 'gateway', iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 300 }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
        return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`
      }
      await operator('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [String(publicKey.export({ type: 'spki', format: 'pem' }))] })
      await operator('POST', 'auth/jwt/role/gateway', { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['vault'], token_policies: 'least' })
      const files: Record<string, string> = { '/tokens/vault': `${jwt('somebody else')}\n` }
      const { provider, runtime } = await open({ vault_jwt: '/tokens/vault', vault_jwt_role: 'gateway' }, testRuntime({ now: Date.now(), hurries: true, files }))

      await expect(provider.read(createdName('litellm/x'), {}, callOf(runtime.clock))).rejects.toMatchObject({ code: 'provider_denied' })
      files['/tokens/vault'] = jwt('vault')

      expect(await roundTrip({ provider, runtime }, `litellm/${label('jwt')}`)).toBe('the same')
    })

    it('are repeated once when the token was revoked, and not when only the policy refuses', async () => {
      await operator('POST', 'auth/approle/role/least', { token_policies: 'least', token_ttl: '60s' })
      const roleId = (await operator('GET', 'auth/approle/role/least/role-id')).body.data?.['role_id']
      const secretId = watch('secret id', String((await operator('POST', 'auth/approle/role/least/secret-id', {})).body.data?.['secret_id']))
      const session = await open({ approle_role_id: roleId, approle_secret_id: secretId })
      await roundTrip(session, `litellm/${label('before')}`)

      const { status } = await operator('POST', 'sys/leases/revoke-prefix/auth/approle/login', {})

      expect(status).toBe(204)
      expect(await roundTrip(session, `litellm/${label('after')}`)).toBe('the same')
    })
  })

  describe('namespaces of OpenBao', () => {
    it('stand in the path, or in the header where they were proved', async () => {
      const namespace = label('team')
      await operator('POST', `sys/namespaces/${namespace}`, {})
      await operator('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '2' } }, namespace)
      const settings = { vault_token: rootToken, vault_secret_namespace: namespace, vault_mount_name: 'kv' }
      const [inPath, inHeader] = [await open(settings), await open({ ...settings, vault_namespace_header: true })]
      const text = `litellm/${label('ns')}`

      const made = [await roundTrip(inPath, text), await roundTrip(inHeader, `${text}-h`)]

      expect(made).toEqual(['the same', 'the same'])
      expect((await operator('GET', `kv/data/${text}-h`, undefined, namespace)).status).toBe(200)
      expect((await operator('GET', `kv/data/${text}-h`)).status).toBe(404)
      expect((await inHeader.provider.check('write', callOf(inHeader.runtime.clock))).filter(({ ok }) => !ok)).toEqual([])
    })

    it('that are unknown are a wrong setting, never an absence, and nothing is written', async () => {
      const settings = { vault_token: rootToken, vault_secret_namespace: 'nobody' }
      const name = createdName(`litellm/${label('lost')}`)
      const sessions = [await open(settings), await open({ ...settings, vault_namespace_header: true })]

      const failures = await Promise.all(sessions.map(({ provider, runtime }) => provider.read(name, {}, callOf(runtime.clock)).catch((error: unknown) => error)))

      expect(failures).toMatchObject([{ code: 'misconfigured' }, { code: 'misconfigured' }])
    })
  })

  describe('another hand in OpenBao', () => {
    it('that merges a field into our map, or rolls it back, leaves one version that is nobody’s', async () => {
      const { provider, runtime } = await open({ vault_token: rootToken })
      const text = `litellm/${label('hand')}`
      await roundTrip({ provider, runtime }, text)
      const client = await runtime.http.connect({ url, title: 'OpenBao', setting: 'url' })
      const patched = await client.send({ method: 'PATCH', path: `/v1/secret/data/${text}`, headers: { 'x-vault-token': rootToken, 'content-type': 'application/merge-patch+json' }, body: JSON.stringify({ data: { key: 'patched' } }) }, callOf(runtime.clock))
      const afterPatch = await provider.describe?.(createdName(text), callOf(runtime.clock))
      const old = (await operator('GET', `secret/data/${text}?version=1`)).body.data?.['data'] as object
      await operator('POST', `secret/data/${text}`, { data: old })
      const afterRollback = await provider.describe?.(createdName(text), callOf(runtime.clock))
      await client.close()

      expect(patched.status).toBe(200)
      expect([afterPatch, afterRollback].map((facts) => facts?.versions?.map(({ id, operation }) => [id, operation]))).toEqual([[['2', undefined]], [['3', undefined]]])
    })
  })

  describe('what OpenBao refuses', () => {
    it('by policy is named by check, path and capability', async () => {
      await operator('POST', 'sys/policies/acl/reader', { policy: 'path "secret/data/litellm/*" { capabilities = ["read"] }' })
      const token = watch('reader', (await operator('POST', 'auth/token/create', { policies: ['reader'], ttl: '5m' })).body.auth?.client_token ?? '')
      const { provider, runtime } = await open({ vault_token: token })

      const [read, write] = [await provider.check('read', callOf(runtime.clock)), await provider.check('write', callOf(runtime.clock))]

      expect(read.filter(({ ok }) => !ok)).toEqual([])
      expect(write.filter(({ ok }) => !ok).map(({ message }) => message.replace(/, which.*/, ''))).toEqual([
        'The policy lacks create, update on secret/data/*',
        'The policy lacks read on secret/subkeys/*',
        'The policy lacks read, create, update, patch, list on secret/metadata/*',
        'The policy lacks update on secret/delete/*',
        'The policy lacks update on secret/undelete/*',
        'The policy lacks update on secret/destroy/*',
      ])
    })

    it('by quota, without saying when to come again, is throttled', async () => {
      const mount = label('quota')
      await operator('POST', `sys/mounts/${mount}`, { type: 'kv', options: { version: '2' } })
      await operator('POST', `sys/quotas/rate-limit/${mount}`, { path: `${mount}/`, rate: 0.01 })
      const { provider, runtime } = await open({ vault_token: rootToken, vault_mount_name: mount })

      const answers = await Promise.all(Array.from({ length: 4 }, () => provider.read(createdName('litellm/x'), {}, callOf(runtime.clock)).catch((error: unknown) => error)))

      await operator('DELETE', `sys/quotas/rate-limit/${mount}`)
      expect(answers).toContainEqual(expect.objectContaining({ code: 'provider_throttled', details: expect.objectContaining({ retryAfter: 1 }) as unknown }))
    })

    it('of an engine of version 1 is a wrong setting: nothing is taken for written', async () => {
      const mount = label('old')
      await operator('POST', `sys/mounts/${mount}`, { type: 'kv', options: { version: '1' } })
      const { provider, runtime } = await open({ vault_token: rootToken, vault_mount_name: mount })

      const findings = await provider.check('reach', callOf(runtime.clock))

      expect(findings.find(({ ok }) => !ok)).toMatchObject({ setting: 'vault_mount_name' })
      await expect(roundTrip({ provider, runtime }, 'litellm/x')).rejects.toMatchObject({ code: 'misconfigured' })
    })

    it('while it is sealed is unavailable, and works again afterwards', async () => {
      const session = await open({ vault_token: rootToken })
      await operator('PUT', 'sys/seal', {})

      const failure = await session.provider.read(createdName('litellm/x'), {}, callOf(session.runtime.clock)).catch((error: unknown) => error)
      await operator('PUT', 'sys/unseal', { key: unsealKey })

      expect(failure).toMatchObject({ code: 'provider_unavailable', message: expect.stringContaining('sealed') as unknown })
      expect(await roundTrip(session, `litellm/${label('unsealed')}`)).toBe('the same')
    })
  })
}

if ('url' in peer) examine(peer.url, peer.facts)
else {
  describe('hashicorp_vault on openbao', () => {
    it(`is left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
  })
}

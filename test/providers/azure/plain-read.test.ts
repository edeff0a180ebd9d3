// The plain read of a vault beside Microsoft's own client: whatever the vault answers, both understand the same.
import { SecretClient, type KeyVaultSecret } from '@azure/keyvault-secrets'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { responseOf } from '../../../shared/credentials/azure/pipeline.ts'
import { secretOf } from '../../../shared/credentials/azure/vault-answers.ts'

const vault = 'https://reader.vault.azure.net'
const subject = { text: 'NAME', native: 'name-1' }
const challenge = { status: 401, headers: { 'www-authenticate': 'Bearer authorization="https://login.microsoftonline.com/organizations", resource="https://vault.azure.net"' }, body: Buffer.alloc(0) }

/** What Microsoft's client makes of a body. */
const theirs = (body: string): Promise<KeyVaultSecret> =>
  new SecretClient(vault, { getToken: async () => ({ token: 'placeholder', expiresOnTimestamp: 8_640_000_000_000_000 }) }, {
    httpClient: { sendRequest: async (request) => responseOf(request, request.headers.has('authorization') ? { status: 200, headers: { 'content-type': 'application/json' }, body: Buffer.from(body) } : challenge) },
    retryOptions: { maxRetries: 0 },
  }).getSecret(subject.native)

const seconds = fc.integer({ min: 1_400_000_000, max: 4_100_000_000 })
const secret = fc.record({
  value: fc.string({ unit: 'grapheme', maxLength: 40 }),
  id: fc.tuple(fc.constantFrom('name-1', 'NAME-1'), fc.stringMatching(/^[0-9a-f]{32}$/)).map(([name, version]) => `${vault}/secrets/${name}/${version}`),
  contentType: fc.option(fc.string({ maxLength: 20 }), { nil: undefined }),
  tags: fc.option(fc.dictionary(fc.stringMatching(/^[a-z-]{1,12}$/), fc.string({ maxLength: 20 }), { maxKeys: 4 }), { nil: undefined }),
  attributes: fc.record({ enabled: fc.option(fc.boolean(), { nil: undefined }), created: seconds, updated: seconds, exp: fc.option(seconds, { nil: undefined }), nbf: fc.option(seconds, { nil: undefined }), recoveryLevel: fc.constant('Recoverable+Purgeable'), recoverableDays: fc.constant(90) }),
})

describe('a plain read of Key Vault', () => {
  it("understands every answer as Microsoft's client does", async () => {
    await fc.assert(
      fc.asyncProperty(secret, async (answer) => {
        const { value, properties } = await theirs(JSON.stringify(answer))

        const { created, expires, notBefore, ...ours } = secretOf(JSON.parse(JSON.stringify(answer)), subject, undefined)

        expect({ ...ours, created, expires: expires?.getTime(), notBefore: notBefore?.getTime() }).toEqual({
          value,
          id: properties.version,
          enabled: properties.enabled !== false,
          tags: { ...properties.tags },
          created: properties.createdOn?.getTime(),
          expires: properties.expiresOn?.getTime(),
          notBefore: properties.notBefore?.getTime(),
          ...(properties.contentType !== undefined && { contentType: properties.contentType }),
        })
      }),
      { numRuns: 150 },
    )
  })

  it.each([
    ['of another secret', { id: `${vault}/secrets/other/${'a'.repeat(32)}` }],
    ['of another version', { id: `${vault}/secrets/name-1/${'b'.repeat(32)}` }],
    ['without a version', { id: `${vault}/secrets/name-1` }],
    ['without a value', { value: undefined }],
    ['with a value that is no text', { value: 7 }],
    ['without a date', { attributes: { enabled: true } }],
    ['of another kind', { id: `${vault}/keys/name-1/${'a'.repeat(32)}` }],
  ])('takes an answer %s for none', (_title, wrong) => {
    const answer = { value: 'x', id: `${vault}/secrets/name-1/${'a'.repeat(32)}`, attributes: { created: 1_700_000_000 }, ...wrong }

    expect(() => secretOf(answer, subject, 'a'.repeat(32))).toThrow(LatchkeyError)
    expect(secretOf({ ...answer, value: 'x', id: `${vault}/secrets/name-1/${'a'.repeat(32)}`, attributes: { created: 1_700_000_000 } }, subject, 'a'.repeat(32)).value).toBe('x')
  })
})

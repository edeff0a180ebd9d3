// Our signature beside that of AWS's own signer, over requests that nobody thought of; and the one that AWS publishes with its documentation's key.
import { SignatureV4 } from '@smithy/signature-v4'
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { signer } from '../../../shared/credentials/aws/signature.ts'

/** SHA-256 as AWS's signer asks for it: plain, or keyed. */
class Sha256 {
  readonly #running: Hash | Hmac
  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#running = key === undefined ? createHash('sha256') : createHmac('sha256', typeof key === 'string' ? key : Buffer.from(key as Uint8Array))
  }
  update(data: Uint8Array): void {
    this.#running.update(data)
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#running.digest())
  }
  reset(): void {
    throw new Error('nobody resets it')
  }
}

const hostPart = fc.stringMatching(/^[a-z][a-z0-9]{0,9}$/)
const host = fc.array(hostPart, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'))
const printable = fc.stringMatching(/^[\x21-\x7e]([\x20-\x7e\t]{0,40}[\x21-\x7e])?$/)
const headerName = fc.stringMatching(/^x-[a-z]([a-z0-9-]{0,12}[a-z0-9])?$/).filter((name) => !['x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256', 'x-amzn-trace-id'].includes(name))
const request = fc.record({
  host,
  port: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
  scheme: fc.constantFrom('https', 'http'),
  path: fc.array(fc.oneof(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.constantFrom('%', 'a%2Fb', '!*\'()', '~', '.', '..', '')), { maxLength: 4 }),
  trailing: fc.boolean(),
  headers: fc.dictionary(headerName, printable, { maxKeys: 5 }),
  target: fc.constantFrom('secretsmanager.GetSecretValue', 'secretsmanager.BatchGetSecretValue'),
  body: fc.oneof(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.json()),
  keys: fc.record({ accessKeyId: fc.stringMatching(/^[A-Z0-9]{16,20}$/), secretAccessKey: printable, sessionToken: fc.option(fc.stringMatching(/^[A-Za-z0-9+/=]{1,80}$/), { nil: undefined }) }),
  region: fc.stringMatching(/^[a-z]{2}(-[a-z]{3,9}){1,2}-\d$/),
  service: fc.constantFrom('secretsmanager', 'kms', 'sts'),
  at: fc.date({ min: new Date('2000-01-01'), max: new Date('2099-12-31'), noInvalidDate: true }),
})

describe('a signature', () => {
  it("is that of AWS's own signer, whatever is signed", async () => {
    await fc.assert(
      fc.asyncProperty(request, async ({ host: name, port, scheme, path, trailing, headers: more, target, body, keys, region, service, at }) => {
        const url = new URL(`${scheme}://${name}${port === undefined ? '' : `:${port}`}/${path.map(encodeURIComponent).join('/')}${trailing ? '/' : ''}`)
        const { sessionToken, ...pair } = keys
        const credentials = { ...pair, ...(sessionToken !== undefined && { sessionToken }) }
        const headers = { ...more, 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target }
        const theirs = new SignatureV4({ credentials, region, service, sha256: Sha256, applyChecksum: false })
        const signed = await theirs.sign({ method: 'POST', protocol: url.protocol, hostname: url.hostname, path: url.pathname, query: {}, headers: { ...headers, host: url.host }, body }, { signingDate: at })

        const ours = signer({ region, service })({ url, headers, body }, credentials, at.getTime())

        expect(ours).toEqual(signed.headers)
      }),
      { numRuns: 500 },
    )
  })

  it('is the same from a key that was kept, and another on the next day and with another secret', () => {
    const sign = signer({ region: 'us-east-1', service: 'secretsmanager' })
    const about = { url: new URL('https://secretsmanager.us-east-1.amazonaws.com/'), headers: {}, body: '{}' }
    const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'one' }
    const noon = Date.UTC(2026, 10, 21, 12)

    const [first, again, tomorrow, other, fresh] = [
      sign(about, keys, noon),
      sign(about, keys, noon),
      sign(about, keys, noon + 86_400_000),
      sign(about, { ...keys, secretAccessKey: 'two' }, noon),
      signer({ region: 'us-east-1', service: 'secretsmanager' })(about, { ...keys, secretAccessKey: 'two' }, noon),
    ].map(({ authorization }) => authorization)

    expect(again).toBe(first)
    expect(other).toBe(fresh)
    expect(new Set([first, tomorrow, other]).size).toBe(3)
  })

  it("is AWS's published one for the documented request", () => {
    const sign = signer({ region: 'us-east-1', service: 'service' })

    const { authorization } = sign({ url: new URL('https://example.amazonaws.com/'), headers: {}, body: '' }, { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }, Date.UTC(2015, 7, 30, 12, 36))

    expect(authorization).toBe('AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b')
  })
})

// The exam of aws_kms on moto and ministack, what they get wrong, and ciphertexts that AWS's client in Python makes.
import { describe, expect, inject, it } from 'vitest'
import type { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { awsKmsTargetHarness, openAwsKms } from '../../conformance/harnesses/aws-kms.ts'
import { runtimeOver } from '../../conformance/operators/hosted-variables.ts'
import { providerConformance } from '../../conformance/provider-conformance.ts'
import { callOf } from '../../support/runtime.ts'
import { kmsDeviations } from './aws-kms-deviations.ts'
import { clientEnv, run } from '../python-peers.ts'
import { awsPeers, type AwsPeer } from '../start-peers.ts'

const python = inject('python')
const peers = inject('peers')
const credentials = { aws_access_key_id: 'test', aws_secret_access_key: 'test' }

/** A program for boto3: `kms` is its client, `key` and `other` are the ARNs of two new keys, `blob` what the first makes of "value". */
const boto3 = (url: string, program: string): Promise<string> =>
  run(
    python,
    [
      '-c',
      `import base64, boto3, botocore.config, sys
kms = boto3.client('kms', config=botocore.config.Config(retries={'max_attempts': 0}))
key, other = (kms.create_key()['KeyMetadata']['Arn'] for _ in range(2))
blob = kms.encrypt(KeyId=key, Plaintext=b'value')['CiphertextBlob']
def name_of(call):
    try: return call() and 'ok'
    except kms.exceptions.ClientError as error: return error.response['Error']['Code']
id_of = lambda arn: arn.split('/')[1]
${program}`,
    ],
    clientEnv(url),
  ).then((text) => text.trim())

/** What only the peer that is right about it can prove of the provider. */
const provable: Readonly<Record<AwsPeer, readonly (readonly [title: string, program: string, code: string])[]>> = {
  moto: [
    ['with a flipped bit are an integrity failure', 'blob = blob[:-1] + bytes([blob[-1] ^ 1])', 'integrity'],
    ['that are none are an integrity failure', "blob = b'no ciphertext'", 'integrity'],
  ],
  ministack: [
    ['of a disabled key are version_disabled', 'kms.disable_key(KeyId=key)', 'version_disabled'],
    ['of a key that waits for its deletion are version_disabled', 'kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)', 'version_disabled'],
  ],
}

const examine = (peer: AwsPeer, url: string): void => {
  providerConformance(`aws_kms on ${peer}`, awsKmsTargetHarness({ url, settings: credentials }, kmsDeviations[peer].flatMap(({ cases, reason }) => cases.map((id) => ({ case: id, reason })))))

  /** What the provider makes of a variable that a program of boto3 prints: the value, or the code of the failure. */
  const readAs = async (program: string, more: Record<string, unknown> = {}): Promise<string> => {
    const runtime = runtimeOver({ M: await boto3(url, program) })
    const provider = await openAwsKms(runtime, { ...credentials, aws_kms_endpoint: url, ...more })
    const read = provider.read(hostedName('M'), {}, callOf(runtime.clock))
    return read.then(({ value }) => value.reveal(), (error: LatchkeyError) => error.code).finally(() => provider.close?.())
  }
  const printed = (bytes: string): string => `print(base64.b64encode(${bytes}).decode())`

  describe(`ciphertexts of boto3 on ${peer}`, () => {
    it('are decrypted as LiteLLM has them: no key, no context, trimmed', async () => {
      expect(await readAs(printed("kms.encrypt(KeyId=key, Plaintext='  grüße \\n'.encode())['CiphertextBlob']"))).toBe('grüße')
    })

    it.each([
      ['right', { run: 'one' }, 'x'],
      ['another', { run: 'another' }, 'integrity'],
      ['missing', {}, 'integrity'],
    ])('decrypt under the encryption context that they were made with: %s', async (_title, context, answer) => {
      expect(await readAs(printed("kms.encrypt(KeyId=key, Plaintext=b'x', EncryptionContext={'run': 'one'})['CiphertextBlob']"), { aws_kms_encryption_context: context })).toBe(answer)
    })

    it.each(provable[peer])('%s', async (_title, program, code) => {
      expect(await readAs(`${program}\n${printed('blob')}`)).toBe(code)
    })
  })

  describe(`the deviations of ${peer} in KMS`, () => {
    for (const { reason, reproduction } of kmsDeviations[peer]) {
      it(`show to boto3: ${reason} (AWS: ${reproduction.aws})`, async () => {
        expect(await boto3(url, reproduction.program)).toBe(reproduction.prints)
      })
    }
  })
}

for (const name of awsPeers) {
  const peer = peers[name]
  if ('url' in peer) examine(name, peer.url)
  else {
    describe(`aws_kms on ${name}`, () => {
      it(`is left out: ${peer.missing}`, () => {
        expect(peer.missing).not.toBe('')
      })
    })
  }
}

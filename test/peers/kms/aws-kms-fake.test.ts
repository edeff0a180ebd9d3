// boto3, AWS's client in Python, examines the fake of KMS: a second language, a signature by another hand, and the negative cases.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startKmsFake, type KmsFake } from '../../fakes/aws-kms.ts'
import { fakeKeys } from '../../fakes/aws-signature.ts'
import { clientEnv, run } from '../python-peers.ts'

const python = inject('python')

/** Scenario → what boto3 must see: the code of its ClientError. One program runs all of them; each has keys of its own. */
const scenarios: readonly (readonly [title: string, act: string, expected: string])[] = [
  ['a ciphertext', 'decrypt()', 'ok'],
  ['every byte', "kms.decrypt(CiphertextBlob=seal(bytes(range(256))))['Plaintext'] == bytes(range(256)) or missing", 'ok'],
  ['the right key', 'decrypt(KeyId=key)', 'ok'],
  ['another key', 'decrypt(KeyId=other)', 'IncorrectKeyException'],
  ['a key that there is not', "decrypt(KeyId='00000000-0000-4000-8000-000000000000')", 'NotFoundException'],
  ['the right context', "kms.decrypt(CiphertextBlob=seal(a='1', b='2'), EncryptionContext={'b': '2', 'a': '1'})", 'ok'],
  ['a wrong context', "kms.decrypt(CiphertextBlob=seal(a='1'), EncryptionContext={'a': '2'})", 'InvalidCiphertextException'],
  ['a missing context', "kms.decrypt(CiphertextBlob=seal(a='1'))", 'InvalidCiphertextException'],
  ['a flipped bit', 'kms.decrypt(CiphertextBlob=blob[:-1] + bytes([blob[-1] ^ 1]))', 'InvalidCiphertextException'],
  ['text', "kms.decrypt(CiphertextBlob=b'no ciphertext')", 'InvalidCiphertextException'],
  ['a plaintext of 4,097 bytes', "seal(b'x' * 4097)", 'ValidationException'],
  ['a disabled key', 'kms.disable_key(KeyId=key) and decrypt()', 'DisabledException'],
  ['a key that waits for its deletion', 'kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7) and decrypt()', 'KMSInvalidStateException'],
  ['a key whose deletion was taken back', 'kms.schedule_key_deletion(KeyId=key) and kms.cancel_key_deletion(KeyId=key) and kms.enable_key(KeyId=key) and decrypt()', 'ok'],
  ['a key that signs', "seal(KeyId=kms.create_key(KeyUsage='SIGN_VERIFY', KeySpec='ECC_NIST_P256')['KeyMetadata']['Arn'])", 'InvalidKeyUsageException'],
  ['an access key of nobody', "client('AKIANOBODY', 'x').decrypt(CiphertextBlob=blob)", 'UnrecognizedClientException'],
  ['a wrong secret key', "client(sys.argv[1], 'x').decrypt(CiphertextBlob=blob)", 'InvalidSignatureException'],
  ['a foreign session token', "client(sys.argv[1], sys.argv[2], 'x').decrypt(CiphertextBlob=blob)", 'UnrecognizedClientException'],
]

const program = `
import boto3, botocore.config, botocore.exceptions, json, sys
client = lambda *keys: boto3.client('kms', config=botocore.config.Config(retries={'max_attempts': 0}), **dict(zip(('aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'), keys)))
kms = client(sys.argv[1], sys.argv[2])
def seal(data=b'value', KeyId=None, **context): return kms.encrypt(KeyId=KeyId or key, Plaintext=data, EncryptionContext=context)['CiphertextBlob']
def decrypt(**more): return kms.decrypt(CiphertextBlob=blob, **more)
names = []
for act in (${scenarios.map(([, act]) => `lambda: ${act}`).join(', ')}):
    key, other = (kms.create_key()['KeyMetadata']['Arn'] for _ in range(2))
    blob = seal()
    try: names.append(act() is not None and 'ok')
    except botocore.exceptions.ClientError as error: names.append(error.response['Error']['Code'])
print(json.dumps(names))
`

const examine = (): void => {
  describe('the fake of AWS KMS, to boto3', () => {
    let fake: KmsFake
    beforeAll(async () => {
      fake = await startKmsFake()
    })
    afterAll(() => fake.close())

    it('answers as the service does', async () => {
      const came = JSON.parse(await run(python, ['-c', program, fakeKeys.accessKeyId, fakeKeys.secretAccessKey], clientEnv(fake.url))) as string[]

      expect(scenarios.map(([title], index) => [title, came[index]])).toEqual(scenarios.map(([title, , expected]) => [title, expected]))
    })
  })
}

if (python !== '') examine()
else {
  describe('the fake of AWS KMS, to boto3', () => {
    it('is left out: there is no Python environment', () => {
      expect(python).toBe('')
    })
  })
}

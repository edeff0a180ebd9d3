// Where the peers of AWS KMS are wrong: each with its reproduction for boto3, so that an upgrade shows itself, and with the exam's cases that fail for it, if any do.
// Nothing about integrity, limits or the state of keys is learnt from them: that is what the fake holds, and AWS's own SDK examines the fake.
import type { Reproduction } from '../aws-deviations.ts'
import type { AwsPeer } from '../start-peers.ts'

/** One mistake of a peer. */
export interface KmsDeviation {
  readonly reason: string
  /** Exam cases that fail for it. */
  readonly cases: readonly string[]
  /** Python: `kms`, two keys `key` and `other`, `blob` under the first, `id_of(key)` and `name_of(call)`. */
  readonly reproduction: Reproduction
}

/** By peer. */
export const kmsDeviations: Readonly<Record<AwsPeer, readonly KmsDeviation[]>> = {
  moto: [
    {
      reason: 'a disabled key decrypts',
      cases: [],
      reproduction: { program: 'kms.disable_key(KeyId=id_of(key))\nprint(name_of(lambda: kms.decrypt(CiphertextBlob=blob)))', prints: 'ok', aws: 'DisabledException.' },
    },
    {
      reason: 'a key that waits for its deletion decrypts',
      cases: [],
      reproduction: { program: 'kms.schedule_key_deletion(KeyId=id_of(key), PendingWindowInDays=7)\nprint(name_of(lambda: kms.decrypt(CiphertextBlob=blob)))', prints: 'ok', aws: 'KMSInvalidStateException.' },
    },
    {
      reason: 'a key that is named by its ARN is disabled with a server error',
      cases: [],
      reproduction: { program: 'print(name_of(lambda: kms.disable_key(KeyId=key)))', prints: '500', aws: 'It is disabled.' },
    },
    {
      reason: 'a request that names another key is refused as an access denied',
      cases: [],
      reproduction: { program: 'print(name_of(lambda: kms.decrypt(CiphertextBlob=blob, KeyId=other)))', prints: 'AccessDeniedException', aws: 'IncorrectKeyException.' },
    },
  ],
  ministack: [
    {
      reason: 'a ciphertext with a flipped bit decrypts',
      cases: [],
      reproduction: { program: "print(name_of(lambda: kms.decrypt(CiphertextBlob=blob[:-1] + bytes([blob[-1] ^ 1]))))", prints: 'ok', aws: 'InvalidCiphertextException.' },
    },
    {
      reason: 'a request that names another key decrypts',
      cases: [],
      reproduction: { program: 'print(name_of(lambda: kms.decrypt(CiphertextBlob=blob, KeyId=other)))', prints: 'ok', aws: 'IncorrectKeyException.' },
    },
    {
      reason: '4,097 bytes are encrypted',
      cases: [],
      reproduction: { program: "print(name_of(lambda: kms.encrypt(KeyId=key, Plaintext=b'x' * 4097)))", prints: 'ok', aws: 'ValidationException.' },
    },
  ],
}

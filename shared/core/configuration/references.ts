// References: how a value somewhere else is named in a file, and where it will be looked for. Looking is not done here.
import type { SecretRef, SecretValue } from '../secret.ts'

/** Where a name is looked for first. After `manager`, a confirmed absence moves on to the environment. */
export type Source = 'manager' | 'environment'

/** One reference in the file. `reference` is the text as written, which holds a name, never a value. */
export interface Reference {
  readonly path: string
  readonly reference: string
  readonly name: string
  readonly ref: SecretRef
  readonly source: Source
  /** Under `aws_kms` and `google_kms` the variable of that name holds ciphertext, which is never used as it is. */
  readonly ciphertext?: true
}

/**
 * Where the master key comes from. `literal`: it stands in the file. `name`: look where `lookIn` says, in that order; only a confirmed absence moves on,
 * and a failure stops the start. `ref`: it is in one named store, nowhere else.
 */
export type MasterKeyPlan =
  | { readonly kind: 'literal'; readonly from: 'general_settings.master_key'; readonly value: SecretValue; readonly weak: boolean }
  | { readonly kind: 'name'; readonly from: 'general_settings.master_key' | 'default name'; readonly name: string; readonly lookIn: readonly Source[]; readonly ciphertext?: true }
  | { readonly kind: 'ref'; readonly from: 'general_settings.master_key'; readonly ref: SecretRef }

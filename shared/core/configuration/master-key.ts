// Where a master key comes from: literal text, a name that is looked up, or a reference into one store. Latchkey's own and the one of the gateway behind it follow one rule.
import { SecretValue } from '../secret.ts'
import { lookUp, nameOfReference, type MasterKeyPlan, type ReadPlan, type Reference } from './references.ts'
import type { Findings } from './store-configuration.ts'

/** A setting that holds a master key. */
export type MasterKeySetting = 'general_settings.master_key' | 'latchkey.gateway.master_key'

/** What a text in the place of a master key means. One that can be guessed is a warning where that is `tolerated`, else an issue. */
export const planMasterKey = (given: string, from: MasterKeySetting, plan: ReadPlan, references: readonly Reference[], tolerated: boolean, { issues, warnings }: Findings): MasterKeyPlan => {
  if (given.startsWith('secret://')) return { kind: 'ref', from, ref: references.find(({ path }) => path === from)?.ref ?? { name: '' } }
  const name = nameOfReference(given)
  if (name.startsWith('oidc/')) issues.push({ path: from, message: 'must not be an oidc/ reference; such a token is another one every hour' })
  if (name !== given) return { kind: 'name', from, name, ...lookUp(plan, name) }
  if (given === '') issues.push({ path: from, message: 'must not be empty; leave it out for the default' })
  if (!given.isWellFormed()) issues.push({ path: from, message: 'must be well-formed Unicode' })
  const value = SecretValue.of(given.toWellFormed())
  const weak = isWeakMasterKey(value)
  if (weak && given !== '') {
    if (tolerated) warnings.push({ path: from, message: `master_key ${weakMasterKey}.` })
    else issues.push({ path: from, message: `${weakMasterKey}; so short a master_key is accepted on a loopback address only` })
  }
  return { kind: 'literal', from, value, weak }
}

/** Whether a master key can be guessed: it is shorter than 32 characters, as LiteLLM's sample is. */
export const isWeakMasterKey = (value: SecretValue): boolean => value.byteLength < 32

const weakMasterKey = 'is shorter than 32 characters and can be guessed; make one with: echo "sk-$(openssl rand -hex 32)"'

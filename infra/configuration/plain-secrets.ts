// Secrets in plain text: the file is deployed with the functions, so none may stand in it. What opens another manager comes keyless, or as the name of a variable that the
// deployment fills from the cloud's own manager.
import type { StoreConfiguration } from '../../shared/core/configuration.ts'
import type { Setting } from '../../shared/core/settings.ts'
import type { Report } from '../config.ts'

/** A store and its provider's table. */
interface Opened {
  readonly store: StoreConfiguration
  readonly table: Readonly<Record<string, Setting>>
}

const mark = 'os.environ/'
const isReference = (text: string): boolean => /^(?:os\.environ\/|secret:\/\/|oidc\/)/.test(text)
/** A projected token or a mounted certificate; never one of the settings that hold a value only. */
const isPath = (text: string): boolean => /^(?:~|\.{1,2})?\/[\w./@+-]*$/.test(text)
const takesPath = /(?:web_identity_token|_jwt|client_key|certificate_path|service_account|credentials)$/
const names = /(?:^|_)(?:api_key|secret_key|secret_access_key|access_token|auth_token|client_secret|password|private_key|master_key|salt_key|webhook_url)$/i
const wholeValue: readonly string[] = ['database_url', 'litellm_license']

const plain = 'is a secret in plain text, and this file is deployed with the functions; write os.environ/NAME (its value stands in a secret manager), or secret://<store>/<name>'

/** References to variables that hold secrets of stores. */
export const secretReferences = (opened: readonly Opened[]): readonly { readonly name: string; readonly path: string }[] =>
  opened.flatMap(({ store, table }) =>
    Object.entries(store.settings).flatMap(([key, value]) => (table[key]?.secret === true && typeof value === 'string' && value.startsWith(mark) && !value.startsWith(`${mark}oidc/`) ? [{ name: value.slice(mark.length), path: `${store.path}.${key}` }] : [])),
  )

/** Reports every setting that holds a secret itself: by the providers' tables, and by name in the rest of LiteLLM's file. */
export const reportPlainSecrets = (input: Readonly<Record<string, unknown>>, opened: readonly Opened[], report: Report): void => {
  for (const { store, table } of opened) {
    for (const [key, value] of Object.entries(store.settings)) {
      if (table[key]?.secret !== true || value === undefined || value === null || value === '') continue
      if (typeof value === 'string' && (isReference(value) || (takesPath.test(key) && isPath(value)))) continue
      report(`${store.path}.${key}`, 'is a secret in plain text, and this file is deployed with the functions; use an identity that needs none, or write os.environ/NAME and name its secret in latchkey.deployment.functions.secret_variables')
    }
  }
  reportMisplaced(input, opened, report)
  walk(input, '', report, 0)
}

/** A secret of a store in the place where LiteLLM's own settings stand: no store takes it from there, and the file is deployed all the same. */
const reportMisplaced = (input: Readonly<Record<string, unknown>>, opened: readonly Opened[], report: Report): void => {
  const general = input['general_settings']
  const given = typeof general === 'object' && general !== null ? (general as Readonly<Record<string, unknown>>)['key_management_settings'] : undefined
  for (const [key, value] of Object.entries(typeof given === 'object' && given !== null ? given : {})) {
    const isSecret = names.test(key) || opened.some(({ table }) => table[key]?.secret === true)
    const isTaken = opened.some(({ store }) => store.settings[key] !== undefined)
    if (isSecret && !isTaken && typeof value === 'string' && value !== '' && !isReference(value)) report(`general_settings.key_management_settings.${key}`, plain)
  }
}

const walk = (value: unknown, path: string, report: Report, depth: number): void => {
  if (depth > 64 || value === null || typeof value !== 'object') return
  if (Array.isArray(value)) return value.forEach((item, index) => walk(item, `${path}[${index}]`, report, depth + 1))
  for (const [key, item] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`
    // The settings of stores have tables, which know better than names do.
    if (/^(?:general_settings\.key_management_settings|latchkey\.(?:stores|default_store|deployment))$/.test(at)) continue
    if (typeof item === 'string' && item !== '' && !isReference(item) && (names.test(key) || wholeValue.includes(key))) report(at, plain)
    else walk(item, at, report, depth + 1)
  }
}

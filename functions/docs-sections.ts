// The generated parts of the README, as Markdown. The provider table is printed from providers that were really opened, so it cannot promise what a file
// does not have.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { deploymentTables } from '../infra/settings.ts'
import { defaultLimits } from '../shared/core/cache.ts'
import { accessSettings, actions } from '../shared/core/configuration/access.ts'
import { gatewaySectionSettings } from '../shared/core/configuration/gateway-section.ts'
import { identitySettings, trustSettings } from '../shared/core/configuration/identities.ts'
import { aliasSettings } from '../shared/core/configuration/alias-policy.ts'
import { cacheSettings, namingSettings } from '../shared/core/configuration/latchkey-section.ts'
import { gatewaySettings, policySettings, systemChoice } from '../shared/core/configuration/litellm-settings.ts'
import { storeEntrySettings } from '../shared/core/configuration/stores.ts'
import { errorTexts } from '../shared/core/errors/texts.ts'
import type { ErrorCode } from '../shared/core/errors.ts'
import { errorCodes } from '../shared/core/errors/codes.ts'
import { rotationReasons } from '../shared/core/rotation/event.ts'
import { rotatedSettings } from '../shared/core/rotation/settings.ts'
import { maxSegmentBytes } from '../shared/core/names.ts'
import { maxNameBytes, maxSegments } from '../shared/core/names/created.ts'
import type { SecretProvider } from '../shared/core/provider.ts'
import { readSettings, refuseIssues, type Setting } from '../shared/core/settings.ts'
import type { Route } from '../shared/http/api.ts'
import { bodyLimits } from '../shared/http/body.ts'
import { commonRoutes } from '../shared/http/health.ts'
import { fieldRows, type Heed } from '../shared/http/keys/fields.ts'
import { keyRoutes } from '../shared/http/keys.ts'
import { readRoutes } from '../shared/http/secrets.ts'
import { loadProvider, registry, type AnyProvider } from '../shared/providers/registry.ts'
import { hostRuntime } from './host-runtime.ts'
import { litellmCases } from './litellm-cases.ts'
import { serverSettings } from './local/report.ts'
import { longestRequestMs } from './time-budget.ts'

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n')

const code = (text: string): string => (text === '' ? '' : `\`${text}\``)
const kilobytes = (bytes: number): string => (bytes % 1_048_576 === 0 ? `${bytes / 1_048_576} MiB` : bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} B`)

const settingRows = (settings: Readonly<Record<string, Setting>>): readonly (readonly string[])[] =>
  Object.entries(settings).map(([name, { type, default: value, values, env, secret, required, min, max, text }]) => [
    code(name),
    `${type.replace('_', ' ')}${secret === true ? ', secret' : ''}${values === undefined ? '' : `: ${values.map(code).join(', ')}`}${max === undefined ? '' : `, ${min ?? 0} to ${max}`}`,
    value === undefined ? (required === true ? 'required' : '') : code(String(value)),
    (env ?? []).map(code).join(', '),
    text,
  ])

const settingTable = (settings: Readonly<Record<string, Setting>>): string => table(['setting', 'type', 'default', 'environment', 'what it does'], settingRows(settings))

interface Opened {
  readonly system: string
  readonly definition: AnyProvider
  readonly provider: SecretProvider
}

/** What a provider must be given before it opens; opening makes no network call. */
const enough: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  aws_secret_manager: { aws_region_name: 'eu-central-1' },
  aws_kms: { aws_region_name: 'eu-central-1' },
  azure_key_vault: { azure_key_vault_uri: 'https://example.vault.azure.net', azure_credential: 'managed_identity' },
  google_secret_manager: { google_project_id: 'example-project' },
  google_kms: { google_kms_resource_name: 'projects/p/locations/global/keyRings/r/cryptoKeys/k' },
  hashicorp_vault: { vault_token: 'example' },
  cyberark: { cyberark_api_key: 'example', cyberark_delete: true },
  infisical: { infisical_token: 'example', infisical_project_id: 'example' },
  custom: { custom_secret_manager: fileURLToPath(new URL('../examples/custom-azure.ts', import.meta.url)), custom_settings: { vault_uri: 'https://example.vault.azure.net' } },
}

const openAll = async <T>(use: (opened: readonly Opened[]) => T): Promise<T> => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-docs-'))
  const env = { get: (name: string) => (name === 'LATCHKEY_DATA_DIR' ? folder : undefined), names: () => ['LATCHKEY_DATA_DIR'] }
  const opened: Opened[] = []
  try {
    for (const system of Object.keys(registry)) {
      const definition = await loadProvider(system)
      const { settings, issues } = readSettings(definition.settings, enough[system] ?? {}, { path: system, env })
      refuseIssues(issues)
      opened.push({ system, definition, provider: await definition.open(settings as never, { ...hostRuntime(), env }, { kind: 'operator' }) })
    }
    return use(opened)
  } finally {
    for (const { provider } of opened) await provider.close?.()
    await rm(folder, { recursive: true, force: true })
  }
}

const yes = (has: boolean): string => (has ? 'yes' : '–')

const providerTable = (opened: readonly Opened[]): string =>
  table(
    ['system', 'service', 'read', 'batch read', 'list', 'write', 'staged rotation', 'delete', 'recover', 'versions', 'guarantee', 'labels', 'largest value', 'others see a write after'],
    opened.map(({ system, definition, provider }) => {
      const { traits } = provider
      const labels = traits.write?.labels ?? 'none'
      return [
        code(system),
        definition.title,
        'yes',
        yes(provider.readMany !== undefined),
        yes(provider.list !== undefined),
        yes(provider.write !== undefined && traits.write !== undefined),
        yes(provider.promote !== undefined && traits.write !== undefined),
        yes(provider.remove !== undefined && traits.write !== undefined),
        provider.recover === undefined || traits.write === undefined ? '–' : traits.write.softDelete ? 'yes, soft delete' : 'yes',
        traits.versions,
        traits.write?.guarantee ?? '–',
        labels === 'none' ? '–' : `${labels.pairs} pairs${labels.filter ? ', found by label' : ''}`,
        kilobytes(traits.value.maxBytes),
        traits.settleMs === 0 ? 'at once' : `${traits.settleMs / 1000} s`,
      ]
    }),
  )

/** Why a service cannot do what it does not do. A provider with a gap and no reason here stops the generation. */
const reasons: Readonly<Record<string, string>> = {
  aws_kms: 'variables of the environment hold the ciphertext, and belong to whoever started the process; Latchkey only decrypts them.',
  google_kms: 'variables of the environment hold the ciphertext, and belong to whoever started the process; Latchkey only decrypts them.',
  google_secret_manager: 'a delete is final in the service, and there is no batch call; single reads run side by side.',
  cyberark: 'a delete through the policy destroys the values; without `cyberark_delete: true` there is none at all. A batch is one call for up to 50 variables.',
  infisical: 'a delete is final in the service.',
  custom: 'the example above only reads; your own module has what it brings.',
  environment: 'the process environment and `.env` belong to whoever started the process; Latchkey never rewrites them, and they have no versions.',
}

const gaps = (opened: readonly Opened[]): string =>
  opened
    .map(({ system, provider }) => {
      const wanted = ['write', 'remove', 'recover', 'list', 'readMany', 'promote'] as const
      const missing = wanted.filter((method) => provider[method] === undefined || (provider.traits.write === undefined && !['list', 'readMany'].includes(method)))
      if (missing.some((method) => method !== 'readMany') && reasons[system] === undefined) throw new Error(`${system} lacks ${missing.join(', ')}: say why in functions/docs-sections.ts`)
      return missing.length === 0 ? '' : `- \`${system}\` has no ${missing.map(code).join(', ')}: ${reasons[system] ?? 'a batch is answered by single reads.'}`
    })
    .filter((line) => line !== '')
    .join('\n')

/** A public route with an audit action of its own judges the credential itself. */
const asksFor = ({ action, audit }: Route): string => {
  if (typeof action !== 'string') return action.map(code).join(' or ')
  return action === 'anyone' ? 'any valid credential' : audit === undefined ? 'nobody asks' : `the key itself, or ${code(audit)}`
}

const heeds: Readonly<Record<Heed, string>> = { honoured: 'honoured', kept: 'kept and echoed', grant: 'needs a grant that names it', ignored: 'ignored with a warning', refused: 'refused' }

/** Fields of which the same is said stand in one row. */
const fieldTable = (): string => {
  const groups = Map.groupBy(fieldRows, ({ field, generate, update, regenerate, note }) => [generate, update, regenerate, note ?? (generate === 'grant' ? '' : field)].join('|'))
  return table(
    ['field', 'generate', 'update', 'regenerate', 'note'],
    [...groups.values()].flatMap((rows) => rows.slice(0, 1).map(({ generate, update, regenerate, note }) => [rows.map(({ field }) => code(field)).join(', '), heeds[generate], heeds[update], heeds[regenerate], note ?? ''])),
  )
}

const routeRow = (route: Route): readonly string[] => [
  `\`${route.method} ${route.path}\``,
  (route.query ?? []).map(code).join(', '),
  asksFor(route),
  route.shape === 'problem' ? 'problem+json' : "LiteLLM's",
  readRoutes.includes(route) ? '`read`' : commonRoutes.includes(route) ? '`read`, `keys`' : '`keys`',
]

const errors = (): string =>
  Object.entries(errorCodes)
    .map(([name, { status, retryable }]) => [name, status, retryable, errorTexts[name as ErrorCode]] as const)
    .map(([name, status, retryable, { when, fix }]) => `### \`${name}\`\n\n${status}${retryable ? ', may be retried' : ''}. ${when}\n${fix}`)
    .join('\n\n')

const told = { done: 'taken', ignored: 'taken', refused: 'not to come again', retry: 'to send it again' } as const

const limits = (): string =>
  table(
    ['what', 'limit', 'beyond it'],
    [
      ['URL', '2 KiB', '`uri_too_long`'],
      ['header block', '8 KiB', '`headers_too_large`'],
      ['body of `PUT /secrets/{name}`', kilobytes(bodyLimits.secretWriteBytes), '`too_large`'],
      ['any other body', kilobytes(bodyLimits.bytes), '`too_large`'],
      ['JSON: depth, members of an object, characters of a string other than `value` and `metadata`', `${bodyLimits.depth}, ${bodyLimits.members}, ${bodyLimits.stringLength}`, '`invalid_request`'],
      ['a name: bytes, segments, characters of one segment', `${maxNameBytes}, ${maxSegments}, ${maxSegmentBytes}`, '`invalid_request`'],
      ['a request, on every host', `${longestRequestMs / 1000} s, or what the platform leaves less 1.5 s`, '`deadline_exceeded`'],
      ['cache: entries, bytes', `${defaultLimits.maxEntries}, ${kilobytes(defaultLimits.maxBytes)}`, 'the least used leave'],
    ],
  )

const pins = Object.fromEntries(Object.entries(identitySettings).flatMap(([kind, fields]) => Object.entries(fields).map(([field, setting]) => [kind === field ? field : `${kind}.${field}`, setting])))

const settings = (): string =>
  [
    ['**`general_settings`**', settingTable({ ...systemChoice, ...gatewaySettings })],
    ['**`general_settings.key_management_settings`**', settingTable(policySettings)],
    ['**`litellm_settings`**', settingTable(aliasSettings)],
    ['**`latchkey`**', settingTable(namingSettings)],
    ['**`latchkey.stores.<name>` and `latchkey.default_store`, beside the settings of the system**', settingTable(storeEntrySettings)],
    ['**`latchkey.cache`**', settingTable(cacheSettings)],
    ['**`latchkey.access[]`**', settingTable(accessSettings)],
    ['**`latchkey.access[]`, in place of `token_sha256`: an identity that the platform in front of a function proves**', settingTable(pins)],
    ['**`latchkey.trust`**', settingTable(trustSettings)],
    ['**`latchkey.gateway`**', settingTable(gatewaySectionSettings)],
    ['**`latchkey.rotation.secrets[]`, beside `names`**', settingTable(rotatedSettings)],
    ...Object.entries(deploymentTables).map(([path, rows]) => [`**\`${path}\`**`, settingTable(rows)]),
  ]
    .map((part) => part.join('\n\n'))
    .join('\n\n')

const differences = (): string => {
  const differing = litellmCases.flatMap((row) => (row.result === 'differs' ? [[row.id, row.about, row.difference, row.reason]] : []))
  const waiting = litellmCases.flatMap((row) => (row.result === 'pending' ? [[row.id, row.about, row.waits]] : []))
  const counts = `Of ${litellmCases.length} situations ${litellmCases.length - differing.length - waiting.length} end here as they do in LiteLLM, ${differing.length} end otherwise on purpose, and ${waiting.length} wait for a part that is not there yet.`
  return [counts, table(['case', 'LiteLLM', 'Latchkey', 'why'], differing), 'Not there yet:', table(['case', 'LiteLLM', 'waits for'], waiting)].join('\n\n')
}

/** Every generated part by name. */
export const sections = (): Promise<Readonly<Record<string, string>>> =>
  openAll((opened) => ({
    providers: providerTable(opened),
    gaps: gaps(opened),
    'server-settings': table(
      ['option', 'environment', 'default', 'what it does'],
      serverSettings.map(({ name, env, default: value, text }) => [code(name), code(env), value, text]),
    ),
    settings: settings(),
    'provider-settings': opened
      .filter(({ definition }) => Object.keys(definition.settings).length > 0)
      .map(({ system, definition }) => `**\`${system}\`**, ${definition.title}\n\n${settingTable(definition.settings)}`)
      .join('\n\n'),
    routes: table(['route', 'query', 'asks for', 'errors', 'function'], [...readRoutes, ...keyRoutes, ...commonRoutes].map(routeRow)),
    'key-fields': fieldTable(),
    actions: actions.map(code).join(', '),
    errors: errors(),
    'rotation-reasons': table(['reason', 'the platform is told', 'when', 'what to do'], Object.entries(rotationReasons).map(([name, { decision, when, fix }]) => [code(name), told[decision], when, fix])),
    'litellm-differences': differences(),
    limits: limits(),
  }))

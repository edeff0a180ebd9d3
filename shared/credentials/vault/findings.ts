// What stands between Latchkey and its secrets in Vault, found without changing anything: the credential, the engine, and each capability that a policy must give.
// Policies are asked by path, so two paths stand for all: a name beside the hosted ones and one where keys are kept; either will do.
import { asLatchkeyError } from '../../core/errors.ts'
import type { Finding } from '../../core/provider.ts'
import type { Call } from '../../core/runtime.ts'
import { SecretValue } from '../../core/secret.ts'
import type { Setting } from '../../core/settings.ts'
import { encodePath } from './connection.ts'
import type { VaultEngine } from './engine.ts'
import { vaultLoginSettings, type VaultIdentity } from './login.ts'

type Depth = 'reach' | 'read' | 'write'

interface Need {
  readonly kind: string
  readonly capabilities: readonly string[]
  readonly for: string
  readonly depth: 'read' | 'write'
}

const needs: readonly Need[] = [
  { kind: 'data', capabilities: ['read'], for: 'reading', depth: 'read' },
  { kind: 'data', capabilities: ['create', 'update'], for: 'writing', depth: 'write' },
  { kind: 'subkeys', capabilities: ['read'], for: 'describing without values', depth: 'write' },
  { kind: 'metadata', capabilities: ['read', 'create', 'update', 'patch', 'list'], for: 'labels, lists and deletions', depth: 'write' },
  { kind: 'delete', capabilities: ['update'], for: 'deleting', depth: 'write' },
  { kind: 'undelete', capabilities: ['update'], for: 'recovering', depth: 'write' },
  { kind: 'destroy', capabilities: ['update'], for: 'deleting for good', depth: 'write' },
]

const probeName = 'latchkey-check'

const withVariable = (setting: string): string => {
  const rows: Readonly<Record<string, Setting>> = vaultLoginSettings
  const [variable] = rows[setting]?.env ?? []
  return variable === undefined ? setting : `${setting} (${variable})`
}

/** What the operator should know of the credentials: LiteLLM's order decides between several. */
export const credentialNotices = ({ setting, ignored }: VaultIdentity): readonly string[] =>
  ignored.length === 0 ? [] : [`Several credentials are set: ${withVariable(setting)} decides, ${ignored.map(withVariable).join(' and ')} ${ignored.length === 1 ? 'is' : 'are'} not used. Take away what is not needed.`]

/** Looks at the token, the engine and, for `read` and `write`, the policy. Never throws. */
export const findVault = async ({ connection, mount, prefix }: VaultEngine, depth: Depth, call: Call, keys = 'litellm'): Promise<readonly Finding[]> => {
  const { identity } = connection
  const place = (kind: string, name: string): string => [mount, kind, prefix, name].filter((part) => part !== '').join('/')
  const failed = (subject: string, setting: string) => (error: unknown): Finding => ({ ok: false, subject, message: asLatchkeyError(error).message, setting })

  const token: Finding = await connection.ask({ method: 'GET', path: 'auth/token/lookup-self', within: 'login' }, { action: 'looking at its own token', needs: 'a token that Vault knows, with the capability read on auth/token/lookup-self' }, call).then(
    ({ kind }) => ({ ok: kind === 'done', subject: 'vault token', message: kind === 'done' ? 'Vault knows this token.' : 'What answers at vault_addr is no Vault.', ...(kind !== 'done' && { setting: 'vault_addr' }) }),
    failed('vault token', identity.setting),
  )
  const chosen: readonly Finding[] = credentialNotices(identity).map((message) => ({ ok: true, subject: 'vault credentials', message, setting: identity.ignored[0] ?? '' }))
  if (!token.ok) return [token, ...chosen]

  const engine: Finding = await connection.ask({ method: 'GET', path: `sys/internal/ui/mounts/${encodePath(mount)}`, within: 'path' }, { action: 'looking at the engine', needs: `some capability on ${mount}` }, call).then(({ kind, data }) => {
    const version = (data['options'] as { version?: unknown } | null | undefined)?.version
    const ok = kind === 'done' && data['type'] === 'kv' && version === '2'
    return { ok, subject: `engine ${mount}`, message: ok ? 'It is a KV version 2 engine.' : 'It is no KV version 2 engine. Enable version 2 there, or name another engine.', ...(!ok && { setting: 'vault_mount_name' }) }
  }, failed(`engine ${mount}`, 'vault_mount_name'))
  if (depth === 'reach') return [token, ...chosen, engine]

  const asked = needs.filter((need) => depth === 'write' || need.depth === 'read')
  const paths = asked.map(({ kind }) => [place(kind, probeName), place(kind, [keys, probeName].filter((part) => part !== '').join('/'))])
  const found = await connection.ask({ method: 'POST', path: 'sys/capabilities-self', body: SecretValue.of(JSON.stringify({ paths: paths.flat() })), repeatable: true }, { action: 'asking for its own capabilities', needs: 'the capability update on sys/capabilities-self' }, call).then(({ data }) => data, asLatchkeyError)
  if (found instanceof Error) return [token, ...chosen, engine, { ok: false, subject: 'vault policy', message: found.message, setting: identity.setting }]
  const has = (path: string): readonly unknown[] => (Array.isArray(found[path]) ? (found[path] as unknown[]) : [])
  const policies = asked.map(({ kind, capabilities, for: what }, index): Finding => {
    const missing = capabilities.filter((capability) => !(paths[index] ?? []).some((path) => has(path).includes(capability) || has(path).includes('root')))
    const below = place(kind, '*')
    return { ok: missing.length === 0, subject: `${what}: ${below}`, message: missing.length === 0 ? 'Allowed.' : `The policy lacks ${missing.join(', ')} on ${below}, which ${what} needs (asked for ${(paths[index] ?? []).join(' and ')}).`, ...(missing.length > 0 && { setting: identity.setting }) }
  })
  return [token, ...chosen, engine, ...policies]
}

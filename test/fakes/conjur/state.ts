// What a Conjur server holds, and who may do what with it: roles that hold roles, resources with owners and permissions, values by number.
import { createHash } from 'node:crypto'

export interface Resource {
  /** `account:kind:identifier`. */
  readonly id: string
  owner: string
  permissions: { readonly role: string; readonly privilege: string }[]
  annotations: Record<string, string>
  readonly policy?: string
  /** Oldest first; the last twenty. */
  secrets: { readonly version: number; readonly value: Buffer }[]
}

const keptSecrets = 20

/** Ruby's `blank?` of bytes. */
const isBlank = (value: Buffer): boolean => value.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d))

export class ConjurState {
  readonly account: string
  readonly resources = new Map<string, Resource>()
  /** API keys of users and hosts, by role. */
  readonly apiKeys = new Map<string, string>()
  /** Which roles a role has been granted. */
  readonly #granted = new Map<string, Set<string>>()
  #drawn = 0

  constructor(account: string) {
    this.account = account
    const admin = this.full('user', 'admin')
    this.apiKeys.set(admin, this.newKey())
    this.add('policy', 'root', admin)
    this.grant(this.full('policy', 'root'), admin)
  }

  full(kind: string, id: string): string {
    return `${this.account}:${kind}:${id}`
  }

  /** Fifty-four characters, as newer servers make them; the same ones in every run. */
  newKey(): string {
    this.#drawn += 1
    return BigInt(`0x${createHash('sha512').update(`${this.account} ${this.#drawn}`).digest('hex')}`).toString(36).slice(0, 54)
  }

  /** The role behind a login: `host/<id>`, else a user. */
  roleOf(login: string): string {
    return login.startsWith('host/') ? this.full('host', login.slice(5)) : this.full('user', login)
  }

  add(kind: string, id: string, owner: string, policy?: string): Resource {
    const full = this.full(kind, id)
    const held = this.resources.get(full)
    if (held !== undefined) return held
    const made: Resource = { id: full, owner, permissions: [], annotations: {}, secrets: [], ...(policy !== undefined && { policy }) }
    this.resources.set(full, made)
    return made
  }

  grant(role: string, member: string): void {
    this.#granted.set(member, (this.#granted.get(member) ?? new Set()).add(role))
  }

  permit(resource: Resource, role: string, privilege: string): void {
    if (!resource.permissions.some((each) => each.role === role && each.privilege === privilege)) resource.permissions.push({ role, privilege })
  }

  /** The role and all that it holds. */
  rolesOf(role: string): ReadonlySet<string> {
    const all = new Set([role])
    for (const each of all) for (const more of this.#granted.get(each) ?? []) all.add(more)
    return all
  }

  may(role: string, privilege: string, resource: Resource): boolean {
    const roles = this.rolesOf(role)
    return roles.has(resource.owner) || resource.permissions.some((each) => each.privilege === privilege && roles.has(each.role))
  }

  sees(role: string, resource: Resource): boolean {
    const roles = this.rolesOf(role)
    return roles.has(resource.owner) || resource.permissions.some((each) => roles.has(each.role))
  }

  /** An equal value makes no new version. `false`: the value is blank. */
  setValue(resource: Resource, value: Buffer): boolean {
    if (isBlank(value)) return false
    const last = resource.secrets.at(-1)
    if (last === undefined || !last.value.equals(value)) resource.secrets = [...resource.secrets, { version: (last?.version ?? 0) + 1, value: Buffer.from(value) }].slice(-keptSecrets)
    return true
  }
}

// What a project holds: environments, folders and secrets with numbered versions. The rules are the service's: what it trims, what it refuses, what it looks at first.
import { randomUUID } from 'node:crypto'
import { badRequest, invalid, notFound } from './refusals.ts'

/** One row. */
export interface Row {
  readonly id: string
  readonly environment: string
  path: string
  key: string
  version: number
  value: string
  comment: string
  metadata: readonly { key: string; value: string; isEncrypted: boolean }[]
  readonly created: number
  updated: number
  versions: { readonly id: string; readonly version: number; readonly value: string; readonly at: number }[]
}

/** What a request may say of a secret. */
export interface Written {
  readonly secretValue?: string
  readonly secretComment?: string
  readonly secretMetadata?: readonly { key: string; value: string; isEncrypted: boolean }[]
  readonly newSecretName?: string
}

/** Values are trimmed; exactly one trailing newline survives. */
export const trimmedValue = (value: string): string => (value.endsWith('\n') ? `${value.trim()}\n` : value.trim())

/** @throws ValidationFailure */
export const secretName = (name: string): string => {
  const trimmed = name.trim()
  if (trimmed === '') throw invalid('secretName', 'String must contain at least 1 character(s)')
  if (/[:/]/.test(trimmed)) throw invalid('secretName', 'Secret name cannot contain colon or forward slash.')
  return trimmed
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'
export const below = (path: string, folder: string): boolean => folder === '/' || path === folder || path.startsWith(`${folder}/`)

/** One project. */
export class Project {
  readonly #now: () => number
  readonly #folders = new Map<string, Set<string>>()
  rows: Row[] = []
  readonly imports: { readonly environment: string; readonly path: string; readonly fromEnvironment: string; readonly fromPath: string }[] = []

  constructor(now: () => number, environments: readonly string[]) {
    this.#now = now
    for (const environment of environments) this.#folders.set(environment, new Set(['/']))
  }

  hasFolder(environment: string, path: string): boolean {
    return this.#folders.get(environment)?.has(path) === true
  }

  /** @throws NotFound */
  requireFolder(environment: string, path: string): void {
    if (!this.hasFolder(environment, path)) throw notFound(`Folder with path '${path}' in environment with slug '${environment}' not found`)
  }

  /** @throws NotFound */
  foldersIn(environment: string, path: string, recursive = false): readonly string[] {
    const folders = this.#folders.get(environment)
    if (folders === undefined) throw notFound(`Environment with slug '${environment}' not found`)
    return [...folders].filter((folder) => folder !== '/' && folder !== path && (recursive ? below(folder, path) : parentOf(folder) === path)).toSorted()
  }

  /** @throws BadRequest when it is there, ValidationFailure, NotFound */
  makeFolder(environment: string, path: string, name: string): string {
    if (!/^[a-zA-Z0-9-_]+$/.test(name)) throw invalid('name', 'Invalid folder name. Only alphanumeric characters, dashes, and underscores are allowed.')
    const folders = this.#folders.get(environment)
    if (folders === undefined) throw notFound(`Environment with slug '${environment}' not found`)
    const whole = `${path === '/' ? '' : path}/${name}`
    if (folders.has(whole)) throw badRequest(`Folder with name '${name}' already exists in path '${path}'`)
    for (let at = whole; at !== '/'; at = parentOf(at)) folders.add(at)
    return whole
  }

  /** The row that is read: with two of one name, the first. */
  row(environment: string, path: string, key: string): Row | undefined {
    return this.rows.find((each) => each.environment === environment && each.path === path && each.key === key)
  }

  /** `racing`: as if another request had looked at the same moment. @throws BadRequest when it is there */
  create(environment: string, path: string, key: string, { secretValue = '', secretComment = '', secretMetadata = [] }: Written, racing = false): Row {
    this.requireFolder(environment, path)
    if (!racing && this.row(environment, path, key) !== undefined) throw badRequest('Secret already exist')
    const at = this.#now()
    const value = trimmedValue(secretValue)
    const row: Row = { id: randomUUID(), environment, path, key, version: 1, value, comment: secretComment.trim(), metadata: secretMetadata, created: at, updated: at, versions: [{ id: randomUUID(), version: 1, value, at }] }
    this.rows.push(row)
    return row
  }

  /** Whoever is last wins; every change is a version. @throws NotFound */
  update(environment: string, path: string, key: string, { secretValue, secretComment, secretMetadata, newSecretName }: Written): Row {
    this.requireFolder(environment, path)
    const row = this.row(environment, path, key)
    if (row === undefined) throw notFound(`Secret with name ${key} not found`)
    if (newSecretName !== undefined) {
      if (this.row(environment, path, newSecretName) !== undefined) throw badRequest('Secret with the new name already exist')
      row.key = newSecretName
    }
    const at = this.#now()
    row.version += 1
    row.updated = at
    if (secretValue !== undefined) row.value = trimmedValue(secretValue)
    if (secretComment !== undefined) row.comment = secretComment
    if (secretMetadata !== undefined) row.metadata = secretMetadata
    row.versions.push({ id: randomUUID(), version: row.version, value: row.value, at })
    return row
  }

  /** @throws NotFound */
  remove(environment: string, path: string, key: string): Row {
    this.requireFolder(environment, path)
    const row = this.row(environment, path, key)
    if (row === undefined) throw notFound('Secret not found')
    this.rows = this.rows.filter((each) => each.environment !== environment || each.path !== path || each.key !== key)
    return row
  }

  /** The daily clean-up: only the newest versions of each secret stay. */
  prune(keep: number): void {
    for (const row of this.rows) row.versions = row.versions.slice(-keep)
  }

  /** `${KEY}` of the same folder and `${environment.folder.KEY}`; what is not there stays as it is. */
  expanded(environment: string, path: string, value: string, depth = 0): string {
    if (depth > 5) return value
    return value.replace(/\$\{([A-Za-z0-9_.-]+)\}/g, (whole, reference: string) => {
      const parts = reference.split('.')
      const [where, key] = parts.length === 1 ? [{ environment, path }, reference] : [{ environment: parts[0] ?? '', path: `/${parts.slice(1, -1).join('/')}` }, parts.at(-1) ?? '']
      const row = this.row(where.environment, where.path, key)
      return row === undefined ? whole : this.expanded(where.environment, where.path, row.value, depth + 1)
    })
  }
}

// Loading a policy as Conjur does: YAML with tags, ids relative to the branch, all of it or nothing. What the grammar of the server does not know is refused.
import { isMap, isScalar, isSeq, parseDocument, type Node, type YAMLMap } from 'yaml'
import type { ConjurState } from './state.ts'

/** A policy that the server refuses, with its code. */
export class PolicyRefusal extends Error {
  readonly code: 'policy_invalid' | 'validation_failed'

  constructor(code: PolicyRefusal['code'], message: string) {
    super(message)
    this.code = code
  }
}

interface Step {
  apply(): void
}

const kinds: ReadonlySet<string> = new Set(['variable', 'host', 'user', 'group', 'layer', 'webservice', 'policy'])
const roleKinds: ReadonlySet<string> = new Set(['host', 'user', 'group', 'layer', 'policy'])

const invalid = (message: string): PolicyRefusal => new PolicyRefusal('policy_invalid', message)

/** Reads one document and carries it out in `branch`. Gives the API keys of the hosts and users that it made. @throws PolicyRefusal, and nothing is changed */
export const loadPolicy = (state: ConjurState, branch: string, text: string, deletes: boolean): Record<string, { id: string; api_key: string }> => {
  const document = parseDocument(text, { logLevel: 'silent', uniqueKeys: true })
  if (document.errors.length > 0) throw invalid('the policy is no YAML')
  const created: Record<string, { id: string; api_key: string }> = {}
  const steps: Step[] = []

  const tagOf = (node: unknown): string => (((node as Node | null)?.tag ?? '') as string).replace(/^!/, '')
  const field = (map: YAMLMap, name: string): unknown => map.get(name, true)
  const textOf = (node: unknown): string => {
    if (isScalar(node) && (typeof node.value === 'string' || typeof node.value === 'number')) return String(node.value)
    throw invalid('an id must be text')
  }
  const idIn = (namespace: string, id: string): string => (id.startsWith('/') ? id.slice(1) : namespace === '' ? id : `${namespace}/${id}`)
  const reference = (namespace: string, node: unknown): string => {
    const kind = tagOf(node)
    if (!kinds.has(kind)) throw invalid('a reference names no kind')
    return state.full(kind, idIn(namespace, textOf(isMap(node) ? field(node, 'id') : node)))
  }
  const listOf = (node: unknown): readonly unknown[] => (isSeq(node) ? node.items : node === undefined || node === null ? [] : [node])

  const record = (namespace: string, owner: string, policy: string, node: unknown, kind: string): void => {
    const map = isMap(node) ? node : undefined
    const id = idIn(namespace, textOf(map === undefined ? node : field(map, 'id')))
    if (id === '' || /[\p{Cc}\u2028\u2029]/u.test(id)) throw invalid('an id holds what it may not')
    const full = state.full(kind, id)
    const named = map === undefined ? undefined : field(map, 'owner')
    const owns = named === undefined ? owner : reference(namespace, named)
    const annotations = map === undefined ? undefined : field(map, 'annotations')
    steps.push({
      apply: () => {
        const isNew = !state.resources.has(full)
        const resource = state.add(kind, id, owns, policy)
        if (roleKinds.has(kind)) state.grant(full, owns)
        if (isMap(annotations)) for (const { key, value } of annotations.items) resource.annotations[textOf(key)] = textOf(value)
        if (isNew && (kind === 'host' || kind === 'user')) {
          const key = state.newKey()
          state.apiKeys.set(full, key)
          created[full] = { id: full, api_key: key }
        }
      },
    })
    if (kind === 'policy' && map !== undefined) for (const item of listOf(field(map, 'body'))) statement(id, full, full, item)
  }

  const statement = (namespace: string, owner: string, policy: string, node: unknown): void => {
    const kind = tagOf(node)
    if (kinds.has(kind)) return record(namespace, owner, policy, node, kind)
    if (!isMap(node)) throw invalid(`there is no statement !${kind}`)
    if (kind === 'delete') {
      if (!deletes) throw invalid('a policy that is added to deletes nothing')
      const gone = reference(namespace, field(node, 'record'))
      return void steps.push({ apply: () => void (state.resources.delete(gone), state.apiKeys.delete(gone)) })
    }
    if (kind === 'permit') {
      const privileges = listOf(field(node, 'privilege') ?? field(node, 'privileges')).map(textOf)
      const roles = listOf(field(node, 'role') ?? field(node, 'roles')).map((each) => reference(namespace, each))
      const about = listOf(field(node, 'resource') ?? field(node, 'resources')).map((each) => reference(namespace, each))
      return void steps.push({
        apply: () => {
          for (const id of about) {
            const resource = state.resources.get(id)
            if (resource === undefined) throw new PolicyRefusal('validation_failed', `${id} is not there`)
            for (const role of roles) for (const privilege of privileges) state.permit(resource, role, privilege)
          }
        },
      })
    }
    if (kind === 'grant') {
      const [role, member] = [reference(namespace, field(node, 'role')), reference(namespace, field(node, 'member'))]
      return void steps.push({ apply: () => state.grant(role, member) })
    }
    throw invalid(`there is no statement !${kind}`)
  }

  if (!isSeq(document.contents)) throw invalid('a policy is a list of statements')
  const policy = state.full('policy', branch)
  const owner = state.resources.get(policy)?.owner ?? policy
  for (const item of document.contents.items) statement(branch === 'root' ? '' : branch, owner, policy, item)
  for (const step of steps) step.apply()
  return created
}

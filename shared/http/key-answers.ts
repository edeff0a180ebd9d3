// Virtual keys as LiteLLM's clients expect them, with what Latchkey adds. The token stands in an answer only where the lifecycle hands it out:
// at creation, at rotation, and in a replay while it may still be shown.
import { createHash } from 'node:crypto'
import type { KeyAnswer, KeyInfo, ReconcileReport } from '../core/virtual-key.ts'
import type { Body } from './problem.ts'

/** What the store promises of a change. `guarded: false`: the service checks no condition for us, so whoever reads its newest value may see a late write until it is repaired (operations, 6). */
const guaranteeOf = ({ guarantee }: Pick<KeyInfo, 'guarantee'>): Body => ({ guarantee, guarded: guarantee === 'detected' ? false : undefined })

const iso = (date: Date | undefined): string | null => date?.toISOString() ?? null

const stored = (info: KeyInfo): Body => ({ store: info.stored.store, name: info.stored.name, version: info.stored.version ?? null })

/** What every answer about a key has; LiteLLM's own names first. Kept fields stand first, so that none can take the place of a fact. */
const facts = (info: KeyInfo): Body => ({
  ...info.data,
  key_id: info.keyId,
  key_alias: info.alias ?? null,
  team_id: info.teamId ?? null,
  user_id: info.data['user_id'] ?? null,
  expires: iso(info.expires),
  created_at: iso(info.created),
  updated_at: iso(info.updated),
  litellm_budget_table: null,
  state: info.state,
  blocked: info.state === 'blocked',
  rotation_due: iso(info.rotationDue),
  key_rotation_at: iso(info.rotationDue),
  epoch: info.epoch,
  stored: stored(info),
  ...guaranteeOf(info),
  previous_until: iso(info.previousUntil),
})

/** The members that tell a token, or that there is none to tell. The hash and the four last characters are LiteLLM's. */
const tokenFacts = (answered: KeyAnswer): Body => {
  if (answered.key === undefined) return { key: null, key_withheld: answered.keyWithheld ?? null, key_name: null, token: null, token_id: null }
  const hash = createHash('sha256').update(answered.key.bytes()).digest('hex')
  const token = answered.key.reveal()
  return { key: token, key_name: `sk-...${token.slice(-4)}`, token: hash, token_id: hash }
}

/** The answer of a creation or a rotation. */
export const changeBody = (answered: KeyAnswer, caller: string, verb: 'create' | 'rotate', warnings: readonly string[], more: Body = {}): Body => ({
  ...facts(answered),
  ...more,
  ...tokenFacts(answered),
  created_by: verb === 'create' ? caller : null,
  updated_by: caller,
  superseded: answered.superseded,
  enforced_by: answered.enforcedBy,
  operation_id: answered.operationId,
  warnings,
})

/** The answer of a change that hands out no token. `key` names the key, as LiteLLM's update has it; never by its token. */
export const keptBody = (answered: KeyAnswer, caller: string, warnings: readonly string[]): Body => ({
  ...facts(answered),
  key: answered.keyId,
  key_name: null,
  created_by: null,
  updated_by: caller,
  superseded: answered.superseded,
  enforced_by: answered.enforcedBy,
  operation_id: answered.operationId,
  warnings,
})

/** One key of a batch that was taken over. */
export const adoptedBody = (answered: KeyAnswer): Body => ({
  key_id: answered.keyId,
  key_alias: answered.alias ?? null,
  team_id: answered.teamId ?? null,
  adopted: true,
  stored: stored(answered),
  ...guaranteeOf(answered),
  enforced_by: answered.enforcedBy,
  operation_id: answered.operationId,
  superseded: answered.superseded,
})

/** One page of a reconciliation. */
export const reconciledBody = (report: ReconcileReport): Body => ({
  checked: report.checked,
  items: report.items.map(({ name, keyId, finding, action, message }) => ({ name, key_id: keyId ?? null, finding, action, message })),
  next_cursor: report.cursor ?? null,
})

/** LiteLLM's `KeyHealthResponse`, and why: a key whose token is accepted is healthy while nothing about it drifted. `detail`: what a caller with a grant sees beside it. */
export const healthBody = (info: KeyInfo, detail: boolean): Body => {
  const reasons = (info.drift ?? []).map(({ kind }) => kind)
  return {
    key: reasons.length === 0 ? 'healthy' : 'unhealthy',
    logging_callbacks: null,
    reasons,
    key_id: info.keyId,
    key_alias: info.alias ?? null,
    team_id: info.teamId ?? null,
    state: info.state,
    expires: iso(info.expires),
    rotation_due: iso(info.rotationDue),
    ...(detail ? { stored: stored(info), drift: driftBody(info) } : {}),
  }
}

/** One deleted key of a batch. */
export const deletedBody = (answered: KeyAnswer): Body => ({
  key_id: answered.keyId,
  key_alias: answered.alias ?? null,
  team_id: answered.teamId ?? null,
  deleted: true,
  stored: stored(answered),
  ...guaranteeOf(answered),
  enforced_by: answered.enforcedBy,
  operation_id: answered.operationId,
  superseded: answered.superseded,
  purge_after: iso(answered.purgeAfter),
})

/** What is not as Latchkey left it; an empty list where it was looked for and all is well. */
export const driftBody = (info: KeyInfo): readonly Body[] => (info.drift ?? []).map(({ kind, message }) => ({ kind, message }))

/** A key without its token: LiteLLM's `info` and `list` items. */
export const infoBody = (info: KeyInfo): Body => ({
  ...facts(info),
  created_by: null,
  updated_by: null,
  key_name: null,
  operations: info.operations.map(({ id, verb, step, at, before, until }) => ({ id, verb, step, at: at.toISOString(), before, until: until?.toISOString() })),
})

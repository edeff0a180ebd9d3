// The audit trail: one line a decision, numbered and chained by HMAC to the line before, appended before anything is answered. A chain of one
// process shows changed, missing and reordered lines between the first and the last; it cannot show that the end was cut off, and says so.
import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { LatchkeyError } from '../core/errors.ts'
import type { AuditEvent, AuditPort, AuditReceipt, Clock, Random } from '../core/runtime.ts'

/** What a trail needs of its process. */
export interface AuditOptions {
  readonly clock: Clock
  readonly random: Random
  /** Takes one line without its line end; returns once it is where the platform keeps its log, and throws when it cannot. */
  readonly write: (line: string) => void
  /** At least 32 bytes, kept where whoever can change the log cannot read it. Default: drawn for this process and announced in its first line. */
  readonly key?: Uint8Array
}

const start = '0'.repeat(64)
const macOf = (key: Uint8Array, before: string, body: string): string => createHmac('sha256', key).update(before).update('\n').update(body).digest('hex')
const nameOf = (key: Uint8Array): string => hash('sha256', Buffer.concat([Buffer.from('latchkey-audit-key'), key])).slice(0, 16)

/**
 * Makes the audit port of one process. The first line announces the chain: the process, the key's fingerprint, and, where no key is configured, the key
 * itself; then the chain shows mistakes and lost lines, not a forger. @throws misconfigured for a short key
 */
export const createAudit = (options: AuditOptions): AuditPort => {
  const { clock, random, write } = options
  if (options.key !== undefined && options.key.byteLength < 32) throw new LatchkeyError('misconfigured', 'The audit key must be at least 32 bytes long.')
  const key = options.key ?? random.bytes(32)
  const chain = Buffer.from(random.bytes(8)).toString('hex')
  const announced = options.key === undefined ? { key: Buffer.from(key).toString('hex') } : {}
  let sequence = -1
  let before = start

  /** A line that could not be written leaves number and chain as they were: the next one takes its place. */
  const append = (msg: string, level: number, fields: Readonly<Record<string, string | undefined>>): number => {
    const body = JSON.stringify({ level, time: clock.now(), msg, chain, seq: sequence + 1, ...fields })
    const mac = macOf(key, before, body)
    try {
      write(`${body.slice(0, -1)},"mac":"${mac}"}`)
    } catch {
      throw new LatchkeyError('audit_unavailable', 'The audit line cannot be written.')
    }
    sequence += 1
    before = mac
    return sequence
  }

  return {
    record: async (event) => {
      if (sequence < 0) append('audit chain begins', 30, { key_id: nameOf(key), ...announced })
      return receiptOf(append('audit', event.decision === 'allowed' ? 30 : 40, fieldsOf(event)))
    },
  }
}

/** An allow-list: what is not named here does not reach the trail. */
const fieldsOf = (event: AuditEvent): Readonly<Record<string, string | undefined>> => ({
  action: event.action,
  decision: event.decision,
  caller: event.caller,
  request_id: event.requestId,
  store: event.store,
  name: event.name,
  key_id: event.keyId,
  team: event.team,
  operation_id: event.operationId,
  code: event.code,
  version: event.version,
  note: event.note,
})

const receiptOf = (sequence: number): AuditReceipt => ({ sequence }) as AuditReceipt

/** What can be said about a trail, and what cannot. */
export interface AuditVerdict {
  /** Whether no line is changed, missing or out of order, as far as can be known. */
  readonly ok: boolean
  /** Audit lines that stand in a sound chain. */
  readonly lines: number
  /** What is wrong, each with its place. */
  readonly problems: readonly string[]
  /** What the lines cannot tell. */
  readonly unknown: readonly string[]
}

interface ChainState {
  readonly key: Uint8Array
  readonly keyInLog: boolean
  before: string
  next: number
}

/** Checks the audit lines of a log, of any number of processes; other lines are passed over. `key` is the configured one; without it only announced keys help. */
export const verifyAudit = (lines: readonly string[], key?: Uint8Array): AuditVerdict => {
  const chains = new Map<string, ChainState>()
  const problems: string[] = []
  let sound = 0
  for (const [index, line] of lines.entries()) {
    const place = `line ${index + 1}`
    const read = readLine(line)
    if (read === undefined) continue
    if (read === 'broken') {
      problems.push(`${place}: is an audit line that cannot be read.`)
      continue
    }
    const state = chains.get(read.chain) ?? begin(read, key)
    if (state === undefined) {
      problems.push(`${place}: chain ${read.chain} has no first line here, or its key is not the one given.`)
      continue
    }
    chains.set(read.chain, state)
    if (read.seq !== state.next) problems.push(read.seq > state.next ? `${place}: chain ${read.chain} goes from ${state.next - 1} to ${read.seq}; ${read.seq - state.next} missing.` : `${place}: chain ${read.chain} has number ${read.seq} again.`)
    const expected = macOf(state.key, state.before, read.body)
    if (timingSafeEqual(Buffer.from(expected, 'hex'), Buffer.from(read.mac, 'hex'))) sound += read.seq === state.next ? 1 : 0
    else if (read.seq === state.next) problems.push(`${place}: number ${read.seq} of chain ${read.chain} was changed, or the line before it was.`)
    state.before = read.mac
    state.next = read.seq + 1
  }
  return { ok: problems.length === 0, lines: sound, problems, unknown: unknownOf(chains) }
}

interface AuditLine {
  readonly chain: string
  readonly seq: number
  readonly mac: string
  readonly body: string
  readonly keyId?: unknown
  readonly key?: unknown
}

const readLine = (line: string): AuditLine | 'broken' | undefined => {
  if (!/"msg":"audit(?: chain begins)?"/.test(line)) return undefined
  const cut = /,"mac":"([0-9a-f]{64})"\}$/.exec(line)
  try {
    const fields = JSON.parse(line) as Readonly<Record<string, unknown>>
    const { chain, seq } = fields
    if (cut?.[1] === undefined || typeof chain !== 'string' || !/^[0-9a-f]{16}$/.test(chain) || typeof seq !== 'number') return 'broken'
    return { chain, seq, mac: cut[1], body: `${line.slice(0, cut.index)}}`, ...(seq === 0 ? { keyId: fields['key_id'], key: fields['key'] } : {}) }
  } catch {
    return 'broken'
  }
}

const begin = (line: AuditLine, given: Uint8Array | undefined): ChainState | undefined => {
  const own = typeof line.key === 'string' && /^[0-9a-f]{64}$/.test(line.key) ? Buffer.from(line.key, 'hex') : undefined
  const key = [given, own].find((candidate) => candidate !== undefined && nameOf(candidate) === line.keyId)
  return line.seq !== 0 || key === undefined ? undefined : { key, keyInLog: key === own, before: start, next: 0 }
}

const unknownOf = (chains: ReadonlyMap<string, ChainState>): readonly string[] =>
  [...chains].flatMap(([chain, state]) => [
    `Chain ${chain}: whether lines after number ${state.next - 1} were cut off; nothing anchors its end.`,
    ...(state.keyInLog ? [`Chain ${chain}: whether somebody rewrote it as a whole; its key stands in the log. Configure an audit key to know.`] : []),
  ])

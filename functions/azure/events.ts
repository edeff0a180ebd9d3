// What Azure sends the rotate app: Key Vault's events of Event Grid, in either of its schemas, as a storage queue hands them over, and the timer. The documented samples have
// stray spaces in keys and values and numbers as text, so keys are trimmed and compared without case.
import { dateAt, idOr, jsonOf, malformed, maxEventBytes, textAt, type Parsed, type Sent } from '../events.ts'
import { isMapping } from '../../shared/core/settings/mapping.ts'

const source = 'event_grid'
const prefix = 'Microsoft.KeyVault.'
const kinds: Readonly<Record<string, 'rotate' | 'invalidate'>> = { SecretNearExpiry: 'rotate', SecretExpired: 'rotate', SecretNewVersionCreated: 'invalidate' }

/** The same members under trimmed lower-case keys. */
const folded = (sent: Sent): Sent => Object.fromEntries(Object.entries(sent).map(([key, value]) => [key.trim().toLowerCase(), value]))

const lastOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

/** What says of one event that its parts are not of one secret; nothing when all is well. */
const disagreement = (event: Sent, data: Sent, id: string): string | undefined => {
  const [vault, name, topic] = [textAt(data, 'vaultname'), textAt(data, 'objectname'), textAt(event, 'topic') ?? textAt(event, 'source')]
  const url = URL.canParse(id) ? new URL(id) : undefined
  const [, kind, named] = url?.pathname.split('/') ?? []
  if (url === undefined || kind !== 'secrets' || named === undefined) return 'data.Id is not the address of a secret in a vault.'
  const label = url.hostname.split('.')[0] ?? ''
  if (vault !== undefined && vault.toLowerCase() !== label.toLowerCase()) return 'data.VaultName is not the vault of data.Id.'
  if (name !== undefined && name.toLowerCase() !== named.toLowerCase()) return 'data.ObjectName is not the secret of data.Id.'
  if (topic !== undefined && /\/vaults\//i.test(topic) && lastOf(topic).toLowerCase() !== label.toLowerCase()) return 'The topic is not the vault of data.Id.'
  return undefined
}

const eventOf = (given: unknown, delivery: string): Parsed => {
  if (!isMapping(given)) return malformed(source, delivery, 'It is not an event of Event Grid.')
  const event = folded(given)
  const id = idOr(textAt(event, 'id'), delivery)
  const type = textAt(event, 'eventtype') ?? textAt(event, 'type') ?? ''
  const at = dateAt(event, 'eventtime') ?? dateAt(event, 'time')
  if (type.startsWith('Microsoft.EventGrid.Subscription')) return malformed(source, id, 'A subscription handshake is not answered here: events come through a storage queue, which needs none.')
  if (!type.startsWith(prefix)) return malformed(source, id, 'The event is not of Key Vault.')
  const said = { source, id, ...(at === undefined ? {} : { at }) } as const
  const kind = kinds[type.slice(prefix.length)]
  if (kind === undefined) return { ...said, kind: 'probe' }
  const data = isMapping(event['data']) ? folded(event['data']) : {}
  const native = textAt(data, 'id')
  if (native === undefined || (textAt(data, 'objecttype') ?? 'Secret').toLowerCase() !== 'secret') return malformed(source, id, 'The event names no secret.')
  const wrong = disagreement(event, data, native)
  return wrong === undefined ? { ...said, kind, native } : malformed(source, id, wrong)
}

const parsed = (text: string): unknown => jsonOf(text) ?? (/^[\sA-Za-z0-9+/_=-]+$/.test(text) ? jsonOf(Buffer.from(text, 'base64').toString('utf8')) : undefined)

/** Reads one message of the queue: text or what the platform has parsed of it, base64 or not, one event or a list. Never throws. */
export const queueEvents = (message: unknown, delivery: string): readonly Parsed[] => {
  const text = message instanceof Uint8Array ? Buffer.from(message).toString('utf8') : message
  if (typeof text === 'string' && Buffer.byteLength(text) > 2 * maxEventBytes) return [malformed(source, delivery, 'The message is longer than a storage queue allows.')]
  const read = typeof text === 'string' ? parsed(text) : text
  const list: readonly unknown[] = Array.isArray(read) ? read : [read]
  return list.length === 0 ? [malformed(source, delivery, 'The message holds no event.')] : list.map((event) => eventOf(event, delivery))
}

/** A tick of the timer. A late one is as good as any: what is due is found in the store. */
export const timerEvent = (delivery: string): Parsed => ({ source: 'timer', kind: 'due', id: delivery })

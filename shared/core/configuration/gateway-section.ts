// `latchkey.gateway`: the running LiteLLM that accepts the virtual keys, and how Latchkey talks to it. Without it keys are stored and verified, and no gateway is told.
// Handed to parseConfiguration by whoever changes keys, so that the function that only reads secrets does not load it.
import type { Env } from '../runtime.ts'
import { readSettings, type SettingsTable } from '../settings.ts'
import { isLoopbackHost } from '../settings/loopback.ts'
import { planMasterKey } from './master-key.ts'
import type { MasterKeyPlan, ReadPlan, Reference } from './references.ts'
import { mappingOf, take, type Findings } from './store-configuration.ts'

/** The gateway before it is opened. */
export interface GatewayConfiguration {
  readonly url: string
  /** Looked for as Latchkey's own is: in the manager where it hosts the name, then in the environment. */
  readonly masterKey: MasterKeyPlan
  readonly licensed: boolean
  readonly timeoutSeconds: number
  /** PEM, or the path of a file with PEM. */
  readonly ca?: string
}

interface GatewaySettings {
  readonly url: string
  readonly master_key?: string
  readonly licensed: boolean
  readonly timeout_seconds: number
  readonly ca?: string
  readonly allow_plain_http: boolean
}

/** `latchkey.gateway`. */
export const gatewaySectionSettings: SettingsTable<GatewaySettings> = {
  url: { type: 'url', required: true, text: "The address of LiteLLM's admin API, with the path that stands before its routes if there is one." },
  master_key: { type: 'string', text: "LiteLLM's master key: `os.environ/NAME`, `secret://store/name`, or the text itself. Left out: the master key of this file's `general_settings`." },
  licensed: { type: 'boolean', default: false, text: 'Whether LiteLLM has an Enterprise licence: a rotation then keeps the spend and budgets of the key there.' },
  timeout_seconds: { type: 'integer', default: 5, min: 1, max: 25, text: 'How long LiteLLM may take for one answer.' },
  ca: { type: 'string', text: "The authorities to trust in place of the system's: PEM, or a file of it." },
  allow_plain_http: { type: 'boolean', default: false, text: 'Allows an address that begins with `http://` on another machine. Tokens then travel unencrypted.' },
}

const path = 'latchkey.gateway'

/** What {@link readGateway} needs to know of the rest of the file. */
export interface GatewaySurroundings {
  readonly env: Env
  readonly plan: ReadPlan
  readonly references: readonly Reference[]
  /** Latchkey's own master key. */
  readonly own: MasterKeyPlan
}

/** Reads `latchkey.gateway`; nothing where there is none. */
export const readGateway = (given: unknown, { env, plan, references, own }: GatewaySurroundings, findings: Findings): GatewayConfiguration | undefined => {
  if (given === undefined || given === null) return undefined
  const section = mappingOf(given, path, findings)
  // What its reference names may be in a manager: the table would look for it in the environment alone.
  const { master_key: written, ...rest } = section
  const settings = take(readSettings(gatewaySectionSettings, rest, { path, env }), findings)
  const { url, ca } = settings
  if (url !== undefined) checkUrl(url, settings.allow_plain_http, findings)
  const masterKey = typeof written === 'string' ? planMasterKey(written, `${path}.master_key`, plan, references, true, findings) : own
  if (written !== undefined && written !== null && typeof written !== 'string') findings.issues.push({ path: `${path}.master_key`, message: 'must be text; put it in quotes' })
  return { url, masterKey, licensed: settings.licensed, timeoutSeconds: settings.timeout_seconds, ...(ca !== undefined && { ca }) }
}

/** What reads `latchkey.gateway`: {@link readGateway}. */
export type GatewayReader = typeof readGateway

const checkUrl = (text: string, allowPlainHttp: boolean, { issues }: Findings): void => {
  const url = new URL(text)
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') issues.push({ path: `${path}.url`, message: 'must be scheme, host, port and path, without user, query or fragment; the key belongs in master_key' })
  if (url.protocol === 'http:' && allowPlainHttp !== true && !isLoopbackHost(url.hostname)) {
    issues.push({ path: `${path}.url`, message: `must begin with https:// unless it is on this machine; set ${path}.allow_plain_http to true to send tokens unencrypted` })
  }
}

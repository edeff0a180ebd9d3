// Numbered values and nothing else: no condition, no labels, no delete, the last twenty values kept. The record is one JSON text in a companion
// variable whose versions form the chain: each names the one it is based on, and the first of two writers wins for everybody who folds.
import { verbatimCodec } from '../../shared/core/names.ts'
import { defineProvider, type SecretProvider } from '../../shared/core/provider.ts'
import type { Clock, Runtime } from '../../shared/core/runtime.ts'
import { recordProvider, type SecretState } from './record.ts'
import { foldChain } from './chain.ts'
import { calmHook, heldBy, lineTo, type Hook } from './service.ts'

interface Numbered {
  readonly number: number
  readonly text: string
}

const kept = 20
const companionOf = (name: string): string => `companion of ${name}`

/** The service: every method is one atomic call. */
export class PlainService {
  readonly clock: Clock
  hook: Hook = calmHook
  #variables = new Map<string, readonly Numbered[]>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  through(hook: Hook): PlainService {
    const view = new PlainService(this.clock)
    view.hook = hook
    view.#variables = this.#variables
    return view
  }

  history(name: string): Promise<readonly Numbered[]> {
    return this.hook({ call: 'history', name, changes: false }, () => this.#variables.get(name) ?? [])
  }

  /** An equal value makes no new version. */
  set(name: string, text: string): Promise<void> {
    return this.hook({ call: 'set', name, changes: true }, () => {
      const held = this.#variables.get(name) ?? []
      if (held.at(-1)?.text !== text) this.#variables.set(name, [...held, { number: (held.at(-1)?.number ?? 0) + 1, text }].slice(-kept))
    })
  }

  /** All that it holds, or what one name holds, as text: the same text, the same state. */
  content(only?: string): string {
    return JSON.stringify(heldBy(this.#variables, only))
  }

  list(): Promise<readonly string[]> {
    return this.hook({ call: 'list', name: '', changes: false }, () => [...this.#variables.keys()])
  }
}

interface Link {
  readonly before: number
  readonly nonce: string
  readonly state: SecretState
}

/** A version's text is read by everybody who folds, and never changed: each is parsed once. */
const links = new Map<string, Link>()
const linkOf = (text: string): Link => {
  const known = links.get(text)
  if (known !== undefined) return known
  if (links.size > 2_000) links.clear()
  const link = JSON.parse(text) as Link
  links.set(text, link)
  return link
}

/** The provider over one such service. */
export const plain = (service: PlainService) =>
  defineProvider({
    name: 'plain',
    title: 'Memory, no versions in answers and no labels',
    settings: {},
    open: (_settings, io) => {
      const line = lineTo(io.clock)
      const fold = (history: readonly Numbered[]) => foldChain(history.map(({ number, text }) => ({ id: number, ...linkOf(text) })))
      return recordProvider(
        {
          traits: {
            names: verbatimCodec(),
            settleMs: 0,
            versions: 'opaque',
            value: { maxBytes: 65_536, empty: true, bytes: 'any' },
            write: { guarantee: 'detected', softDelete: false, labels: { travel: 'always', pairs: 50, keyBytes: 128, valueBytes: 256, filter: false } },
          },
          load: async (name, call) => {
            const last = fold(await line(call, () => service.history(companionOf(name.text)))).at(-1)
            return last === undefined ? undefined : { state: last.state, token: String(last.id) }
          },
          commit: async (name, state, token, call, moved) => {
            const nonce = Buffer.from(io.random.bytes(9)).toString('hex')
            const link: Link = { before: Number(token ?? 0), nonce, state }
            await line(call, () => service.set(companionOf(name.text), JSON.stringify(link)))
            const won = fold(await line(call, () => service.history(companionOf(name.text)))).some((each) => each.nonce === nonce)
            const current = state.entries.find(({ stage }) => stage === 'current')?.value
            if (won && moved && current !== undefined) await line(call, () => service.set(name.text, current))
            return won
          },
          names: async (call) => (await line(call, () => service.list())).filter((text) => text.startsWith(companionOf(''))).map((text) => ({ text: text.slice(companionOf('').length), place: 'created' as const })),
        },
        service.clock,
      )
    },
  })

export const openPlain = (service: PlainService, runtime: Runtime): Promise<SecretProvider> => plain(service).open({}, runtime, { kind: 'operator' })

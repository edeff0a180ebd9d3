// Compare-and-set without stages: one map per path, replaced only when its number is the one expected. Labels stand apart and are not conditional.
// Deleting the metadata wipes the path and starts its numbers anew, whoever else is writing.
import { defineProvider, type Annotation, type SecretProvider } from '../../shared/core/provider.ts'
import type { Clock, Runtime } from '../../shared/core/runtime.ts'
import { verbatimCodec } from '../../shared/core/names.ts'
import { recordProvider, type SecretState } from './record.ts'
import { calmHook, heldBy, isRefusal, lineTo, notFound, Refusal, type Hook } from './service.ts'

interface Path {
  number: number
  data: string
  metadata: Record<string, string>
}

/** The service: every method is one atomic call. `through` gives the same service behind another hook. */
export class CompareAndSetService {
  readonly clock: Clock
  hook: Hook = calmHook
  #paths = new Map<string, Path>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  through(hook: Hook): CompareAndSetService {
    const view = new CompareAndSetService(this.clock)
    view.hook = hook
    view.#paths = this.#paths
    return view
  }

  read(name: string): Promise<Path> {
    return this.hook({ call: 'read', name, changes: false }, () => structuredClone(this.#path(name)))
  }

  /** `cas: 0` creates. */
  write(name: string, data: string, cas: number | undefined): Promise<number> {
    return this.hook({ call: 'write', name, changes: true }, () => {
      const path = this.#paths.get(name)
      if (cas !== undefined && (path?.number ?? 0) !== cas) throw new Refusal('check-and-set parameter did not match')
      this.#paths.set(name, { number: (path?.number ?? 0) + 1, data, metadata: path?.metadata ?? {} })
      return (path?.number ?? 0) + 1
    })
  }

  patchMetadata(name: string, metadata: Readonly<Record<string, string | null>>): Promise<void> {
    return this.hook({ call: 'patchMetadata', name, changes: true }, () => {
      const path = this.#path(name)
      path.metadata = Object.fromEntries(Object.entries({ ...path.metadata, ...metadata }).filter((pair): pair is [string, string] => pair[1] !== null))
    })
  }

  deleteMetadata(name: string): Promise<void> {
    return this.hook({ call: 'deleteMetadata', name, changes: true }, () => void this.#paths.delete(name))
  }

  list(): Promise<readonly string[]> {
    return this.hook({ call: 'list', name: '', changes: false }, () => [...this.#paths.keys()])
  }

  /** All that it holds, or what one name holds, as text: the same text, the same state. */
  content(only?: string): string {
    return JSON.stringify(heldBy(this.#paths, only))
  }

  #path(name: string): Path {
    const path = this.#paths.get(name)
    if (path === undefined) throw new Refusal('no such path')
    return path
  }
}

const described = (change: Annotation): Record<string, string | null> => ({
  ...change.labels,
  ...(change.description === undefined ? {} : { 'shape-description': change.description }),
  ...(change.expires === undefined ? {} : { 'shape-expires': change.expires === null ? null : String(change.expires.getTime()) }),
})

export const compareAndSet = (service: CompareAndSetService) =>
  defineProvider({
    name: 'compare_and_set',
    title: 'Memory, compare-and-set without stages',
    settings: {},
    open: (_settings, io) => {
      const line = lineTo(io.clock)
      return recordProvider(
        {
          traits: {
            names: verbatimCodec(),
            settleMs: 0,
            versions: 'numbered',
            value: { maxBytes: 65_536, empty: true, bytes: 'any' },
            write: { guarantee: 'atomic', softDelete: false, labels: { travel: 'apart', pairs: 62, keyBytes: 128, valueBytes: 512, filter: false } },
          },
          load: async (name, call) => {
            const path = await line(call, () => service.read(name.text)).catch((error: unknown) => {
              if (isRefusal(error, 'no such path')) return undefined
              throw error
            })
            if (path === undefined) return undefined
            const { 'shape-description': description, 'shape-expires': expires, ...labels } = path.metadata
            const state = JSON.parse(path.data) as SecretState
            return { state: { ...state, labels, ...(description === undefined ? {} : { description }), ...(expires === undefined ? {} : { expires: Number(expires) }) }, token: String(path.number) }
          },
          commit: async (name, state, token, call) => {
            try {
              await line(call, () => service.write(name.text, JSON.stringify(state), Number(token ?? 0)))
              return true
            } catch (error) {
              if (isRefusal(error, 'check-and-set parameter did not match')) return false
              throw error
            }
          },
          idOf: (_write, loaded) => String(Number(loaded?.token ?? 0) + 1),
          annotate: async (name, change, call) => {
            await line(call, () => service.patchMetadata(name.text, described(change))).catch((error: unknown) => {
              throw isRefusal(error, 'no such path') ? notFound() : error
            })
          },
          names: async (call) => (await line(call, () => service.list())).map((text) => ({ text, place: 'created' as const })),
          remove: (name, _token, call) => line(call, () => service.deleteMetadata(name.text)),
        },
        service.clock,
      )
    },
  })

export const openCompareAndSet = (service: CompareAndSetService, runtime: Runtime): Promise<SecretProvider> => compareAndSet(service).open({}, runtime, { kind: 'operator' })

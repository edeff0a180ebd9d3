// What the oracle was answered, kept until something that the answer came from has changed: it asks the same few questions after every step of the world, and
// nearly every step changes one object. What it concludes is what it would conclude if it asked everything again.
import type { SecretProvider } from '../../../shared/core/provider.ts'
import { calmHook, type Hook } from '../../shapes/service.ts'
import { mix } from '../world/mix.ts'

/** One question, and what was answered when it was last asked. */
interface Answer {
  readonly question: string
  readonly ask: () => Promise<unknown>
  /** The objects of the service that it came from, and how often each had changed by then. */
  from: readonly (readonly [object: string, changes: number])[]
  at: number
  value?: unknown
  error?: unknown
  /** Goes up when another answer comes. */
  edition: number
}

/** What a conclusion was drawn from: it holds while all of these would be answered alike. */
export type Grounds = readonly (readonly [answer: Answer, edition: number])[]

/** How the service of a world can be told apart from what it was. */
export interface Watched {
  /** What one object of the service holds, as text; `[]` for nothing. Without it every change counts for every object, and so does time. */
  readonly held?: (object: string) => string
  /** Of which kind the service is: in all worlds of one kind, the same objects that hold the same give the same answers. Without it nothing is taken from another world. */
  readonly kind?: string
  readonly now: () => number
}

/** Stands for all objects: a list comes from every one of them. */
const everything = ''

/** What was answered in any world, by the objects that the provider looked at, one after the other: what it looks at next comes from what it has seen so far. */
interface Told {
  /** What it looks at next. */
  object?: string
  /** And what follows from what that holds. */
  readonly next: Map<string, Told>
  answer?: { readonly value: unknown; readonly error: unknown }
}

const told = new Map<string, Told>()
const mostTold = 20_000
let toldSoFar = 0

export class Remembered {
  readonly #watched: Watched
  readonly #changes = new Map<string, number>()
  /** What each object holds, in the order in which they came, and that as a number once it is asked for. */
  readonly #parts = new Map<string, { readonly text: string; hash?: number }>()
  readonly #answers = new Map<string, Answer>()
  #from = new Set<string>()
  #grounds: [Answer, number][] | undefined
  #lookedAt: number | undefined
  #hash: number | undefined

  constructor(watched: Watched) {
    this.#watched = watched
  }

  /** The oracle's own way to the service: every call is answered, and it is noted what it is about. */
  readonly hook: Hook = (step, apply) => {
    this.#from.add(this.#watched.held === undefined ? everything : step.name)
    return calmHook(step, apply)
  }

  /** Whether any of these objects, or the first look, shows something else than before. Where versions settle, time alone changes what a service shows. */
  differs(objects: Iterable<string>): boolean {
    const { held, now } = this.#watched
    let differs = this.#lookedAt === undefined || (held === undefined && this.#lookedAt !== now())
    this.#lookedAt = now()
    for (const object of objects) {
      const text = held?.(object)
      const known = this.#parts.get(object)?.text ?? '[]'
      if (text === known) continue
      differs = true
      this.#hash = undefined
      if (text === '[]') this.#parts.delete(object)
      else this.#parts.set(object, { text: text ?? String(this.#count(everything)) })
      for (const each of [object, everything]) this.#changes.set(each, this.#count(each) + 1)
    }
    return differs
  }

  /** All that the service holds, as one number. */
  get hash(): number {
    if (this.#hash !== undefined) return this.#hash
    let all = ''
    for (const part of this.#parts.values()) all += `${(part.hash ??= mix(part.text))} `
    return (this.#hash = mix(all))
  }

  /** The provider with its answers remembered. Only what an oracle asks is there. */
  through(provider: SecretProvider): SecretProvider {
    const { describe, list } = provider
    return {
      ...provider,
      read: (name, at, call) => this.#answer(`read ${at.version ?? at.stage ?? ''} ${name.text}`, () => provider.read(name, at, call)),
      ...(describe === undefined ? {} : { describe: (name, call) => this.#answer(`describe ${name.text}`, () => describe(name, call)) }),
      ...(list === undefined ? {} : { list: (query, call) => this.#answer(`list ${JSON.stringify(query)}`, () => list(query, call)) }),
    }
  }

  /** What somebody concludes, and from which answers. */
  async concluding<T>(conclude: () => Promise<T>): Promise<{ readonly concluded: T; readonly grounds: Grounds }> {
    const grounds: [Answer, number][] = []
    this.#grounds = grounds
    try {
      return { concluded: await conclude(), grounds }
    } finally {
      this.#grounds = undefined
    }
  }

  /** Whether all of that would be answered alike; what may not be is asked again, in the same order. */
  async holds(grounds: Grounds): Promise<boolean> {
    for (const [answer, edition] of grounds) {
      if (!this.#unchanged(answer)) await this.#ask(answer)
      if (answer.edition !== edition) return false
    }
    return true
  }

  /** What an object holds, or all of them, as text. */
  #text(object: string): string {
    return object === everything ? String(this.hash) : (this.#parts.get(object)?.text ?? '[]')
  }

  /** Where in what other worlds were told a question leads here, as far as it does; the objects on the way are what the answer comes from. */
  #told(question: string): Told {
    if (toldSoFar > mostTold) {
      told.clear()
      toldSoFar = 0
    }
    const key = `${this.#watched.kind} ${question}`
    let at = told.get(key)
    if (at === undefined) told.set(key, (at = { next: new Map() }))
    while (at.object !== undefined) {
      this.#from.add(at.object)
      const next = at.next.get(this.#text(at.object))
      if (next === undefined) return at
      at = next
    }
    return at
  }

  /** Keeps for other worlds what was answered here, from these objects in this order. */
  #tell(question: string, answer: NonNullable<Told['answer']>): void {
    let at = told.get(`${this.#watched.kind} ${question}`)
    if (at === undefined) return
    for (const object of this.#from) {
      at.object ??= object
      const text = this.#text(object)
      let next: Told | undefined = at.next.get(text)
      if (next === undefined) {
        at.next.set(text, (next = { next: new Map() }))
        toldSoFar += 1
      }
      at = next
    }
    at.answer = answer
  }

  #count(object: string): number {
    return this.#changes.get(object) ?? 0
  }

  #unchanged({ from, at }: Answer): boolean {
    return (this.#watched.held !== undefined || at === this.#watched.now()) && from.every(([object, changes]) => this.#count(object) === changes)
  }

  async #answer<T>(question: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#answers.get(question)
    const answer: Answer = known ?? { question, ask, from: [], at: -1, edition: 0 }
    if (known === undefined) this.#answers.set(question, answer)
    if (known === undefined || !this.#unchanged(answer)) await this.#ask(answer)
    this.#grounds?.push([answer, answer.edition])
    if (answer.error !== undefined) throw answer.error
    return answer.value as T
  }

  async #ask(answer: Answer): Promise<void> {
    this.#from = new Set()
    let value: unknown
    let error: unknown
    const other = this.#watched.kind === undefined ? undefined : this.#told(answer.question).answer
    if (other !== undefined) ({ value, error } = other)
    else {
      this.#from = new Set()
      try {
        value = await answer.ask()
      } catch (caught) {
        error = caught
      }
      if (this.#watched.kind !== undefined) this.#tell(answer.question, { value, error })
    }
    answer.from = [...this.#from].map((object) => [object, this.#count(object)] as const)
    answer.at = this.#watched.now()
    // A list comes from every object and seldom changes; the others seldom stay as they were.
    if (error === undefined && this.#from.has(everything) && answer.value !== undefined && JSON.stringify(value) === JSON.stringify(answer.value)) return
    Object.assign(answer, { value, error, edition: answer.edition + 1 })
  }
}

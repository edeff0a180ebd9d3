// What the cache holds: entries within bounds of number and bytes, given up in the order of their last use.
import { LatchkeyError } from '../errors.ts'
import type { SecretRecord } from '../secret.ts'

/** One kept answer: a value, or a confirmed absence. */
export interface Entry {
  readonly secret: string
  readonly record: SecretRecord | LatchkeyError
  readonly confirmedAt: number
  readonly freshUntil: number
  /** From when on a read refreshes beside its answer. */
  readonly softAt: number
  readonly bytes: number
  used: number
  /** After a failed refresh: do not ask before. */
  retryAt: number
  failures: number
}

const maxAbsences = 100

/** Entries by id, never more than the bounds. */
export class Entries {
  readonly #bounds: { readonly maxEntries: number; readonly maxBytes: number }
  readonly #entries = new Map<string, Entry>()
  #bytes = 0
  #absences = 0
  #uses = 0

  constructor(bounds: { readonly maxEntries: number; readonly maxBytes: number }) {
    this.#bounds = bounds
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id)
  }

  touch(entry: Entry): void {
    entry.used = this.#uses += 1
  }

  /** Keeps an entry in place of the one before, and gives up what has to go for it; one that is too large alone is not kept. */
  keep(id: string, entry: Omit<Entry, 'used' | 'retryAt' | 'failures'>): void {
    this.drop(id)
    if (entry.bytes > this.#bounds.maxBytes) return
    this.#entries.set(id, { ...entry, used: (this.#uses += 1), retryAt: 0, failures: 0 })
    this.#bytes += entry.bytes
    if (isAbsence(entry)) this.#absences += 1
    if (this.#absences > maxAbsences) this.#giveUp(isAbsence)
    while (this.#entries.size > this.#bounds.maxEntries || this.#bytes > this.#bounds.maxBytes) this.#giveUp(() => true)
  }

  drop(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#bytes -= entry.bytes
    if (isAbsence(entry)) this.#absences -= 1
    this.#entries.delete(id)
  }

  dropSecret(secret: string): void {
    for (const [id, entry] of this.#entries) if (entry.secret === secret) this.drop(id)
  }

  #giveUp(among: (entry: Entry) => boolean): void {
    let oldest: string | undefined
    let used = Infinity
    for (const [id, entry] of this.#entries) {
      if (entry.used >= used || !among(entry)) continue
      oldest = id
      used = entry.used
    }
    if (oldest !== undefined) this.drop(oldest)
  }
}

const isAbsence = (entry: Pick<Entry, 'record'>): boolean => entry.record instanceof LatchkeyError

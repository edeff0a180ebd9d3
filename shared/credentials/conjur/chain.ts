// One secret in Conjur: its main variable, which direct readers see, and the companion variable whose versions are the chain that decides. A change is a new version of the
// companion that names the one before; who finds its own version to be the first one based on that has won, and only a winner writes the main variable.
import { isCode, LatchkeyError } from '../../core/errors.ts'
import type { Call, Random } from '../../core/runtime.ts'
import type { SecretValue } from '../../core/secret.ts'
import { atStage, decodeLink, encodeLink, foldLinks, sumOf, withForeign, type Book, type Entry, type Link } from './record.ts'
import type { ConjurVariables } from './variables.ts'

/** A secret as it is now. */
export interface LoadedSecret {
  readonly book: Book
  /** The number of the companion's version that holds; 0 where there is none. */
  readonly number: number
  /** Whether the main variable holds an older value than the current one. */
  readonly lagging: boolean
}

/** Once something was sent, no later call may say that nothing was. */
const begun = <T>(rest: Promise<T>): Promise<T> =>
  rest.catch((error: unknown) => {
    throw isCode(error, 'deadline_exceeded') && error.details.applied === 'no' ? error.with({ applied: 'unknown' }) : error
  })

const recordSegment = '__latchkey/chain/'
const mirrorTries = 3

/** Which variable holds the record of a secret: below the policy branch, else below the first segment of the name. Both ways are unambiguous. */
export const companions = (branch: string): { of(id: string): string; isOne(id: string): boolean; mainOf(id: string): string } => {
  const fixed = branch === 'root' ? undefined : `${branch}/`
  const shape = /^([^/]+\/)?__latchkey\/chain\/(.+)$/
  const headOf = (id: string): string => (fixed === undefined ? (/^[^/]+\//.exec(id)?.[0] ?? '') : id.startsWith(fixed) ? fixed : '')
  return {
    of: (id) => {
      const head = headOf(id)
      return head + recordSegment + id.slice(head.length)
    },
    isOne: (id) => (fixed === undefined ? shape.test(id) : id.startsWith(fixed + recordSegment) || id.startsWith(recordSegment)),
    mainOf: (id) => id.replace(recordSegment, ''),
  }
}

/** Secrets as chains, over the calls about variables. */
export const conjurChain = (variables: ConjurVariables, companionOf: (id: string) => string, random: Random) => {
  const linkAt = async (companion: string, number: number, call: Call): Promise<{ readonly number: number; readonly link: Link | undefined } | undefined> => {
    const text = await variables.orAbsent(variables.value(companion, call, number))
    return text === undefined ? undefined : { number, link: decodeLink(text) }
  }

  /** The link that holds, read from the newest one back to one that lies directly on what its writer had folded: before that nothing has to be looked at. */
  const folded = async (companion: string, numbers: readonly number[], call: Call): Promise<{ readonly number: number; readonly link: Link } | undefined> => {
    const links: { readonly number: number; readonly link: Link }[] = []
    for (const number of numbers.toReversed()) {
      const link = (await linkAt(companion, number, call))?.link
      if (link !== undefined) links.unshift({ number, link })
      if (link?.before === number - 1) break
    }
    return foldLinks(links)
  }

  /**
   * The link that holds, given the newest one. Its text does not say under which number it stands, and the network may have delivered an old one once more: only where the newest
   * number is the one after the version that it names is it known to hold without another look.
   */
  const holding = async (companion: string, newest: SecretValue, call: Call): Promise<{ readonly number: number; readonly link: Link } | undefined> => {
    const link = decodeLink(newest)
    const numbers = await variables.numbers(companion, call)
    const number = numbers.at(-1)
    return link !== undefined && number === link.before + 1 ? { number, link } : folded(companion, numbers, call)
  }

  const seen = async (id: string, [main, record]: readonly [SecretValue | undefined, SecretValue | undefined], call: Call): Promise<LoadedSecret | undefined> => {
    const held = record === undefined ? undefined : await holding(companionOf(id), record, call)
    const sum = main === undefined ? undefined : sumOf(main)
    const current = atStage(held?.link.book, 'current')
    const known = main === undefined || held?.link.book.entries.some((entry) => entry.sum === sum) === true
    if (known) return held === undefined ? undefined : { book: held.link.book, number: held.number, lagging: current?.sum !== sum }
    return { book: withForeign(held?.link.book, await variables.numbers(id, call), main), number: held?.number ?? 0, lagging: false }
  }

  /** The main variable is asked first: whatever stands there was decided before it got there. */
  const look = (id: string, call: Call): ReturnType<ConjurVariables['pair']> => variables.pair(id, companionOf(id), call)
  const load = async (id: string, call: Call): Promise<LoadedSecret | undefined> => seen(id, await look(id, call), call)

  /** Makes the variables that are missing; what refuses it is kept for the case that they are not there afterwards either. */
  const make = (ids: readonly string[], call: Call): Promise<LatchkeyError | undefined> =>
    variables.make(ids, call).then(
      () => undefined,
      (error: unknown) => {
        if (call.signal.aborted || !(error instanceof LatchkeyError) || isCode(error, 'deadline_exceeded')) throw error
        return error
      },
    )
  const orRefusal = async (sent: Promise<void>, refused: LatchkeyError | undefined): Promise<void> => {
    await sent.catch((error: unknown) => {
      if (refused !== undefined && isCode(error, 'not_found', 'provider_denied')) throw refused
      if (isCode(error, 'not_found')) throw new LatchkeyError('conflict', 'The secret was deleted while it was being written.', { retryAfter: 1 })
      throw error
    })
  }

  /** Whether the first version based on `before` is one that we sent. @throws conflict where that one is no longer kept, because more writers met than Conjur keeps versions: its own writer may have seen it */
  const hasWon = async (companion: string, before: number, nonces: ReadonlySet<string>, call: Call): Promise<boolean> => {
    for (let number = before + 1; ; number += 1) {
      const found = await linkAt(companion, number, call)
      // Deleted meanwhile.
      if (found === undefined && ((await variables.numbers(companion, call)).at(-1) ?? 0) < number) return false
      if (found === undefined) throw new LatchkeyError('conflict', 'More writers changed this secret at once than Conjur keeps versions, so that nobody can tell whose change holds. Look at the secret before you send it again.', { retryAfter: 1 })
      if (found.link?.before === before) return nonces.has(found.link.nonce)
    }
  }

  const mirror = async (id: string, wanted: SecretValue, call: Call): Promise<void> => {
    let value = wanted
    for (let attempt = 0; attempt < mirrorTries; attempt += 1) {
      const sending = value
      await orRefusal(variables.set(id, () => sending, call), undefined)
      const after = await load(id, call)
      const current = atStage(after?.book, 'current')?.value
      if (after?.lagging !== true || current === undefined) return
      value = current
    }
  }

  return {
    load,
    /** The current value where main variable and record agree, in one call; else what the whole way finds. */
    current: async (id: string, call: Call, given?: Awaited<ReturnType<ConjurVariables['pair']>>): Promise<{ readonly book: Book; readonly entry: Entry } | undefined> => {
      const found = given ?? (await look(id, call))
      const [main, record] = found
      const book = main === undefined || record === undefined ? undefined : decodeLink(record)?.book
      const quick = atStage(book, 'current')
      if (book !== undefined && quick?.value !== undefined && main !== undefined && quick.sum === sumOf(main)) return { book, entry: quick }
      const loaded = await seen(id, found, call)
      const entry = atStage(loaded?.book, 'current')
      return loaded === undefined || entry === undefined ? undefined : { book: loaded.book, entry }
    },
    /** Makes `book` what holds, if what was loaded still does. `false`: somebody else was first, and nothing changed. @throws provider_denied where the policy or the variable refuses */
    commit: async (id: string, book: Book, loaded: LoadedSecret | undefined, call: Call): Promise<boolean> => {
      const companion = companionOf(id)
      const before = loaded?.number ?? 0
      variables.refuseOutside(id)
      const refused = before > 0 ? undefined : await make(loaded === undefined ? [id, companion] : [companion], call)
      // Conjur takes one policy at a time and lets the others wait, so many may come here long after one of them has written: whoever adds a version for nothing
      // brings the first one nearer to the end of what is kept.
      if (before === 0 && (await folded(companion, await variables.numbers(companion, call), call)) !== undefined) return false
      const nonces = new Set<string>()
      const sending = (): SecretValue => {
        const nonce = Buffer.from(random.bytes(12)).toString('base64url')
        nonces.add(nonce)
        return encodeLink({ before, nonce, book })
      }
      await orRefusal(variables.set(companion, sending, call), refused)
      return begun(hasWon(companion, before, nonces, call))
    },
    /** Sets the main variable, reads it back with the record, and sets it again where the record has moved on meanwhile. */
    mirror: (id: string, value: SecretValue, call: Call): Promise<void> => begun(mirror(id, value, call)),
    /** Sets the main variable where it lags. */
    repair: async (id: string, loaded: LoadedSecret, call: Call): Promise<void> => {
      const value = atStage(loaded.book, 'current')?.value
      if (loaded.lagging && value !== undefined) await begun(mirror(id, value, call))
    },
  }
}

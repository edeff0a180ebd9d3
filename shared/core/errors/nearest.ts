// The known name nearest to a mistyped one, for messages.
import { LatchkeyError } from '../errors.ts'

/** "did you mean …": the known name nearest to a mistyped one, or nothing if none is near. */
export const nearest = (word: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase().slice(0, 64), candidate.toLowerCase().slice(0, 64))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** The end of a message about a mistyped name: the nearest known one as a question, or nothing. Anything but text is near to nothing. */
export const didYouMean = (word: unknown, known: Iterable<string>): string => {
  const near = typeof word === 'string' ? nearest(word, known) : undefined
  return near === undefined ? '' : `; did you mean ${near}?`
}

const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The failure for a system that there is not; `path` is the setting that names it. */
export const unknownSystem = (name: string, known: readonly string[], path: string): LatchkeyError => {
  const near = nearest(name, known)
  const message = `Invalid Key Management System selected; ${near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`}`
  return new LatchkeyError('misconfigured', `${path}: ${message}.`, { issues: [{ path, message }] })
}

// Names that Latchkey creates, and the prefix below which they stand. Loaded by the first who has one of them; the names that an operator already has need none of it.
import { hostedName, isOperators, maxSegmentBytes, refuseName } from '../names.ts'
import type { SecretName } from '../secret.ts'

/** The longest name that Latchkey creates, in bytes. */
export const maxNameBytes = 200
/** How many segments such a name may have. */
export const maxSegments = 8

/** What such a segment is made of. */
const segmentPattern = /^[A-Za-z0-9_.@=-]{1,64}$/

/** What is wrong with a name that Latchkey would create, or nothing. */
const createdNameIssue = (text: string): string | undefined => {
  if (text === '') return 'must not be empty'
  if (Buffer.byteLength(text) > maxNameBytes) return `is ${Buffer.byteLength(text)} bytes long; the limit is ${maxNameBytes}`
  const segments = text.split('/')
  if (segments.length > maxSegments) return `has ${segments.length} segments; the limit is ${maxSegments}`
  for (const segment of segments) {
    if (segment === '') return 'has an empty segment; use single slashes, none at either end'
    if (segment.length > maxSegmentBytes) return `has a segment of ${segment.length} characters; the limit is ${maxSegmentBytes}`
    if (!segmentPattern.test(segment)) return 'holds a character outside A-Z a-z 0-9 _ - . @ = /'
    if (segment.startsWith('.') || segment.endsWith('.')) return 'has a segment that begins or ends with a dot'
    if (segment.startsWith('__')) return 'has a segment that begins with "__", which is reserved for Latchkey\'s own records'
  }
  return undefined
}

/** Checks a configured prefix and takes its trailing slash off. Empty is legal. @throws invalid_request */
export const parsePrefix = (text: string, path: string): string => {
  const bare = text.replace(/\/$/, '')
  if (bare === '') return ''
  const issue = createdNameIssue(bare)
  if (issue !== undefined) throw refuseName(path, issue)
  return bare
}

/** A name Latchkey creates, or a caller asks for, below the prefix. @throws invalid_request naming `path`, the limit and what is allowed. */
export const createdName = (text: string, path = 'name'): SecretName => {
  const issue = createdNameIssue(text)
  if (issue !== undefined) throw refuseName(path, issue)
  return { text, place: 'created' }
}

/** Where a name lives: hosted names win, then the prefix decides; with an empty prefix all else is created. @throws invalid_request */
export const placeName = (text: string, prefix: string, hosted: ReadonlySet<string> | undefined): SecretName =>
  isOperators(text, prefix, hosted) ? hostedName(text) : createdName(text)

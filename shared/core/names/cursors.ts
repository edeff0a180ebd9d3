// Where a list of names goes on.
import { refuseName } from '../names.ts'

/** A list's cursor: the name after which it goes on. Opaque to callers, and recognisably ours. */
export const cursorAfter = (name: string): string => Buffer.from(`after:${name}`, 'utf8').toString('base64url')

/** The inverse of {@link cursorAfter}. @throws invalid_request for a cursor that no list gave */
export const positionOf = (cursor: string): string => {
  const text = Buffer.from(cursor, 'base64url').toString('utf8')
  if (!text.startsWith('after:') || cursorAfter(text.slice(6)) !== cursor) throw refuseName('cursor', 'is not one that this list gave; begin again without it')
  return text.slice(6)
}

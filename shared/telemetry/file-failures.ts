// What this machine's file system refuses, in our own words.
import { LatchkeyError } from '../core/errors.ts'

/** What the system calls a failure. */
export const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')

const failures: Readonly<Record<string, readonly ['misconfigured' | 'provider_quota', string]>> = {
  EACCES: ['misconfigured', 'this user may not use it; give the user that runs Latchkey the right to it'],
  EPERM: ['misconfigured', 'this user may not use it; give the user that runs Latchkey the right to it'],
  EROFS: ['misconfigured', 'it lies on a read-only file system; name another place'],
  ENOTDIR: ['misconfigured', 'a part of the path is a file where a folder is needed; name another place'],
  EEXIST: ['misconfigured', 'a part of the path is a file where a folder is needed; name another place'],
  ENOENT: ['misconfigured', 'its folder cannot be made; name another place'],
  EISDIR: ['misconfigured', 'it is a folder where a file is needed'],
  ELOOP: ['misconfigured', 'its symbolic links lead nowhere'],
  ENAMETOOLONG: ['misconfigured', 'the path is too long'],
  ERR_INVALID_ARG_VALUE: ['misconfigured', 'the path holds a NUL character'],
  ENOSPC: ['provider_quota', 'the disk is full; free room on it'],
  EDQUOT: ['provider_quota', "this user's share of the disk is used up; free room on it"],
}

/** What stands where a path is expected may be a pasted token or a PEM text: only what looks like a path is shown. */
const shown = (path: string): string => (path.length <= 255 && !/\p{Cc}|^eyJ|^-----|^\s*\{/u.test(path) ? path : '(a text that is no path)')

/** A failure of the system in our own words. */
export const refused = (verb: string, path: string, error: unknown): LatchkeyError => {
  const [code, why] = failures[codeOf(error)] ?? ['misconfigured', 'the system refused it']
  return new LatchkeyError(code, `${shown(path)} cannot be ${verb}: ${why}.`)
}

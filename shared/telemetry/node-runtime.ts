// The ports of core/runtime.ts as this machine has them: the one place where the house meets its clock, randomness, environment and disk.
import { randomBytes } from 'node:crypto'
import { readFile, realpath } from 'node:fs/promises'
import type { Clock, Env, Files, Random } from '../core/runtime.ts'

const longestTimer = 2 ** 31 - 1

const after = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason as Error)
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, Math.min(Math.max(ms, 0), longestTimer))
    signal?.addEventListener('abort', stop, { once: true })
  })

/** The wall clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: after,
  until: (at, signal) => after(at - Date.now(), signal),
}

/** The randomness of the operating system. */
export const systemRandom: Random = { bytes: (count) => randomBytes(count) }

/** The environment of this process, by exact name also where the system itself does not tell cases apart. */
export const processEnv: Env = {
  get: (name) => (process.platform === 'win32' && !Object.keys(process.env).includes(name) ? undefined : process.env[name]),
  names: () => Object.keys(process.env),
}

const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException | null)?.code === 'ENOENT'

/** Words are loaded when they are needed. */
const refused = async (verb: string, path: string, error: unknown): Promise<Error> => (await import('./file-failures.ts')).refused(verb, path, error)

/** The files of this machine. */
export const nodeFiles: Files = {
  read: async (path) => {
    try {
      return await readFile(path)
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw await refused('read', path, error)
    }
  },

  realPath: async (path) => {
    try {
      return await realpath(path)
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw await refused('followed', path, error)
    }
  },

  // Only who makes a file on this machine loads what makes one.
  createPrivate: async (path, bytes) => (await import('./private-file.ts')).createPrivate(path, bytes),
}

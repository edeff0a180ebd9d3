// The ports of core/runtime.ts as this machine has them: the one place where the house meets its clock, randomness and environment; most of its disk is in node-files.ts.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
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

/** {@link Files.read} for a process that has nothing else to do yet: starting the threads on which Node reads otherwise costs a cold start 2 ms. */
export const readAtStart: Files['read'] = async (path) => {
  try {
    return readFileSync(path)
  } catch (error) {
    return (await import('./node-files.ts')).unread(path, error)
  }
}

/** The files of this machine. */
export const nodeFiles: Files = {
  read: async (path) => (await import('./node-files.ts')).moreFiles.read(path),
  realPath: async (path) => (await import('./node-files.ts')).moreFiles.realPath(path),
  createPrivate: async (path, bytes) => (await import('./node-files.ts')).moreFiles.createPrivate(path, bytes),
}

// Files that an operator names in a setting: `~` is the home of whoever runs Latchkey, and PEM text may stand in the place of a path.
import { homedir } from 'node:os'
import type { Env, ProviderIo } from '../core/runtime.ts'

/** The path with `~` opened. */
export const homePath = (path: string, env: Env): string => path.replace(/^~(?=\/|$)/, () => env.get('HOME') || homedir())

/** PEM text as it is, or the text of the file that is named; nothing when there is no such file. @throws whatever the file says when it cannot be read */
export const pemOrFile = async (given: string, { env, files }: Pick<ProviderIo, 'env' | 'files'>): Promise<string | undefined> => {
  if (given.includes('-----BEGIN')) return given
  const bytes = await files.read(homePath(given, env))
  return bytes && Buffer.from(bytes).toString('utf8')
}

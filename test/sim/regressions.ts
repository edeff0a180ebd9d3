// Schedules that once broke an invariant, or its judge: kept as scripts, in one file each, and played for ever.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { Script } from './schedule.ts'

/** What a file in `regressions/` holds. */
export interface Regression {
  /** What was wrong, as a sentence. */
  readonly says: string
  readonly script: Script
}

const scriptsOf = (folder: URL): readonly (Regression & { readonly file: string })[] =>
  (existsSync(folder) ? readdirSync(folder) : [])
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .map((file) => ({ file, ...(JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Regression) }))

/** What is mended. */
export const regressions = (): ReturnType<typeof scriptsOf> => scriptsOf(new URL('./regressions/', import.meta.url))

/** What is known and not mended; there is no folder where nothing is. Nothing tolerates it: a run that meets such a schedule fails. */
export const openScripts = (): ReturnType<typeof scriptsOf> => scriptsOf(new URL('./open/', import.meta.url))

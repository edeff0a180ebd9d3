// Schedules that once broke an invariant, or its judge: kept as scripts, in one file each, and played for ever.
import { readdirSync, readFileSync } from 'node:fs'
import type { Script } from './schedule.ts'

/** What a file in `regressions/` holds. */
export interface Regression {
  /** What was wrong, as a sentence. */
  readonly says: string
  readonly script: Script
}

const folder = new URL('./regressions/', import.meta.url)

/** All of them, by the names of their files. */
export const regressions = (): readonly (Regression & { readonly file: string })[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .map((file) => ({ file, ...(JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Regression) }))

// The folder of one function as it is deployed, but for its configuration: the bundle, what its first read loads in one file, and what its platform wants beside it.
import type { Metafile } from 'esbuild'
import { bundle, type Deployable } from './bundle.ts'
import { mergeFirstRead } from './first-read.ts'
import type { Lock } from './lockfile.ts'
import { writePlatformFiles } from './platform-files.ts'

/** How a folder is built. */
export interface FolderOptions {
  /** The systems that it will ever have. Default: all. */
  readonly only?: readonly string[] | undefined
  /** The files of the providers that its first read loads, where that is known. */
  readonly providers?: readonly string[]
  readonly lock: Lock
  readonly version: string
}

/** Builds one function into `folder`, which is emptied before. Answers what esbuild knows of the bundle as it was before its first read became one file. */
export const buildFolder = async (row: Deployable, folder: string, { only, providers = [], lock, version }: FolderOptions): Promise<Metafile> => {
  const metafile = await bundle(row, folder, only, providers)
  await mergeFirstRead(row, folder, metafile, providers)
  await writePlatformFiles(row, folder, lock, version)
  return metafile
}

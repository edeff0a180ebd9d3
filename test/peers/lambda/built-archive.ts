// What would be deployed, built once for this folder's tests, and unpacked as the platform unpacks it.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { unzipSync } from 'fflate'
import type { CloudHost } from '../../../functions/build/bundle.ts'

const root = join(import.meta.dirname, '../../..')

/** What is deployed to Lambda. */
export type LambdaEntry = 'read' | 'keys' | 'rotate'

/** Their archives, in a scratch folder. */
export interface Archives {
  bytes(entry: LambdaEntry): Buffer
  /** Unpacks one into a folder of its own. */
  unpack(entry: LambdaEntry): string
  close(): void
}

/** Builds the functions of one host and one secret manager as `npm run build` does. Answers the folder that they are in. */
export const buildFor = async (host: CloudHost, system: string): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-archives-'))
  await promisify(execFile)(process.execPath, ['functions/build.ts', '--host', host, '--only', system, '--out', folder], { cwd: root, env: { PATH: process.env['PATH'] ?? '' } })
  return folder
}

/** Builds those for AWS. */
export const buildArchives = async (): Promise<Archives> => {
  const folder = await buildFor('lambda', 'aws_secret_manager')
  const bytes = (entry: string): Buffer => readFileSync(join(folder, `lambda-${entry}.zip`))
  return {
    bytes,
    unpack: (entry) => {
      const at = mkdtempSync(join(folder, `${entry}-`))
      for (const [path, file] of Object.entries(unzipSync(bytes(entry)))) {
        mkdirSync(dirname(join(at, path)), { recursive: true })
        writeFileSync(join(at, path), file)
      }
      return at
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

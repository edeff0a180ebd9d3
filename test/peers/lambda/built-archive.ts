// The archive that would be deployed to Lambda, built once for this folder's tests, and unpacked as the platform unpacks it.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { unzipSync } from 'fflate'

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

/** Builds them as `npm run build` does, for AWS alone. */
export const buildArchives = async (): Promise<Archives> => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-archives-'))
  await promisify(execFile)(process.execPath, ['functions/build.ts', '--host', 'lambda', '--only', 'aws_secret_manager', '--out', folder], { cwd: root, env: { PATH: process.env['PATH'] ?? '' } })
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

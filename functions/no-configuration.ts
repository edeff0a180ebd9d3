// What is said where a function finds no configuration that it can read.
import { LatchkeyError } from '../shared/core/errors.ts'

/** The failure for text that is no JSON, or for none. */
export const noConfiguration = (text: string | undefined): LatchkeyError =>
  new LatchkeyError('misconfigured', text === undefined || text === '' ? 'No configuration: set LATCHKEY_CONFIG to JSON, or build with --config so that latchkey.json lies beside the bundle.' : 'The configuration is not JSON: functions take what `npm run build -- --config <file>` writes, not YAML.')

// What whoever changes keys reads of the file beside the rest: the gateway, and what its fields may hold. The function that only reads never loads this.
import type { ParseOptions } from '../shared/core/configuration.ts'
import { checkFields } from '../shared/core/configuration/gateway-fields.ts'
import { readGateway } from '../shared/core/configuration/gateway-section.ts'

/** The parser's readers of these sections; left out where only values are read. */
export type KeySections = Pick<ParseOptions, 'gateway' | 'checkFields'>

/** Both of them. */
export const keySections: KeySections = { gateway: readGateway, checkFields }

// What the README says a manager's own console shows of a key is what the vendors' clients saw in a life on the fakes. Ids and times, which are others for every key, are named.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { lives } from './lives.ts'
import { wholeLife, type SeenSecret } from './whole-life.ts'

/** What each service calls the pairs beside a value. */
const kinds: Readonly<Record<string, string>> = {
  aws_secret_manager: 'tags',
  azure_key_vault: 'tags of the newest version',
  google_secret_manager: 'annotations; what lists select by is a label as well',
  hashicorp_vault: '`custom_metadata`',
  cyberark: '`labels` in the text of the variable `litellm/__latchkey/chain/ci`',
  infisical: 'metadata',
}

const named = (text: string): string =>
  text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '‹time›').replaceAll(/\b[0-9a-f]{32}\b/g, '‹operation›').replaceAll(/\b[a-z2-7]{16}\b/g, '‹key id›').replaceAll(/\beyJ[\w-]+/g, '‹base64url of JSON›')
/** A pair by its name; those that are numbered are one. */
const pairsOf = ({ marks }: SeenSecret): ReadonlyMap<string, string> => new Map(Object.entries(marks).map(([key, text]) => [key.replace(/-\d+$/, '-‹n›'), named(text)]))
const code = (text: string): string => `\`${text}\``

const rowOf = (system: string, { inGrace, deleted }: { readonly inGrace: SeenSecret; readonly deleted: SeenSecret }, usual: ReadonlyMap<string, string>): string => {
  const first = inGrace.versions.find(({ value }) => value?.startsWith('sk-') === true && value !== inGrace.value)?.value
  const shown = inGrace.versions.map(({ says, value }) => `${says === '' ? 'no label' : says}${value === inGrace.value ? ': the token' : value === first ? ': the token before' : value === undefined ? '' : ': no token'}`)
  const more = [...pairsOf(inGrace).keys()].filter((key) => !usual.has(key))
  return `| ${code(system)} | ${code(inGrace.native)} | ${kinds[system]}${more.length === 0 ? '' : `; also ${more.map(code).join(', ')}`} | ${shown.join('<br>')} | ${code(named(deleted.value))} |`
}

it('shows of one key what the README says', { timeout: 60_000 }, async () => {
  const rows: string[] = []
  let usual: ReadonlyMap<string, string> = new Map()
  for (const [system, open] of Object.entries(lives)) {
    const sights = await wholeLife(await open())
    if (usual.size === 0) usual = pairsOf(sights.inGrace)
    rows.push(rowOf(system, sights, usual))
  }
  const pairs = [...usual].map(([key, text]) => `| ${code(key)} | ${code(text)} |`)
  const table = ['| system | its name there | the pairs | versions, while a grace runs | value after a deletion |', '| --- | --- | --- | --- | --- |', ...rows, '', '| pair | value |', '| --- | --- |', ...pairs].join('\n')

  const [, written] = /<!-- seen -->\n\n([\s\S]*?)\n\n<!-- \/seen -->/.exec(readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')) ?? []

  expect(written).toBe(table)
})

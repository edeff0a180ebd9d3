// The build's side of settled settings: holds what is written against its table, and keeps of the table what a function cannot do without.
import { readSettings, type Setting, type SettingsTable } from '../settings.ts'
import type { SettledSettings } from './settled.ts'

const isReference = (value: unknown): boolean => typeof value === 'string' && value.startsWith('os.environ/')
const isText = ({ type, values }: Setting): boolean => type === 'url' || (type === 'string' && values === undefined)

/** Nothing where something written is wrong, not known, a reference, or not yet what the table makes of it. */
export const settle = <S>(table: SettingsTable<S>, written: Readonly<Record<string, unknown>>): SettledSettings | undefined => {
  const rows = Object.entries<Setting>(table)
  const without = Object.fromEntries(rows.map(([key, { secret: _, required: __, env: ___, default: ____, ...row }]) => [key, row]))
  const { settings, issues } = readSettings<Readonly<Record<string, unknown>>>(without, written, { path: '' })
  if (issues.length > 0 || Object.entries(written).some(([key, value]) => isReference(value) || JSON.stringify(settings[key]) !== JSON.stringify(value))) return undefined
  const open = rows.filter(([key]) => !Object.hasOwn(written, key))
  const namesOf = (which: readonly (readonly [string, Setting])[]): readonly string[] => which.map(([key]) => key)
  return {
    defaults: Object.fromEntries(open.flatMap(([key, { default: standard }]) => (standard === undefined ? [] : [[key, standard]]))),
    variables: Object.fromEntries(open.flatMap(([key, row]) => (row.env === undefined || !isText(row) ? [] : [[key, row.env]]))),
    required: namesOf(open.filter(([, row]) => row.required === true)),
    urls: namesOf(open.filter(([, row]) => row.type === 'url' && row.env !== undefined)),
    secrets: namesOf(rows.filter(([, { secret, type }]) => secret === true && (type === 'string' || type === 'url'))),
    unset: open.flatMap(([, row]) => (isText(row) ? [] : (row.env ?? []))),
  }
}

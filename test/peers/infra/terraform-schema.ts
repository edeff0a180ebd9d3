// What the schema of a Terraform provider says of resources as they would be made: unknown names, missing ones, values of another type, attributes that nobody has. The schema is read from
// the generated types of the provider (`.jsii`), whose documentation says how each attribute is really called.
import { readFileSync } from 'node:fs'
import type { Made } from '../../infra/support/hcl.ts'

interface TypeRef {
  readonly primitive?: string
  readonly fqn?: string
  readonly collection?: { readonly kind: 'array' | 'map'; readonly elementtype: TypeRef }
  readonly union?: { readonly types: readonly TypeRef[] }
}
interface Property {
  readonly name: string
  readonly type: TypeRef
  readonly optional?: boolean
  readonly docs?: { readonly remarks?: string }
}
interface Type {
  readonly properties?: readonly Property[]
  readonly base?: string
}

/** The types of a provider, by their full names. */
export type Schema = Readonly<Record<string, Type>>

/** Reads one. It has 100 MB. */
export const readSchema = (path: string): Schema => (JSON.parse(readFileSync(path, 'utf8')) as { readonly types: Schema }).types

const meta = ['depends_on', 'lifecycle', 'provider']
const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
/** The attribute's own name, which the documentation links to. */
const nameOf = ({ name, docs }: Property): string => /#(\w+) /.exec(docs?.remarks ?? '')?.[1] ?? snake(name)

const pascal = (type: string): string => type.split('_').map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('')
const fullName = (type: string): string => {
  const name = pascal(type.replace(/^google_/, ''))
  return `@cdktf/provider-google.${name.charAt(0).toLowerCase()}${name.slice(1)}.${name}`
}

/** An address, as the plan writes what only a deployment knows: of any type. */
const isLater = (value: unknown): boolean => typeof value === 'string' && /\b(?:google_\w+|data\.\w+)\.\w+/.test(value)

/** A block as a list of one or more objects, or `undefined` for what is a plain value. */
const blockOf = ({ fqn, union, collection }: TypeRef): string | undefined => {
  if (fqn?.startsWith('@cdktf/') === true) return fqn
  if (collection?.kind === 'array') return blockOf(collection.elementtype)
  return union?.types.map(blockOf).find((found) => found !== undefined)
}

const fits = (type: TypeRef, value: unknown): boolean => {
  if (value === null || isLater(value) || type.primitive === 'any' || type.primitive === 'json') return true
  if (type.primitive !== undefined) return typeof value === type.primitive
  if (type.union !== undefined) return type.union.types.some((each) => fits(each, value))
  if (type.collection?.kind === 'array') return Array.isArray(value) && value.every((item) => fits(type.collection?.elementtype as TypeRef, item))
  if (type.collection?.kind === 'map') return typeof value === 'object' && !Array.isArray(value) && Object.values(value).every((item) => fits(type.collection?.elementtype as TypeRef, item))
  return false
}

const wrongIn = (schema: Schema, typeName: string, body: Readonly<Record<string, unknown>>, at: string): readonly string[] => {
  const properties = new Map((schema[typeName]?.properties ?? []).map((property) => [nameOf(property), property]))
  const missing = [...properties].filter(([name, { optional }]) => optional !== true && !(name in body)).map(([name]) => `${at} lacks ${name}`)
  const wrong = Object.entries(body).flatMap(([name, value]): readonly string[] => {
    const property = properties.get(name)
    if (property === undefined) return meta.includes(name) ? [] : [`${at} has no ${name}`]
    const block = blockOf(property.type)
    if (block === undefined) return fits(property.type, value) ? [] : [`${at}.${name} is of another type`]
    return Array.isArray(value) ? value.flatMap((item: Readonly<Record<string, unknown>>, index) => wrongIn(schema, block, item, `${at}.${name}[${index}]`)) : [`${at}.${name} must be a block`]
  })
  return [...missing, ...wrong]
}

/** What is wrong with resources by this schema. */
export const complaintsOf = (schema: Schema, made: readonly Made[]): readonly string[] => made.flatMap(({ type, address, body }) => (schema[`${fullName(type)}Config`] === undefined ? [`${address} is of no type that there is`] : wrongIn(schema, `${fullName(type)}Config`, body, address)))

/** Attributes that are spoken of and that no resource of that type has. */
export const strangersIn = (schema: Schema, values: unknown): readonly string[] =>
  [...JSON.stringify(values).replaceAll('\\"', '"').matchAll(/(?<!data\.)\b(google_\w+)\.\w+(?:\["[^"]+"\]|\[\d+\])?\.(\w+)/g)].flatMap(([address, type = '', attribute = '']) =>
    schema[fullName(type)]?.properties?.some(({ name }) => snake(name) === attribute || snake(name).replace(/_(\d)/g, '$1') === attribute) === true || attribute === 'id' ? [] : [address],
  )

// A Terraform module as Terraform would read it: variables filled in, locals and expressions worked out, `for_each`, `count` and dynamic blocks written out. What only a deployment
// knows stands as the address that says it (`google_pubsub_topic.rotation.id`). What is not declared, and functions that are not known here, are errors.
import { parse } from '@cdktf/hcl2json'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

type Json = Readonly<Record<string, unknown>>

/** A module as it is written, all of its files together. */
export interface HclModule {
  readonly variable: Readonly<Record<string, readonly [Json]>>
  readonly locals: readonly Json[]
  readonly resource: Readonly<Record<string, Readonly<Record<string, readonly [Json]>>>>
  readonly data: Readonly<Record<string, Readonly<Record<string, readonly [Json]>>>>
  readonly output: Readonly<Record<string, readonly [Json]>>
  readonly terraform: readonly Json[]
}

/** One instance of a resource, as it would be made. */
export interface Made {
  readonly type: string
  /** Such as `google_service_account.function["read"]`. */
  readonly address: string
  readonly body: Json
}

/** What would be made, and what would be told. */
export interface Plan {
  readonly made: readonly Made[]
  readonly outputs: Json
}

/** Reads every file of a module. */
export const readModule = async (folder: string): Promise<HclModule> => {
  const whole: Record<string, unknown> = { variable: {}, locals: [], resource: {}, data: {}, output: {}, terraform: [] }
  const merged = (into: unknown, from: unknown): unknown => (Array.isArray(into) ? [...(into as unknown[]), ...(from as unknown[])] : typeof into === 'object' && into !== null ? Object.fromEntries([...Object.keys(into), ...Object.keys(from as object)].map((key) => [key, Object.hasOwn(into, key) && Object.hasOwn(from as object, key) ? merged((into as Json)[key], (from as Json)[key]) : ((into as Json)[key] ?? (from as Json)[key])])) : from)
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.tf')).toSorted()) {
    for (const [kind, blocks] of Object.entries(await parse(file, readFileSync(join(folder, file), 'utf8')))) whole[kind] = merged(whole[kind], blocks)
  }
  return whole as unknown as HclModule
}

/** What a deployment will know, by its address. */
class Later {
  readonly address: string
  constructor(address: string) {
    this.address = address
  }
  toString(): string {
    return this.address
  }
}

type Names = Readonly<Record<string, unknown>>

const tokensOf = (code: string): string[] => {
  const tokens: string[] = []
  let rest = code.trim()
  while (rest !== '') {
    const text = rest.startsWith('"') ? quoted(rest) : (/^(?:\d+(?:\.\d+)?|[A-Za-z_][\w-]*|=>|==|!=|&&|\|\||<=|>=|\.\.\.|.)/s.exec(rest)?.[0] ?? '')
    tokens.push(text)
    rest = rest.slice(text.length).trimStart()
  }
  return tokens
}

/** A quoted text from its first mark to its last, with what is interpolated in between. */
const quoted = (code: string): string => {
  let depth = 0
  for (let index = 1; index < code.length; index += 1) {
    if (code[index] === '\\') index += 1
    else if (code.startsWith('${', index)) depth += 1
    else if (depth > 0 && code[index] === '}') depth -= 1
    else if (depth === 0 && code[index] === '"') return code.slice(0, index + 1)
  }
  throw new Error(`A text does not end: ${code}`)
}

/** Where the interpolation that begins at `start` ends. */
const endOf = (text: string, start: number): number => {
  let depth = 0
  for (let index = start; index < text.length; index += 1) {
    if (text[index] === '"') index += quoted(text.slice(index)).length - 1
    else if (text[index] === '{') depth += 1
    else if (text[index] === '}' && (depth -= 1) === 0) return index
  }
  throw new Error(`An interpolation does not end: ${text}`)
}

const sha = (): string => 'f'.repeat(64)
const functions: Readonly<Record<string, (...given: never[]) => unknown>> = {
  toset: (list: readonly unknown[]) => list,
  keys: (map: object) => Object.keys(map),
  values: (map: object) => Object.values(map),
  replace: (text: string, from: string, to: string) => text.replaceAll(from, to),
  jsonencode: (value: unknown) => JSON.stringify(value),
  base64encode: (text: string) => Buffer.from(text).toString('base64'),
  filesha256: sha,
  one: (list: readonly unknown[]) => list[0] ?? null,
  length: (of: object) => Object.keys(of).length,
  setproduct: (a: readonly unknown[], b: readonly unknown[]) => a.flatMap((left) => b.map((right) => [left, right])),
  setintersection: (a: readonly unknown[], b: readonly unknown[]) => a.filter((each) => b.includes(each)),
  contains: (list: readonly unknown[], value: unknown) => list.includes(value),
  alltrue: (list: readonly unknown[]) => list.every((each) => each === true),
  regex: (pattern: string, text: string) => {
    if (!new RegExp(pattern).test(text)) throw new Error('no match')
    return text
  },
}

const entriesOf = (value: unknown): readonly (readonly [unknown, unknown])[] => (Array.isArray(value) ? value.map((item: unknown) => [typeof item === 'string' ? item : value.indexOf(item), item] as const) : Object.entries(value as object))

/** What would be made with these variables. @throws for what Terraform would refuse: an undeclared name, a validation that does not hold, a missing variable */
export const plan = (module: HclModule, given: Names): Plan => {
  const variables: Record<string, unknown> = {}
  const instances = new Map<string, readonly (readonly [string | number | undefined, Names])[]>()
  const locals = Object.assign({}, ...module.locals) as Json
  const facts: Names = { 'data.google_project.here.number': '123456789' }

  /** The instances of a resource, by the names that its body may use. */
  const expanded = (type: string, name: string, of: 'resource' | 'data' = 'resource'): readonly (readonly [string | number | undefined, Names])[] => {
    const address = `${type}.${name}`
    const known = instances.get(`${of} ${address}`)
    if (known !== undefined) return known
    const [body] = module[of][type]?.[name] ?? []
    if (body === undefined) throw new Error(`${address} is not declared.`)
    const { for_each: each, count } = body
    const found: readonly (readonly [string | number | undefined, Names])[] =
      each !== undefined
        ? entriesOf(resolve(each, {})).map(([key, value]) => [String(key), { each: { key: String(key), value } }] as const)
        : count !== undefined
          ? Array.from({ length: Number(resolve(count, {})) }, (_, index) => [index, { count: { index } }] as const)
          : [[undefined, {}]]
    instances.set(`${of} ${address}`, found)
    return found
  }

  const member = (of: unknown, key: unknown): unknown => {
    if (of instanceof Later) {
      const address = `${of.address}.${String(key)}`
      return facts[address] ?? new Later(address)
    }
    if (typeof of !== 'object' || of === null || !Object.hasOwn(of, key as PropertyKey)) throw new Error(`There is no ${String(key)}.`)
    return (of as Json)[String(key)]
  }

  const indexed = (of: unknown, key: unknown): unknown => {
    if (!(of instanceof Later)) return member(of, key)
    const [type = '', name = '', ...more] = of.address.split('.')
    if (more.length === 0 && !expanded(type, name).some(([each]) => each === key)) throw new Error(`${of.address} has no instance ${JSON.stringify(key)}.`)
    return new Later(`${of.address}[${JSON.stringify(key)}]`)
  }

  const evaluate = (code: string, names: Names): unknown => {
    const tokens = tokensOf(code)
    const fail = (): never => {
      throw new Error(`This is no expression that is known here: ${code}`)
    }
    const next = (): string | undefined => tokens[0]
    const take = (wanted?: string): string => (wanted === undefined || tokens[0] === wanted ? (tokens.shift() ?? fail()) : fail())
    /** The text of an expression up to one of these marks, without working it out. */
    const upTo = (...marks: readonly string[]): string => {
      const words: string[] = []
      for (let depth = 0; depth > 0 || !marks.includes(tokens[0] ?? fail()); ) {
        const token = take()
        depth += '([{'.includes(token) ? 1 : ')]}'.includes(token) ? -1 : 0
        words.push(token)
      }
      return words.join(' ').replace(/ ?([.[\]()]) ?/g, '$1')
    }
    const loop = (close: string): unknown => {
      take('for')
      const own = [take()]
      if (tokens[0] === ',') own.push((take(','), take()))
      take('in')
      const over = entriesOf(iterated(evaluate(upTo(':'), names)))
      take(':')
      const first = upTo('=>', close)
      const second = tokens[0] === '=>' ? (take('=>'), upTo(close)) : undefined
      take(close)
      const each = over.map(([key, value]) => ({ ...names, ...(own.length === 2 ? { [own[0] as string]: key, [own[1] as string]: value } : { [own[0] as string]: value }) }))
      return second === undefined ? each.map((inner) => evaluate(first, inner)) : Object.fromEntries(each.map((inner) => [String(evaluate(first, inner)), evaluate(second, inner)]))
    }
    const iterated = (value: unknown): unknown => (value instanceof Later ? Object.fromEntries(expanded(...(value.address.split('.') as [string, string])).map(([key]) => [String(key), indexed(value, key)])) : value)
    const root = (name: string): unknown => {
      if (Object.hasOwn(names, name)) return names[name]
      if (name === 'var') return variables
      if (name === 'local') return new Proxy({}, { get: (_, key) => resolve(locals[String(key)], {}), getOwnPropertyDescriptor: (_, key) => (Object.hasOwn(locals, key) ? { configurable: true, enumerable: true } : undefined) })
      if (name === 'data') {
        take('.')
        const [type, , label] = [take(), take('.'), take()]
        expanded(type, label, 'data')
        return new Later(`data.${type}.${label}`)
      }
      if (!name.startsWith('google_')) return fail()
      take('.')
      const label = take()
      expanded(name, label)
      return new Later(`${name}.${label}`)
    }
    const primary = (): unknown => {
      const token = take()
      if (token.startsWith('"')) return template(token.slice(1, -1).replace(/\\(["\\])/g, '$1'), names)
      if (/^\d/.test(token)) return Number(token)
      if (token === '!') return primary() !== true
      if (token === '(') {
        const value = whole()
        take(')')
        return value
      }
      if ((token === '{' || token === '[') && tokens[0] === 'for') return loop(token === '{' ? '}' : ']')
      if (token === '[') return list(']')
      if (token === '{') {
        const object: Record<string, unknown> = {}
        while (tokens[0] !== '}') {
          const key = take().replaceAll('"', '')
          take('=')
          object[key] = whole()
          if (tokens[0] === ',') take(',')
        }
        take('}')
        return object
      }
      if (['true', 'false', 'null'].includes(token)) return JSON.parse(token)
      if (tokens[0] === '(') {
        take('(')
        if (token === 'can') {
          const inner = upTo(')')
          take(')')
          try {
            evaluate(inner, names)
            return true
          } catch {
            return false
          }
        }
        const apply = functions[token] ?? fail()
        return (apply as (...all: unknown[]) => unknown)(...list(')'))
      }
      return root(token)
    }
    const list = (close: string): unknown[] => {
      const items: unknown[] = []
      while (tokens[0] !== close) {
        items.push(whole())
        if (tokens[0] === ',') take(',')
      }
      take(close)
      return items
    }
    const reached = (): unknown => {
      let value = primary()
      for (;;) {
        if (tokens[0] === '.') {
          take('.')
          value = member(value, take())
        } else if (tokens[0] === '[' && tokens[1] === '*') {
          tokens.splice(0, 3)
          const key = next() === '.' ? (take('.'), take()) : undefined
          value = Object.values(iterated(value) as object).map((each) => (key === undefined ? each : member(each, key)))
        } else if (tokens[0] === '[') {
          take('[')
          value = indexed(value, whole())
          take(']')
        } else return value
      }
    }
    const binary: Readonly<Record<string, (a: unknown, b: unknown) => unknown>> = {
      '==': (a, b) => a === b,
      '!=': (a, b) => a !== b,
      '&&': (a, b) => a === true && b === true,
      '||': (a, b) => a === true || b === true,
      '*': (a, b) => Number(a) * Number(b),
      '>': (a, b) => Number(a) > Number(b),
      '>=': (a, b) => Number(a) >= Number(b),
    }
    const whole = (): unknown => {
      let value = reached()
      for (let operator = binary[tokens[0] ?? '']; operator !== undefined; operator = binary[tokens[0] ?? '']) {
        take()
        value = operator(value, reached())
      }
      if (tokens[0] !== '?') return value
      take('?')
      const chosen = whole()
      take(':')
      const other = whole()
      // Terraform wants one type of both, and of objects that is the same names.
      const shapeOf = (each: unknown): unknown => (typeof each === 'object' && each !== null && !Array.isArray(each) && !(each instanceof Later) ? Object.keys(each).toSorted().join() : undefined)
      if (shapeOf(chosen) !== shapeOf(other)) throw new Error(`The two results are of different types: ${code}`)
      return value === true ? chosen : other
    }
    const value = whole()
    return tokens.length === 0 ? value : fail()
  }

  /** Text with what is interpolated; where that is all, the value itself. */
  const template = (text: string, names: Names): unknown => {
    const parts: unknown[] = []
    let from = 0
    for (let at = text.indexOf('${'); at >= 0; at = text.indexOf('${', from)) {
      const end = endOf(text, at + 1)
      parts.push(...(at > from ? [text.slice(from, at)] : []), evaluate(text.slice(at + 2, end), names))
      from = end + 1
    }
    if (from < text.length || parts.length === 0) parts.push(text.slice(from))
    return parts.length === 1 ? parts[0] : parts.map(String).join('')
  }

  const resolve = (value: unknown, names: Names): unknown => {
    if (typeof value === 'string') return template(value, names)
    if (Array.isArray(value)) return value.map((item) => resolve(item, names))
    if (value === null || typeof value !== 'object') return value
    const { dynamic = {}, ...rest } = value as { readonly dynamic?: Readonly<Record<string, readonly [{ readonly for_each: unknown; readonly content: readonly [Json] }]>> }
    const written = Object.entries(dynamic).map(([name, [{ for_each: over, content }]]) => [name, entriesOf(resolve(over, names)).map(([key, each]) => resolve(content[0], { ...names, [name]: { key, value: each } }))] as const)
    return Object.fromEntries([...Object.entries(rest).map(([key, each]) => [key, resolve(each, names)] as const), ...written.filter(([, blocks]) => blocks.length > 0)])
  }

  const plain = (value: unknown): unknown => (value instanceof Later ? value.address : Array.isArray(value) ? value.map(plain) : typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)])) : value)

  for (const name of Object.keys(given)) if (module.variable[name] === undefined) throw new Error(`The variable ${name} is not declared.`)
  for (const [name, [{ default: usual }]] of Object.entries(module.variable)) {
    variables[name] = Object.hasOwn(given, name) ? given[name] : usual
    if (variables[name] === undefined) throw new Error(`The variable ${name} is missing.`)
  }
  for (const [name, [{ validation = [] }]] of Object.entries(module.variable)) {
    for (const { condition, error_message: message } of validation as readonly Json[]) if (resolve(condition, {}) !== true) throw new Error(`${name}: ${String(message)}`)
  }
  const made = Object.entries(module.resource).flatMap(([type, named]) =>
    Object.entries(named).flatMap(([name, [body]]) =>
      expanded(type, name).map(([key, names]): Made => {
        // What is ignored are names of attributes, and no values.
        const { lifecycle, for_each: _each, count: _count, ...rest } = body
        const address = `${type}.${name}${key === undefined ? '' : `[${JSON.stringify(key)}]`}`
        return { type, address, body: { ...(plain(resolve(rest, names)) as Json), ...(lifecycle === undefined ? {} : { lifecycle }) } }
      }),
    ),
  )
  const outputs = Object.fromEntries(Object.entries(module.output).map(([name, [{ value }]]) => [name, plain(resolve(value, {}))]))
  return { made, outputs }
}

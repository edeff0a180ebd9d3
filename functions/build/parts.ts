// What the parts of a bundle weigh, and what they may.
import type { Metafile } from 'esbuild'
import type { Deployable } from './bundle.ts'
import { entryOf, loadedWith } from './first-read.ts'

/** 1,024 bytes. */
export const kilobyte = 1_024

/** Bytes, minified: what the entry of a function that reads loads at once, and the chunks behind one `import()`. */
export const budgets: { readonly readEntry: number; readonly providers: Readonly<Record<string, number>> } = {
  readEntry: 35.5 * kilobyte,
  providers: {
    'aws-secrets-manager': 330 * kilobyte,
    // Five of it are the login by AWS's word on a function, which loads only there.
    'azure-key-vault': 486 * kilobyte,
    'google-secret-manager': 2_400 * kilobyte,
    // Google's client of Cloud KMS describes five services in one file, whichever of them is used.
    'google-kms': 2_600 * kilobyte,
  },
}

type Outputs = Metafile['outputs']

const providerOf = (outputs: Outputs, path: string): string | undefined => /^shared\/providers\/(?!registry)(.+)\.ts$/.exec(outputs[path]?.entryPoint ?? '')?.[1]

/** What one bundle weighs, and the files of the house and of vendors in each part. */
export interface Part {
  readonly name: string
  readonly bytes: number
  readonly inputs: ReadonlySet<string>
}

/**
 * The entry with what it imports, then each lazily imported provider with what our files bring beside the entry, its SDK included. What an SDK itself
 * imports lazily (single sign-on, browsers) is loaded only by who needs it, and is in no part.
 */
export const partsOf = ({ outputs }: Metafile, row: Deployable): readonly Part[] => {
  const atOnce = loadedWith(outputs, entryOf(outputs, row))
  const part = (name: string, paths: Iterable<string>): Part => {
    const list = [...paths]
    return { name, bytes: list.reduce((sum, path) => sum + (outputs[path]?.bytes ?? 0), 0), inputs: new Set(list.flatMap((path) => Object.keys(outputs[path]?.inputs ?? {}))) }
  }
  const isOurs = (path: string): boolean => Object.keys(outputs[path]?.inputs ?? {}).some((input) => input.startsWith('shared/'))
  const behind = (path: string, found = new Set<string>()): ReadonlySet<string> => {
    for (const loaded of loadedWith(outputs, path)) {
      if (found.has(loaded) || atOnce.has(loaded)) continue
      found.add(loaded)
      for (const { path: next, kind } of outputs[loaded]?.imports ?? []) if (kind === 'dynamic-import' && isOurs(loaded) && outputs[next] !== undefined) behind(next, found)
    }
    return found
  }
  const providers = Object.keys(outputs).flatMap((path) => { const name = providerOf(outputs, path); return name === undefined ? [] : [{ name, path }] })
  return [part('entry', atOnce), ...providers.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, path }) => part(name, behind(path)))]
}

/** What a bundle holds that it must not. */
export const complaints = ({ host, entry }: Deployable, parts: readonly Part[]): readonly string[] => {
  const found: string[] = []
  const of = `${host} ${entry}`
  for (const part of parts) {
    const providers = [...part.inputs].filter((input) => /^shared\/providers\/(?!registry\.ts)/.test(input) && input !== `shared/providers/${part.name}.ts`)
    if (providers.length > 0) found.push(`${of}: ${part.name} holds another provider: ${providers.join(', ')}`)
    const vendors = [...part.inputs].filter((input) => part.name === 'entry' && /node_modules\/(?!zod\/)/.test(input))
    if (vendors.length > 0) found.push(`${of}: the entry holds libraries: ${vendors.slice(0, 3).join(', ')}`)
    if (entry === 'read' && [...part.inputs].some((input) => /node_modules\/(zod|yaml)\//.test(input))) found.push(`${of}: ${part.name} holds zod or yaml`)
    const strangers = [...part.inputs].filter((input) => /^functions\/(lambda|azure|gcp|local)\//.test(input) && !input.startsWith(`functions/${host}/`))
    if (strangers.length > 0) found.push(`${of}: ${part.name} holds another host: ${strangers.join(', ')}`)
    const budget = part.name === 'entry' ? (entry === 'read' ? budgets.readEntry : Infinity) : (budgets.providers[part.name] ?? Infinity)
    if (part.bytes > budget) found.push(`${of}: ${part.name} has ${part.bytes} bytes; the budget is ${budget}`)
  }
  return found
}

// The rules of the house that a linter cannot say, each as a function of one source file, so that a planted violation can be given to it as well.

export interface Source {
  /** From the project's root, with `/`. */
  readonly path: string
  readonly text: string
}

interface Import {
  readonly from: string
  readonly kind: 'static' | 'type' | 'dynamic'
}

/** Every module a source names, and how. */
export const importsOf = ({ text }: Source): readonly Import[] => [
  ...[...text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'"]*?\s+from\s+)?'([^']+)'/gm)].map((found): Import => ({ from: found[2] ?? '', kind: found[1] === undefined ? 'static' : 'type' })),
  ...[...text.matchAll(/\bimport\(\s*'([^']+)'/g)].map((found): Import => ({ from: found[1] ?? '', kind: 'dynamic' })),
]

/** Where an import of ours leads, from the project's root; a built-in or package stays as it is. */
export const target = (path: string, from: string): string => (from.startsWith('.') ? new URL(from, `file:///${path}`).pathname.slice(1) : from)

const isOurs = (to: string): boolean => /^(shared|functions|test|infra)\//.test(to)

interface Arrow {
  /** The first that fits a file decides. */
  readonly files: RegExp
  /** What of ours such a file may import. */
  readonly ours: RegExp
  /** The packages it may import; `node:` modules are the linter's. */
  readonly packages: (found: Import) => boolean
}

const providerCore = /^shared\/(core\/(provider|secret|(?:errors|names|settings)(?:\/[\w-]+)?|failure|runtime|http-client|http\/answers)\.ts$|credentials\/)/

const arrows: readonly Arrow[] = [
  { files: /^shared\/core\//, ours: /^shared\/core\//, packages: () => false },
  { files: /^shared\/http\//, ours: /^shared\/(core|http)\//, packages: ({ from, kind }) => from === 'zod/mini' && kind !== 'type' },
  { files: /^shared\/providers\/registry\.ts$/, ours: /^shared\/(core\/|providers\/)/, packages: () => false },
  { files: /^shared\/(providers|credentials)\//, ours: providerCore, packages: ({ kind }) => kind !== 'static' },
  { files: /^shared\/gateway\//, ours: /^shared\/(core|gateway)\//, packages: () => false },
  { files: /^shared\/telemetry\//, ours: /^shared\/(core|telemetry)\//, packages: () => false },
  { files: /^shared\/latchkey\.ts$/, ours: /^shared\/(core\/|http\/|telemetry\/|providers\/registry\.ts$|virtual-keys\.ts$)/, packages: () => false },
  { files: /^shared\/secret-variables\.ts$/, ours: /^shared\/(core|credentials)\//, packages: () => false },
  { files: /^shared\/virtual-keys\.ts$/, ours: /^shared\/(core|gateway)\//, packages: () => false },
  // The worker's package is the host of an Azure function, as Lambda's runtime is of the others.
  { files: /^functions\/azure\//, ours: /^(functions\/|shared\/(core|http)\/)/, packages: ({ from }) => from === '@azure/functions' },
  // The README is printed from every table, also from the one that only stacks read.
  { files: /^functions\/docs-sections\.ts$/, ours: /^(functions\/|infra\/settings\.ts$|shared\/(core|http|providers\/registry\.ts$))/, packages: () => false },
  // Lambda does not put secrets into variables by itself.
  { files: /^functions\/lambda\//, ours: /^(functions\/|shared\/(latchkey\.ts$|secret-variables\.ts$|core\/|http\/))/, packages: () => false },
  { files: /^functions\//, ours: /^(functions\/|shared\/(latchkey\.ts$|core\/|http\/|telemetry\/|providers\/registry\.ts$))/, packages: ({ from }) => ['yaml', 'esbuild', 'fflate'].includes(from) },
  // Tables and names, the one reader of configuration files, and this machine's files and variables: no other code that runs in a function.
  {
    files: /^infra\//,
    ours: /^(infra\/|functions\/local\/config-file\.ts$|shared\/(core\/(names|settings|rotation\/settings|errors|policy|runtime|configuration)(\.ts$|\/)|providers\/registry\.ts$|telemetry\/node-runtime\.ts$))/,
    packages: ({ from }) => from === 'aws-cdk-lib' || from.startsWith('aws-cdk-lib/') || ['constructs', 'cdk-nag', 'yaml'].includes(from),
  },
]

/** Imports, dynamic ones included, that go against the arrows. */
export const againstArrows = (source: Source): readonly string[] => {
  const arrow = arrows.find(({ files }) => files.test(source.path))
  if (arrow === undefined) return []
  return importsOf(source).flatMap((found) => {
    const to = target(source.path, found.from)
    const lawful = to.startsWith('node:') || (isOurs(to) ? arrow.ours.test(to) : arrow.packages(found))
    return lawful ? [] : [`${source.path} imports ${to}`]
  })
}

/** A provider is only ever loaded lazily: the registry names none in a static import, and type imports are erased. */
export const eagerProviders = (source: Source): readonly string[] =>
  source.path.startsWith('test/')
    ? []
    : importsOf(source)
        .filter(({ from, kind }) => kind === 'static' && /^shared\/providers\/(?!registry\.ts$)/.test(target(source.path, from)))
        .map(({ from }) => `${source.path} loads ${from} before anybody asked for it`)

/** Whether functions lie in a circle: the files from which one can come back to them. Type imports are erased and make no circle. */
export const cycles = (sources: readonly Source[]): readonly string[] => {
  const edges = new Map(sources.map((source) => [source.path, importsOf(source).filter(({ kind }) => kind === 'static').map(({ from }) => target(source.path, from))]))
  const reaches = (from: string, goal: string, seen = new Set<string>()): boolean =>
    (edges.get(from) ?? []).some((next) => next === goal || (!seen.has(next) && reaches(next, goal, seen.add(next))))
  return [...edges.keys()].filter((path) => reaches(path, path))
}

const bare = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, '$1')

/** Clocks, randomness and timers that are not a port. */
export const hiddenInputs = (source: Source): readonly string[] => {
  if (!/^shared\/(core|providers|credentials|http|gateway)\//.test(source.path)) return []
  const forbidden = /\bnew Date\(\)|\bDate\.now\b|\bMath\.random\b|\bperformance\.now\b|\brandom(?:UUID|Int|FillSync)\b|\bset(?:Timeout|Interval|Immediate)\b|\bprocess\.(?:env|hrtime|argv|cwd)\b|\bglobalThis\b/g
  const found = [...bare(source.text).matchAll(forbidden)].map(([what]) => `${source.path} uses ${what}`)
  const pepper = source.path === 'shared/core/secret.ts'
  return [...found, ...(/\brandomBytes\b/.test(bare(source.text)) && !pepper ? [`${source.path} uses randomBytes`] : [])]
}

/** Files that take a network module past the linter, by process.getBuiltinModule. */
export const takesNetwork = (source: Source): boolean => /getBuiltinModule\(\s*'(?:node:)?(?:https?|http2|net|tls|dns|dgram)'/.test(bare(source.text))

/** Files in which a secret's text or bytes leave their wrapper. `random.bytes(n)` takes a count and is another thing. */
export const opensSecrets = (source: Source): boolean => /\.(?:reveal|bytes)\(\)/.test(bare(source.text))

/** The file's opening comment, and a doc comment on every export. */
export const unexplained = (source: Source): readonly string[] => {
  const lines = source.text.split('\n')
  const start = lines[0]?.startsWith('#!') === true ? 1 : 0
  let header = 0
  while (lines[start + header]?.startsWith('//') === true) header += 1
  const naked = lines.flatMap((line, index) => {
    const before = lines[index - 1] ?? ''
    const exported = /^export (?:declare )?(?:const|class|interface|type|function|async function) (\w+)/.exec(line)?.[1]
    return exported === undefined || before.endsWith('*/') ? [] : [exported]
  })
  return [...(header < 1 || header > 4 ? [`${source.path} opens with ${header} comment lines; one to four say what it is`] : []), ...naked.map((name) => `${source.path}: ${name} has no doc comment`)]
}

const linesAllowed = (path: string): number => {
  if (path === 'shared/providers/aws-secrets-manager.ts') return 400
  if (path.startsWith('shared/providers/')) return 250
  if (path.startsWith('shared/core/')) return 200
  // What reads a cloud's events is a parser, no adapter.
  if (/^functions\/(?:lambda|azure|gcp)\/events\.ts$/.test(path)) return 150
  if (/^functions\/(?:lambda|azure|gcp)\/|^functions\/local\/node-http\.ts$/.test(path)) return 40
  return path.startsWith('test/') ? 400 : 250
}

/** Files that are longer than their kind may be. */
export const tooLong = ({ path, text }: Source): readonly string[] => {
  const lines = text.split('\n').length - 1
  return lines > linesAllowed(path) ? [`${path} has ${lines} lines; its kind may have ${linesAllowed(path)}`] : []
}

/** Names that say nothing. */
export const saysNothing = (path: string): boolean => /(?:^|\/)(?:utils?|helpers?|common|index|types|base|misc|shared)\.[cm]?ts$/.test(path)

/** What the rules must never know of: a package's name in core, even in a comment. */
export const namesLibraries = (source: Source): readonly string[] =>
  source.path.startsWith('shared/core/') ? [...source.text.matchAll(/@aws-sdk|@smithy|@azure\/|@google-cloud|\bzod\b|\bundici\b|\besbuild\b|\bvitest\b/g)].map(([what]) => `${source.path} names ${what}`) : []

/** Tests that are left out, alone, or replaced by a double of our own code. */
export const bentTests = (source: Source): readonly string[] =>
  source.path.endsWith('.test.ts') ? [...bare(source.text).matchAll(/\b(?:it|test|describe|suite)\.(?:only|skip|todo|fails|skipIf|runIf)\b|\bvi\.(?:mock|spyOn|fn|stubGlobal|useFakeTimers)\b|\btoMatch(?:Inline)?Snapshot\b/g)].map(([what]) => `${source.path} uses ${what}`) : []

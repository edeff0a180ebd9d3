// The reference: a whole provider, kept in this process. Read it to learn what a provider must do; the exam is its proof.
// Every method is one synchronous step after its first line, so nothing can come between a condition and the change it guards.
import { asLatchkeyError, LatchkeyError } from '../core/errors.ts'
import { verbatimCodec } from '../core/names.ts'
import { cursorAfter, positionOf } from '../core/names/cursors.ts'
import { defineProvider, type Annotation, type SecretProvider } from '../core/provider.ts'
import { checkCall, type Call, type Clock } from '../core/runtime.ts'
import type { SecretFacts, SecretName, SecretValue, Stage, Version } from '../core/secret.ts'

interface HeldVersion extends Omit<Version, 'stages' | 'enabled'> {
  readonly value: SecretValue
  enabled: boolean
}

interface HeldSecret {
  readonly name: SecretName
  readonly created: Date
  readonly versions: HeldVersion[]
  /** A stage is on one version or on none. */
  readonly stages: Map<Stage, string>
  said: Pick<SecretFacts, 'labels' | 'description' | 'expires'>
  /** Goes up with every change of anything. */
  etag: number
  recoverableUntil?: Date
}

interface Space {
  readonly secrets: Map<string, HeldSecret>
  /** Version ids are never used again, not even after a secret was deleted for good. */
  versionsMade: number
}

interface MemorySettings {
  readonly space?: string
  readonly recovery_window_seconds: number
}

const spaces = new Map<string, Space>()
const spaceNamed = (name: string | undefined): Space => {
  const space = (name === undefined ? undefined : spaces.get(name)) ?? { secrets: new Map(), versionsMade: 0 }
  if (name !== undefined) spaces.set(name, space)
  return space
}

const maxBytes = 65_536
const codec = verbatimCodec()

const absent = (name: SecretName, what = 'secret'): LatchkeyError => new LatchkeyError('not_found', `There is no such ${what}: ${name.text}.`)
const moved = (name: SecretName): LatchkeyError => new LatchkeyError('conflict', `${name.text} has another current version than the one named.`, { hint: 'Read it again and decide again.' })
const softDeleted = (name: SecretName, until: Date): LatchkeyError =>
  new LatchkeyError('soft_deleted', `${name.text} is deleted and can be recovered until ${until.toISOString()}.`, { recoverableUntil: until })

const versionOf = (secret: HeldSecret, { value: _, ...version }: HeldVersion): Version => ({
  ...version,
  stages: [...secret.stages].filter(([, id]) => id === version.id).map(([stage]) => stage),
})

const factsOf = (secret: HeldSecret): SecretFacts => {
  const { name, created, recoverableUntil, said } = secret
  const versions = secret.versions.map((version) => versionOf(secret, version))
  const current = versions.find((version) => version.stages.includes('current'))
  const state = recoverableUntil !== undefined ? { recoverableUntil } : current !== undefined ? { current } : {}
  return { name, nativeName: codec.encode(name), created, versions, etag: String(secret.etag), ...said, ...state }
}

/** What a request says beside the value, over what was said before; `null` takes a thing back. */
const say = (secret: HeldSecret, { labels, description, expires }: Omit<Annotation, 'etag'>): void => {
  const merged = Object.entries({ ...secret.said.labels, ...labels }).filter((pair): pair is [string, string] => pair[1] !== null)
  const { expires: old, ...rest } = { ...secret.said, labels: Object.fromEntries(merged), ...(description !== undefined && { description }) }
  const ends = expires === undefined ? old : expires
  secret.said = ends === undefined || ends === null ? rest : { ...rest, expires: ends }
}

const setCurrent = (secret: HeldSecret, id: string): void => {
  const old = secret.stages.get('current')
  if (secret.stages.get('pending') === id) secret.stages.delete('pending')
  if (old !== undefined && old !== id) secret.stages.set('previous', old)
  secret.stages.set('current', id)
}

const connect = (space: Space, windowMs: number, clock: Clock): Omit<SecretProvider, 'traits'> => {
  /** The secret of that name, soft-deleted or not, or nothing. A deletion whose time is over is final. */
  const find = (name: SecretName): HeldSecret | undefined => {
    const key = codec.encode(name)
    const secret = space.secrets.get(key)
    if (secret?.recoverableUntil === undefined || secret.recoverableUntil.getTime() > clock.now()) return secret
    space.secrets.delete(key)
    return undefined
  }

  const held = (name: SecretName, call: Call): HeldSecret => {
    checkCall(call, clock)
    const secret = find(name)
    if (secret === undefined) throw absent(name)
    return secret
  }

  const live = (name: SecretName, call: Call): HeldSecret => {
    const secret = held(name, call)
    if (secret.recoverableUntil !== undefined) throw softDeleted(name, secret.recoverableUntil)
    return secret
  }

  const read: SecretProvider['read'] = async (name, at, call) => {
    const secret = held(name, call)
    if (secret.recoverableUntil !== undefined) throw absent(name)
    const id = at.version ?? secret.stages.get(at.stage ?? 'current')
    const version = secret.versions.find((candidate) => candidate.id === id)
    if (version === undefined) throw absent(name, at.version === undefined ? `${at.stage ?? 'current'} version of the secret` : 'version of the secret')
    if (!version.enabled) throw new LatchkeyError('version_disabled', `The version asked for of ${name.text} is disabled.`)
    return { name, value: version.value, version: versionOf(secret, version), ...(secret.said.expires !== undefined && { expires: secret.said.expires }) }
  }

  return {
    read,
    check: async () => [{ ok: true, subject: 'memory', message: 'Secrets are kept in this process and end with it.' }],
    describe: async (name, call) => factsOf(held(name, call)),

    readMany: async (names, call) => {
      checkCall(call, clock)
      return Promise.all(names.map((name) => read(name, {}, call).catch(asLatchkeyError)))
    },

    list: async ({ prefix, label, cursor, limit }, call) => {
      checkCall(call, clock)
      const after = cursor === undefined ? '' : positionOf(cursor)
      const found = [...space.secrets.values()]
        .filter(({ name, said, recoverableUntil }) => recoverableUntil === undefined && name.text.startsWith(prefix) && name.text > after && (label === undefined || said.labels[label[0]] === label[1]))
        .sort((a, b) => (a.name.text < b.name.text ? -1 : 1))
      const items = found.slice(0, limit).map(factsOf)
      const last = items.at(-1)
      return last !== undefined && found.length > items.length ? { items, cursor: cursorAfter(last.name.text) } : { items }
    },

    write: async (request, call) => {
      checkCall(call, clock)
      const { name, value, expect, operation, stage, epoch, before } = request
      if (value.byteLength > maxBytes) throw new LatchkeyError('too_large', `value: is ${value.byteLength} bytes long; the limit is ${maxBytes}.`, { param: 'value' })
      const there = find(name)
      if (there?.recoverableUntil !== undefined) throw softDeleted(name, there.recoverableUntil)
      const mine = there?.versions.find((version) => version.operation === operation)
      if (there !== undefined && mine !== undefined) return { outcome: 'same_operation', version: versionOf(there, mine) }
      if (there !== undefined && expect === 'absent') throw new LatchkeyError('already_exists', `There is a secret of that name already: ${name.text}.`)
      if (there === undefined && (stage === 'pending' || typeof expect === 'object')) throw absent(name)
      if (typeof expect === 'object' && there?.stages.get('current') !== expect.version) throw moved(name)
      if (stage === 'pending' && there?.stages.has('pending') === true) throw new LatchkeyError('conflict', `Another operation on ${name.text} is in progress.`, { hint: 'Wait for it to end, then try again.' })

      const secret: HeldSecret = there ?? { name, created: new Date(clock.now()), versions: [], stages: new Map(), said: { labels: {} }, etag: 0 }
      const basis = { ...(epoch !== undefined && { epoch }), ...(before !== undefined && { before }) }
      space.versionsMade += 1
      secret.etag += 1
      const version: HeldVersion = { id: String(space.versionsMade), value, operation, created: new Date(clock.now()), enabled: true, ...basis }
      secret.versions.push(version)
      if (stage === 'pending') secret.stages.set('pending', version.id)
      else {
        setCurrent(secret, version.id)
        say(secret, request)
      }
      space.secrets.set(codec.encode(name), secret)
      return { outcome: 'written', version: versionOf(secret, version) }
    },

    promote: async (name, { to, from }, call) => {
      const secret = live(name, call)
      if (secret.stages.get('current') === to) return
      if (!secret.versions.some((version) => version.id === to)) throw absent(name, 'version of the secret')
      if (secret.stages.get('current') !== from || secret.stages.get('pending') !== to) throw moved(name)
      setCurrent(secret, to)
      secret.etag += 1
    },

    annotate: async (name, { etag, ...change }, call) => {
      const secret = live(name, call)
      if (etag !== undefined && etag !== String(secret.etag)) throw new LatchkeyError('conflict', `${name.text} was changed since it was read.`, { hint: 'Read it again and decide again.' })
      say(secret, change)
      secret.etag += 1
    },

    discard: async (name, version, call) => {
      const secret = live(name, call)
      if (secret.stages.get('current') === version) throw new LatchkeyError('conflict', `That version of ${name.text} is current; only others can be discarded.`)
      const stage = [...secret.stages.keys()].find((key) => secret.stages.get(key) === version)
      if (stage !== undefined && secret.stages.delete(stage)) secret.etag += 1
    },

    setEnabled: async (name, version, enabled, call) => {
      const secret = live(name, call)
      const found = secret.versions.find((candidate) => candidate.id === version)
      if (found === undefined) throw absent(name, 'version of the secret')
      found.enabled = enabled
      secret.etag += 1
    },

    remove: async (name, { expect, final }, call) => {
      const secret = held(name, call)
      if (secret.recoverableUntil !== undefined && !final) throw absent(name)
      if (typeof expect === 'object' && secret.stages.get('current') !== expect.version) throw moved(name)
      if (final || windowMs === 0) {
        space.secrets.delete(codec.encode(name))
        return {}
      }
      secret.recoverableUntil = new Date(clock.now() + windowMs)
      secret.etag += 1
      return { recoverableUntil: secret.recoverableUntil }
    },

    ...(windowMs > 0 && {
      recover: async (name: SecretName, call: Call) => {
        const secret = held(name, call)
        delete secret.recoverableUntil
        secret.etag += 1
      },
    }),
  }
}

/** A service that lives in this process: staged versions, labels, etags, soft delete. Two opens share nothing unless they name the same `space`. */
export const memory = defineProvider<MemorySettings>({
  name: 'memory',
  title: 'this process',
  settings: {
    space: { type: 'string', text: 'Stores that name the same space see the same secrets. Default: a space of its own.' },
    recovery_window_seconds: { type: 'integer', default: 604_800, min: 0, max: 7_776_000, text: 'How long a deleted secret can be recovered; 0 deletes for good at once.' },
  },
  open: (settings, io) => {
    const windowMs = settings.recovery_window_seconds * 1000
    return {
      ...connect(spaceNamed(settings.space), windowMs, io.clock),
      traits: {
        names: codec,
        settleMs: 0,
        versions: 'numbered',
        value: { maxBytes, empty: true, bytes: 'any' },
        write: { guarantee: 'atomic', softDelete: windowMs > 0, labels: { travel: 'always', pairs: 50, keyBytes: 128, valueBytes: 256, filter: true } },
      },
    }
  },
})

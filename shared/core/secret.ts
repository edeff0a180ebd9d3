// What is asked for (SecretRef), what comes back (SecretRecord, SecretFacts) and the one type that carries a value.
// SecretValue is a class, not a plain object: only private fields survive printing, cloning and enumeration without showing anything.
import { hash, timingSafeEqual } from 'node:crypto'

/**
 * The bytes of a secret. Printing, templates, JSON, inspection and cloning give `[secret]` or nothing, never the bytes.
 * Text leaves only through {@link SecretValue.reveal}, bytes only through {@link SecretValue.bytes}; a test holds the list of files that may call them.
 */
export class SecretValue {
  readonly #bytes: Uint8Array

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    Object.freeze(this)
  }

  /** Wraps text, as UTF-8. A lone surrogate has no UTF-8 form, so it is refused instead of being replaced. */
  static of(text: string): SecretValue {
    if (!text.isWellFormed()) throw new TypeError('a secret value must be well-formed Unicode')
    return new SecretValue(Buffer.from(text, 'utf8'))
  }

  /** Wraps a copy of bytes that need not be text. */
  static ofBytes(bytes: Uint8Array): SecretValue {
    return new SecretValue(Uint8Array.from(bytes))
  }

  get byteLength(): number {
    return this.#bytes.byteLength
  }

  /** Whether the bytes are UTF-8 text; only then {@link SecretValue.reveal} answers. */
  get isText(): boolean {
    try {
      this.reveal()
      return true
    } catch {
      return false
    }
  }

  /** The text, exactly, byte order mark included. @throws TypeError when the bytes are not UTF-8. */
  reveal(): string {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#bytes)
  }

  /** What the text means where a boolean is asked for: `true` and `false` in any case, with white space around; nothing for any other value. Nothing else ever turns a value into a boolean. */
  asBoolean(): boolean | undefined {
    const text = this.isText ? this.reveal().trim().toLowerCase() : ''
    return text === 'true' || text === 'false' ? text === 'true' : undefined
  }

  /** A copy of the bytes. */
  bytes(): Buffer {
    return Buffer.from(this.#bytes)
  }

  /** Compares in constant time, whatever the lengths: digests of one length are compared, not the bytes. */
  equals(other: SecretValue): boolean {
    return timingSafeEqual(hash('sha256', this.#bytes, 'buffer'), hash('sha256', other.#bytes, 'buffer'))
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [Symbol.toPrimitive](): string {
    return '[secret]'
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]'
  }
}

/**
 * The name of a secret inside one store. Only `core/names` builds it.
 * `created`: below the virtual-key prefix or otherwise Latchkey's, encoded where the service needs it; `hosted`: the operator's own, verbatim;
 * `native`: a full resource name from configuration (an ARN).
 */
export interface SecretName {
  readonly text: string
  readonly place: 'created' | 'hosted' | 'native'
}

/** A movable mark on a version. A stage is on one version, or on none. */
export type Stage = 'current' | 'previous' | 'pending'

/** Which secret is meant: a route's name and query, `os.environ/NAME`, or `secret://<store>/<name>?version=&property=`. */
export interface SecretRef {
  readonly store?: string
  readonly name: string
  readonly version?: string
  readonly stage?: Stage
  /** A top-level key of a JSON secret; a JSON pointer if it begins with `/`. */
  readonly property?: string
}

/** One immutable value of a secret. `operation`, `epoch` and `before` are there where Latchkey wrote the version and the service kept them. */
export interface Version {
  readonly id: string
  readonly stages: readonly Stage[]
  readonly enabled: boolean
  readonly created?: Date
  readonly operation?: string
  readonly epoch?: number
  /** The id of the version that this one was based on. */
  readonly before?: string
}

/** What one read answered: nothing that the answer itself did not say. */
export interface SecretRecord {
  readonly name: SecretName
  readonly value: SecretValue
  readonly version?: Version
  readonly expires?: Date
  readonly nextRotation?: Date
}

/** What is known of a secret without its value; works under `write_only`. */
export interface SecretFacts {
  readonly name: SecretName
  /** The name as the service holds it; shown only to callers with `ops:read` or `secrets:list`. */
  readonly nativeName: string
  readonly current?: Version
  /** In settled order, oldest first. Absent in list answers of services that would need a call for each secret. */
  readonly versions?: readonly Version[]
  readonly labels: Readonly<Record<string, string>>
  readonly etag?: string
  readonly description?: string
  readonly created?: Date
  readonly expires?: Date
  readonly nextRotation?: Date
  readonly recoverableUntil?: Date
}

// The log: one JSON line an event, under pino's field names, so that every tool that reads pino reads us. Where lines go is the host's business.
import type { Clock, LogLevel, LogPort } from '../core/runtime.ts'

/** pino's numbers. */
export const levelNumbers: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50 }

/** What the log needs of its host. */
export interface LogOptions {
  readonly clock: Clock
  /** Takes one line without its line end; must write it before it returns. */
  readonly write: (line: string) => void
  /** Lines below it are dropped. Default: info. */
  readonly level?: LogLevel
  /** Facts that every line carries, such as the function's name. */
  readonly base?: Readonly<Record<string, string | number | boolean>>
}

/** Makes the log. A line that cannot be written is lost: a log never fails a request (an audit line does). */
export const createLog = (options: LogOptions): LogPort => {
  const least = levelNumbers[options.level ?? 'info']
  return {
    log: (level, message, fields = {}) => {
      if (levelNumbers[level] < least) return
      try {
        const own = { level: levelNumbers[level], time: options.clock.now(), msg: message }
        options.write(JSON.stringify({ ...own, ...fields, ...options.base, ...own }))
      } catch {
        // Nowhere is left to say it.
      }
    },
  }
}

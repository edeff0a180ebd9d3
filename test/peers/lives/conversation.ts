// A client in Python that stays: one question a line, one answer a line. Its libraries take a second to load, and a life is looked at a dozen times.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { LifeReader, SeenSecret } from '../../lives/whole-life.ts'
import { clientEnv } from '../python-peers.ts'

const loop = `
for line in sys.stdin:
    act, *given = json.loads(line)
    try: print(json.dumps({'answer': {'see': see, 'write': write}[act](*given)}), flush=True)
    except Exception as error: print(json.dumps({'error': type(error).__name__ + ': ' + str(error)}), flush=True)`

/** A reader that is a Python program, which defines `see(name)` and `write(name, value)`; `args` are its own. Closing it ends the program. */
export const readerIn = (python: string, url: string, program: string, args: readonly string[] = []): LifeReader & { close(): Promise<void> } => {
  const child = spawn(python, ['-c', `import json, sys\n${program}${loop}`, ...args], { env: clientEnv(url), stdio: ['pipe', 'pipe', 'ignore'] })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ask = async (...question: readonly string[]): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(question)}\n`)
    const { value = '{"error":"the client ended"}' } = (await lines.next()) as { value?: string }
    const { answer, error } = JSON.parse(value) as { answer?: unknown; error?: string }
    if (error !== undefined) throw new Error(error)
    return answer
  }
  return {
    see: async (name) => (await ask('see', name)) as SeenSecret,
    foreignWrite: async (name, value) => void (await ask('write', name, value)),
    close: () => {
      child.stdin.end()
      return ended
    },
  }
}

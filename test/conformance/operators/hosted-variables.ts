// What the harnesses of both KMS share: variables of an environment in memory, names that an operator hosts, and a reading list that holds every one of them.
// The exam also asks for names near a hosted one; they are open as well, so that what it finds is an absence and no fence.
import { hostedName } from '../../../shared/core/names.ts'
import type { SecretName } from '../../../shared/core/secret.ts'
import { envOf, testRuntime, type TestRuntime } from '../../support/runtime.ts'
import { faultKinds, nonsenseKinds, type ExamProvider, type Harness } from '../harness.ts'

/** Every name that the exam asks for is one that the operator opened. */
export const readable: string[] = []

/** The name of a variable for a label of the exam. */
export const variableName = (label: string): SecretName => {
  const name = hostedName(label.toUpperCase().replaceAll('-', '_'))
  readable.push(name.text, name.text.toLowerCase(), name.text.slice(0, -1), `${name.text}x`)
  return name
}

/** A test's runtime whose environment is the object given, as it is at each look. */
export const runtimeOver = (variables: Readonly<Record<string, string>>, given: Parameters<typeof testRuntime>[0] = {}): TestRuntime => ({ ...testRuntime(given), env: envOf(variables) })

/** What every harness over such variables says of itself. */
export const overVariables = { mustHave: ['describe', 'readMany', 'list', 'close'], name: variableName } as const satisfies Partial<Harness>

/** And on a fake: only what is decrypted takes a call, so that a fault can strike it. */
export const overVariablesOnFake = { ...overVariables, faults: faultKinds, nonsense: nonsenseKinds, answersItself: ['describe', 'list', 'read-missing'] } as const satisfies Partial<Harness>

/** Puts a secret there: what the operator encrypted, in a variable that may be read. */
export const seedIn =
  (variables: Record<string, string>, encrypt: (name: SecretName, value: string | Uint8Array) => string | Promise<string>): NonNullable<ExamProvider['seed']> =>
  async (name, value) => {
    readable.push(name.text)
    variables[name.text] = await encrypt(name, value)
  }

// Denied, absent, throttled and unreachable are four different answers, for every provider that talks to a service: one table, and none forgotten.
import { describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { registry } from '../../shared/providers/registry.ts'
import { Exam } from './exam.ts'
import type { Harness } from './harness.ts'
import { awsKmsHarness } from './harnesses/aws-kms.ts'
import { awsHarness } from './harnesses/aws-secrets-manager.ts'
import { azureHarness } from './harnesses/azure-key-vault.ts'
import { cyberarkHarness } from './harnesses/cyberark.ts'
import { googleKmsHarness } from './harnesses/google-kms.ts'
import { googleSecretManagerHarness } from './harnesses/google-secret-manager.ts'
import { vaultHarness } from './harnesses/hashicorp-vault.ts'
import { infisicalHarness } from './harnesses/infisical.ts'

const services: Readonly<Record<string, Harness>> = {
  aws_secret_manager: awsHarness(),
  aws_kms: awsKmsHarness,
  azure_key_vault: azureHarness,
  google_secret_manager: googleSecretManagerHarness,
  google_kms: googleKmsHarness,
  hashicorp_vault: vaultHarness,
  cyberark: cyberarkHarness(),
  infisical: infisicalHarness,
}
const withoutService: Readonly<Record<string, string>> = {
  memory: 'is kept in this process',
  environment: 'is the process itself',
  embedded: 'is a file of this machine',
  custom: 'talks to whatever its own module talks to',
}

interface Answer {
  readonly code: string
  readonly message: string
}

const answers = async (harness: Harness): Promise<Readonly<Record<string, Answer>>> => {
  const ask = async (prepare: (exam: Exam) => Promise<void>, there: boolean): Promise<Answer> => {
    const exam = new Exam(await harness.open(), harness)
    try {
      const name = exam.name('asked')
      if (there) await exam.put(name, exam.value())
      await prepare(exam)
      return await exam.provider.read(name, {}, exam.call()).then(
        () => ({ code: 'a value', message: '' }),
        (error: unknown) => (error instanceof LatchkeyError ? { code: error.code, message: error.message.replaceAll(name.text, 'NAME') } : { code: String(error), message: '' }),
      )
    } finally {
      await exam.close()
    }
  }
  return {
    denied: await ask((exam) => exam.break({ kind: 'denied' }), true),
    absent: await ask(async () => undefined, false),
    throttled: await ask((exam) => exam.break({ kind: 'throttled' }), true),
    unreachable: await ask((exam) => exam.break({ kind: 'reset' }), true),
  }
}

describe('denied, absent, throttled and unreachable', () => {
  it('are asked of every provider that talks to a service', () => {
    expect([...Object.keys(services), ...Object.keys(withoutService)].filter((name) => name in registry || name !== 'custom').toSorted()).toEqual(Object.keys(registry).toSorted())
  })

  it.each(Object.entries(services))('are four different answers of %s', async (name, harness) => {
    const given = await answers(harness)

    const codes = Object.fromEntries(Object.entries(given).map(([what, { code }]) => [what, code]))
    expect({ [name]: codes }).toEqual({ [name]: { denied: 'provider_denied', absent: 'not_found', throttled: 'provider_throttled', unreachable: 'provider_unavailable' } })
    expect(new Set(Object.values(given).map(({ message }) => message)).size).toBe(4)
  })

  it('are printed for people', ({ task }) => {
    task.meta.report = `four different answers (denied, absent, throttled, unreachable): ${Object.keys(services).join(', ')}; no service: ${Object.entries(withoutService).map(([name, why]) => `${name} (${why})`).join(', ')}`

    expect(Object.keys(services).length).toBeGreaterThanOrEqual(8)
  })
})

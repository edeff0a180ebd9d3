// AWS's peers under the exam's harness: one server for all cases, so the exam's own names keep them apart. Nothing can be broken on purpose here.
import { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { awsCapabilities, openAws } from '../conformance/harnesses/aws-secrets-manager.ts'
import { passOn, type Deviation, type Harness } from '../conformance/harness.ts'
import { onTarget, runByOthers } from '../conformance/opened.ts'
import { testRuntime } from '../support/runtime.ts'

/** The credentials that both peers take for their root. */
export const peerSettings = (url: string): Record<string, unknown> => ({ aws_secretsmanager_endpoint: url, aws_access_key_id: 'test', aws_secret_access_key: 'test' })

/** The provider on a peer that runs at `url`. */
export const awsPeerHarness = (url: string, deviations: readonly Deviation[]): Harness => ({
  ...runByOthers,
  mustHave: awsCapabilities,
  deviations,
  open: async () => {
    const runtime = testRuntime({ now: Date.now() })
    const operator = new SecretsManager({ region: 'us-east-1', endpoint: url, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
    const settings = peerSettings(url)
    const exam = await onTarget({ url, settings }, runtime, () => openAws(runtime, settings))
    return {
      ...exam,
      pass: passOn(runtime.clock),
      seed: async (name, value) => {
        const body = typeof value === 'string' ? { SecretString: value } : { SecretBinary: value }
        await operator.createSecret({ Name: name.text, ...body }).catch(() => operator.putSecretValue({ SecretId: name.text, ...body }))
      },
      close: async () => {
        await exam.close()
        operator.destroy()
      },
    }
  },
})

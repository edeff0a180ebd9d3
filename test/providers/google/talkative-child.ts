// A process whose environment tells Google's client to print every request: it writes and lists, and prints what the operator of the test asked for, nothing else.
import { openGoogleSecrets } from '../../conformance/harnesses/google-secret-manager.ts'
import { startGoogleFake } from '../../fakes/google/secret-manager.ts'
import { createdName } from '../../../shared/core/names/created.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'

const runtime = testRuntime({ hurries: true })
const fake = await startGoogleFake({ now: () => runtime.clock.now() })
const provider = await openGoogleSecrets(runtime, { google_endpoint: fake.url })
const { outcome } = (await provider.write?.({ name: createdName('litellm/a'), value: SecretValue.of('sk-shown-nowhere'), expect: 'absent', operation: `put-${'a'.repeat(32)}`, stage: 'current' }, callOf(runtime.clock))) ?? { outcome: '' }
await provider.close?.()
await fake.close()
process.stdout.write(`${outcome} ${Object.keys(process.env).includes('GOOGLE_SDK_NODE_LOGGING') ? 'asked to print' : ''}`)

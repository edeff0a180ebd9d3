// The exam, one line a provider.
import { awsHarness } from './aws-harness.ts'
import { embeddedHarness } from './embedded-harness.ts'
import { environmentHarness } from './environment-harness.ts'
import { memoryHarness } from './memory-harness.ts'
import { providerConformance } from './provider-conformance.ts'

providerConformance('memory', memoryHarness())
providerConformance('memory, final deletes', memoryHarness({ recoveryWindowSeconds: 0, mustHave: ['write', 'remove', 'list', 'promote'] }))
providerConformance('embedded', embeddedHarness)
providerConformance('environment', environmentHarness)
providerConformance('aws_secret_manager', awsHarness)

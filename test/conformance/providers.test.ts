// The exam, one line a provider.
import { awsKmsHarness } from './harnesses/aws-kms.ts'
import { awsHarness } from './harnesses/aws-secrets-manager.ts'
import { cyberarkHarness } from './harnesses/cyberark.ts'
import { embeddedHarness } from './harnesses/embedded.ts'
import { environmentHarness } from './harnesses/environment.ts'
import { vaultHarness } from './harnesses/hashicorp-vault.ts'
import { infisicalHarness } from './harnesses/infisical.ts'
import { memoryHarness } from './harnesses/memory.ts'
import { providerConformance } from './provider-conformance.ts'

providerConformance('memory', memoryHarness())
providerConformance('memory, final deletes', memoryHarness({ recoveryWindowSeconds: 0, mustHave: ['write', 'remove', 'list', 'promote'] }))
providerConformance('embedded', embeddedHarness)
providerConformance('environment', environmentHarness)
providerConformance('aws_secret_manager', awsHarness)
providerConformance('aws_kms', awsKmsHarness)
providerConformance('hashicorp_vault', vaultHarness)
providerConformance('cyberark', cyberarkHarness())
providerConformance('cyberark, without the right to delete', cyberarkHarness({ deletes: false }))
providerConformance('infisical', infisicalHarness)

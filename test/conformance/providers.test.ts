// The exam, one line a provider.
import { awsKmsHarness } from './harnesses/aws-kms.ts'
import { awsHarness } from './harnesses/aws-secrets-manager.ts'
import { azureHarness } from './harnesses/azure-key-vault.ts'
import { cyberarkHarness } from './harnesses/cyberark.ts'
import { customHarness } from './harnesses/custom.ts'
import { embeddedHarness } from './harnesses/embedded.ts'
import { environmentHarness } from './harnesses/environment.ts'
import { vaultHarness } from './harnesses/hashicorp-vault.ts'
import { googleKmsHarness } from './harnesses/google-kms.ts'
import { googleSecretManagerHarness } from './harnesses/google-secret-manager.ts'
import { infisicalHarness } from './harnesses/infisical.ts'
import { memoryHarness } from './harnesses/memory.ts'
import { providerConformance } from './provider-conformance.ts'

providerConformance('memory', memoryHarness())
providerConformance('memory, final deletes', memoryHarness({ recoveryWindowSeconds: 0, mustHave: ['write', 'remove', 'list', 'promote'] }))
providerConformance('embedded', embeddedHarness)
providerConformance('environment', environmentHarness)
providerConformance('aws_secret_manager', awsHarness())
providerConformance('aws_secret_manager, reading through the SDK', awsHarness({ aws_read_with_sdk: true }))
providerConformance('aws_kms', awsKmsHarness)
providerConformance('azure_key_vault', azureHarness)
providerConformance('hashicorp_vault', vaultHarness)
providerConformance('cyberark', cyberarkHarness())
providerConformance('cyberark, without the right to delete', cyberarkHarness({ deletes: false }))
providerConformance('google_secret_manager', googleSecretManagerHarness)
providerConformance('google_kms', googleKmsHarness)
providerConformance('infisical', infisicalHarness)
providerConformance('custom', customHarness)

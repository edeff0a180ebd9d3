// The gateway's master key as a secret that the stack makes, so that nobody ever has to write one down. It outlives the stack, because keys of the gateway hang on it.
import { RemovalPolicy, Tags } from 'aws-cdk-lib'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { Secret } from 'aws-cdk-lib/aws-secretsmanager'
import { Construct } from 'constructs'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { hostedName, verbatimCodec } from '../../shared/core/names.ts'
import { readRotation } from '../../shared/core/rotation/settings.ts'
import type { InfraConfig } from '../config.ts'

const where = 'latchkey.deployment.schedule.managed_master_key'

/** The name under which the functions look for it. @throws misconfigured where they do not look into Secrets Manager, or would not rotate it */
export const masterKeyName = ({ file, configuration, system, secrets }: InfraConfig): string => {
  const { masterKey: plan } = configuration
  const refuse = (message: string): LatchkeyError => new LatchkeyError('misconfigured', `${file}: ${where} ${message}`)
  if (plan.kind !== 'name' || system !== 'aws_secret_manager' || secrets === undefined || !plan.lookIn.includes('manager') || plan.ciphertext === true) throw refuse('makes a secret that the functions would not read: let general_settings.master_key be os.environ/NAME, and key_management_system aws_secret_manager with an access_mode that reads')
  const listed = readRotation(configuration.rotation).some((entry) => entry.store === 'default' && entry.matches(hostedName(plan.name), verbatimCodec()))
  if (!listed) throw refuse(`has AWS rotate ${plan.name}, which the rotate function would refuse; add it to latchkey.rotation.secrets: - { names: ["${plan.name}"] }`)
  return plan.name
}

/** The secret, encrypted with our key and marked as Latchkey's own. */
export class MasterKey extends Construct {
  readonly secret: Secret

  constructor(scope: Construct, id: string, { name, key }: { readonly name: string; readonly key: IKey }) {
    super(scope, id)
    this.secret = new Secret(this, 'Secret', { secretName: name, description: 'Master key of the LLM gateway', encryptionKey: key, removalPolicy: RemovalPolicy.RETAIN, generateSecretString: { passwordLength: 48, excludePunctuation: true } })
    Tags.of(this.secret).add('managed-by', 'latchkey')
  }
}

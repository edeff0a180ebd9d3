// What the labels of AWS Secrets Manager's versions say: stages, claims, and which operation wrote a version. The id of a version that Latchkey made is its operation's text;
// a version whose id AWS itself chose, in a rotation by steps, carries that text in the label of its claim.
import type { Stage, Version } from '../../core/secret.ts'

/** The one label that a claim holds beside its own; AWSPENDING is what AWS's own rotation holds. */
export const sharedLabel = 'latchkey-next'
/** Who has one of these, and is not current or previous, is pending. */
export const pendingLabels: readonly string[] = [sharedLabel, 'AWSPENDING']
/** A claim's own label. */
export const claimLabel = (operation: string): string => `latchkey-claim-${operation}`

const form = /^(?:latchkey-claim-)?(\d{1,15}-[a-z]+-[0-9a-f]+)$/

/** A label of a claim on a version that is or was current is left over, and makes nothing pending. */
export const stagesOf = (labels: readonly string[]): Stage[] =>
  labels.includes('AWSCURRENT') ? ['current'] : labels.includes('AWSPREVIOUS') ? ['previous'] : labels.some((label) => pendingLabels.includes(label)) ? ['pending'] : []

/** A version as the rest of the house sees it. A reserved one that holds no claim has no operation of anybody's. */
export const versionOf = (id: string, labels: readonly string[], created?: Date): Version => {
  const claimed = form.test(id) ? undefined : labels.map((label) => form.exec(label)?.[1]).find((text) => text !== undefined)
  const operation = claimed ?? id
  const epoch = /^(\d{1,15})-[a-z]+-[0-9a-f]+$/.exec(operation)?.[1]
  return { id, stages: stagesOf(labels), enabled: true, operation, ...(epoch !== undefined && { epoch: Number(epoch) }), ...(created !== undefined && { created }) }
}

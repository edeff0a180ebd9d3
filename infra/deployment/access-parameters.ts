// What the owner of a team's secrets hands to the access template, so that both sides say the same: `aws cloudformation deploy --parameter-overrides` takes it as it is.
import type { TeamRole } from '../config.ts'

/** Names and values, parted by spaces, which none of them can hold. A role's path is none of the template's parameters. */
export const accessParameters = ({ segment, externalId, prefix, accessMode, storeVirtualKeys, keyArn, roleName }: TeamRole, of: { readonly account: string; readonly deployment: string }): string =>
  Object.entries({
    LatchkeyAccount: of.account,
    LatchkeyName: of.deployment,
    ...(externalId !== undefined && { ExternalId: externalId }),
    Team: segment,
    Prefix: prefix,
    AccessMode: accessMode,
    StoreVirtualKeys: storeVirtualKeys,
    ...(keyArn !== undefined && { KeyArn: keyArn }),
    RoleName: roleName.slice(roleName.lastIndexOf('/') + 1),
  }).map(([name, value]) => `${name}=${value}`).join(' ')

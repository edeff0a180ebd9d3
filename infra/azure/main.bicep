// A front for those who deploy with Bicep or azd: everything is in main.json beside it, which is generated (npm run template:azure) and checked. A parser of the language reads this
// file in the tests; no registry of npm or Python has the compiler, so that is whoever deploys it.
targetScope = 'resourceGroup'

@description('Client id of the app registration that callers ask tokens for.')
param authClientId string

@description('Object ids of who may call at all. Empty: every identity of the tenant that gets a token for the registration.')
param callers array = []

@description('Environment variable to name of a secret in the vault.')
param secretSettings object = {
  LITELLM_MASTER_KEY: 'LITELLM-MASTER-KEY'
}

@description('Gives the vault an address in a network of the functions, and no other.')
param privateNetwork bool = false

@description('An address that is told of events that are lost to the rotation. Empty: the alerts stand in the portal only.')
param alertEmail string = ''

module latchkey 'main.json' = {
  name: 'latchkey'
  params: {
    authClientId: authClientId
    callers: callers
    secretSettings: secretSettings
    privateNetwork: privateNetwork
    alertEmail: alertEmail
  }
}

output readApp string = latchkey.outputs.readApp
output keysApp string = latchkey.outputs.keysApp
output rotateApp string = latchkey.outputs.rotateApp
output readUrl string = latchkey.outputs.readUrl
output keysUrl string = latchkey.outputs.keysUrl
output vaultUri string = latchkey.outputs.vaultUri
output principals object = latchkey.outputs.principals

// A network of the deployment's own, in which the vault has its only address. Deployed only where `privateNetwork` is true.
import { call, Expression, format, idOf, parameter, type Resource } from './arm.ts'

const condition = parameter('privateNetwork')
const location = parameter('location')

const network: Resource = {
  type: 'Microsoft.Network/virtualNetworks',
  apiVersion: '2025-07-01',
  name: [format('{0}-network', parameter('name'))],
  condition,
  body: {
    location,
    properties: {
      addressSpace: { addressPrefixes: ['10.0.0.0/24'] },
      subnets: [
        { name: 'functions', properties: { addressPrefix: '10.0.0.0/25', delegations: [{ name: 'functions', properties: { serviceName: 'Microsoft.App/environments' } }] } },
        { name: 'endpoints', properties: { addressPrefix: '10.0.0.128/26' } },
      ],
    },
  },
}

/** The id of one of the two subnets. */
export const subnetOf = (name: 'functions' | 'endpoints'): Expression => new Expression(call('resourceId', 'Microsoft.Network/virtualNetworks/subnets', ...network.name, name).code, [network])

/** The network, and the vault's address in it under the vault's own name. */
export const privateVault = (vault: Resource): readonly Resource[] => {
  const zone: Resource = { type: 'Microsoft.Network/privateDnsZones', apiVersion: '2024-06-01', name: ['privatelink.vaultcore.azure.net'], condition, body: { location: 'global' } }
  const link: Resource = { type: `${zone.type}/virtualNetworkLinks`, apiVersion: zone.apiVersion, name: [...zone.name, 'functions'], condition, after: [zone], body: { location: 'global', properties: { registrationEnabled: false, virtualNetwork: { id: idOf(network) } } } }
  const endpoint: Resource = {
    type: 'Microsoft.Network/privateEndpoints',
    apiVersion: network.apiVersion,
    name: [format('{0}-vault', parameter('name'))],
    condition,
    body: { location, properties: { subnet: { id: subnetOf('endpoints') }, privateLinkServiceConnections: [{ name: 'vault', properties: { privateLinkServiceId: idOf(vault), groupIds: ['vault'] } }] } },
  }
  const group: Resource = { type: `${endpoint.type}/privateDnsZoneGroups`, apiVersion: endpoint.apiVersion, name: [...endpoint.name, 'default'], condition, after: [endpoint, link], body: { properties: { privateDnsZoneConfigs: [{ name: 'vault', properties: { privateDnsZoneId: idOf(zone) } }] } } }
  return [network, zone, link, endpoint, group]
}

// The vendor's own message definitions, as its package carries them: what they do not know cannot pass, so that a field of our making shows itself.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { protobuf, serializer } from 'google-gax'
import type { Json } from './failure.ts'

/** Where the definitions of Secret Manager are. */
export const secretManagerProtos = createRequire(import.meta.url).resolve('@google-cloud/secret-manager/build/protos/protos.json')
/** The service's name in them. */
export const secretManagerService = 'google.cloud.secretmanager.v1.SecretManagerService'

/** JSON through a message of Secret Manager and back. */
export const throughMessage = (type: string, json: Json): Json => {
  const message = serializer.fromProto3JSON(protobuf.Root.fromJSON(JSON.parse(readFileSync(secretManagerProtos, 'utf8')) as protobuf.INamespace).lookupType(`google.cloud.secretmanager.v1.${type}`), json as never)
  if (message === null) throw new Error(`${type} cannot hold this`)
  return serializer.toProto3JSON(message) as Json
}

// The second face of the fake: the same methods on the same state over gRPC, with the vendor's own message definitions. What does not fit them cannot be sent, so
// that a shape of ours that the vendor does not know shows itself.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Metadata, Server, ServerCredentials, type handleUnaryCall, type ServiceDefinition } from '@grpc/grpc-js'
import { protobuf, serializer } from 'google-gax'
import { grpcNumbers, GoogleFailure, type Json } from './failure.ts'
import { methods, type GoogleSecretFake } from './secret-manager.ts'

const require = createRequire(import.meta.url)
const definitions = JSON.parse(readFileSync(require.resolve('@google-cloud/secret-manager/build/protos/protos.json'), 'utf8')) as protobuf.INamespace

/** The messages of Secret Manager as Google's own package defines them. */
export const vendorMessages = (): protobuf.Root => protobuf.Root.fromJSON(definitions)

const google = 'google.cloud.secretmanager.v1'

/** JSON of Google's kind through the message of a method's answer and back: what the vendor does not know makes it throw. */
export const throughMessage = (root: protobuf.Root, type: string, json: Json): Json => {
  const known = root.lookupType(type)
  const message = serializer.fromProto3JSON(known, json as never)
  if (message === null) throw new Error(`${type} cannot hold this`)
  return serializer.toProto3JSON(message) as Json
}

/** Starts the gRPC face on loopback, without TLS. */
export const startGoogleGrpc = async (fake: GoogleSecretFake): Promise<{ readonly port: number; readonly calls: string[]; close(): void }> => {
  const root = vendorMessages()
  const service = root.lookupService(`${google}.SecretManagerService`)
  root.resolveAll()
  const calls: string[] = []
  const definition: Record<string, ServiceDefinition[string]> = {}
  const handlers: Record<string, handleUnaryCall<Json, Json>> = {}
  for (const method of service.methodsArray) {
    if (methods[method.name] === undefined) continue
    method.resolve()
    const [asked, answered] = [method.resolvedRequestType, method.resolvedResponseType]
    if (asked === null || answered === null) continue
    definition[method.name] = {
      path: `/${google}.SecretManagerService/${method.name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: (bytes: Buffer) => serializer.toProto3JSON(asked.decode(bytes)) as Json,
      responseSerialize: (json: Json) => Buffer.from(answered.encode(serializer.fromProto3JSON(answered, json as never) ?? {}).finish()),
      responseDeserialize: () => ({}),
    }
    handlers[method.name] = (call, done) => {
      calls.push(method.name)
      try {
        done(null, fake.run(method.name, call.request, call.metadata.get('authorization')[0]?.toString()))
      } catch (error) {
        if (!(error instanceof GoogleFailure)) return done({ code: 2, details: 'the fake failed' })
        done({ code: grpcNumbers[error.status], details: error.message, metadata: new Metadata() })
      }
    }
  }
  const server = new Server()
  server.addService(definition, handlers)
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))))
  return { port, calls, close: () => server.forceShutdown() }
}


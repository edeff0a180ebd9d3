// gRPC in front of a fake of Google: the methods of a service's own definition, as it stands in the vendor's package, on the same state that answers over REST.
// A message becomes the JSON that REST has for it, and back: what the vendor's message does not know cannot be sent.
import { readFileSync } from 'node:fs'
import { grpc, protobuf, serializer } from 'google-gax'
import { GoogleFailure, grpcNumbers, type Json } from './google/failure.ts'

/** A service's definition, and who carries its methods out. */
export interface GrpcFront {
  /** The file of message definitions in the vendor's package. */
  readonly protos: string
  /** As `google.cloud.kms.v1.KeyManagementService`. */
  readonly service: string
  /** @throws GoogleFailure */
  run(method: string, request: Json, authorization: string | undefined): Json
}

/** A running front. */
export interface RunningGrpc {
  readonly port: number
  /** Methods in the order of arrival. */
  readonly methods: string[]
  /** Every call is refused with this, until it is taken away. */
  refusal: GoogleFailure | undefined
  close(): Promise<void>
}

/** A wrapped number that is there and is zero has no content; the serializer makes null of it, and leaves out what is not there. */
const zeroes = (json: Json): Json => Object.fromEntries(Object.entries(json).map(([field, value]) => [field, value ?? '0']))

/** Starts the front on a free port of loopback, without TLS. */
export const startGoogleGrpc = async ({ protos, service, run }: GrpcFront): Promise<RunningGrpc> => {
  const root = protobuf.Root.fromJSON(JSON.parse(readFileSync(protos, 'utf8')) as protobuf.INamespace)
  root.resolveAll()
  const definition = root.lookupService(service)
  const methods: string[] = []
  const state: { refusal: GoogleFailure | undefined } = { refusal: undefined }
  const handlers: Record<string, grpc.UntypedHandleCall> = {}
  const table: Record<string, grpc.MethodDefinition<Json, Json>> = {}
  for (const method of definition.methodsArray) {
    method.resolve()
    const [asked, answered] = [method.resolvedRequestType, method.resolvedResponseType]
    if (asked === null || answered === null) continue
    table[method.name] = {
      path: `/${service}/${method.name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: (bytes) => zeroes(serializer.toProto3JSON(asked.decode(bytes)) as Json),
      responseSerialize: (answer) => Buffer.from(answered.encode(serializer.fromProto3JSON(answered, answer as never) ?? {}).finish()),
      responseDeserialize: () => ({}),
    }
    const handle: grpc.handleUnaryCall<Json, Json> = ({ request, metadata }, answer) => {
      methods.push(method.name)
      try {
        if (state.refusal !== undefined) throw state.refusal
        answer(null, run(method.name, request, metadata.get('authorization').at(0)?.toString()))
      } catch (error) {
        const failure = error instanceof GoogleFailure ? error : new GoogleFailure('INTERNAL', 'The fake failed.')
        answer({ code: grpcNumbers[failure.status], details: failure.message })
      }
    }
    handlers[method.name] = handle as grpc.UntypedHandleCall
  }
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 8_388_608 })
  server.addService(table, handlers)
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))))
  return {
    port,
    methods,
    get refusal() {
      return state.refusal
    },
    set refusal(failure) {
      state.refusal = failure
    },
    close: async () => server.forceShutdown(),
  }
}

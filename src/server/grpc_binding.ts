import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type StatusObject,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Principal } from "../model/principal.js";
import type { BoundMethod, BoundService } from "../service/bound_service.js";
import { codes, WireError } from "../service/wire_error.js";
import type { OnUnexpected } from "./door.js";
import { type ReadPatience, resetCall, unlessUnread } from "./unread_stream.js";
import { unlessAborted, untilAborted } from "./until_aborted.js";
import { encode, encodeDetails, methodName, toWireError } from "./wire_answer.js";

/** Messages of a stream that wait in memory for their client to read; grpc-js itself would keep 16. */
const maxUnsentMessages = 4;

/** What the calls of one server need to know. */
export interface GrpcBinding {
  /** Who acts; the door has let only known callers through. */
  principalOf(metadata: Metadata): Principal;
  readonly onUnexpected: OnUnexpected;
  /** For clients that do not read; without it they are waited for. */
  readonly patience?: ReadPatience | undefined;
}

/** In place of a message that could not be decoded: grpc-js would answer INTERNAL, as if it were a fault of ours. */
const malformed = Symbol("malformed request");
type Request = Message | typeof malformed;

type Unary = ServerUnaryCall<Request, Message>;
type Stream = ServerWritableStream<Request, Message>;

/** The definition of a service as grpc-js wants it. */
export function defineService(service: BoundService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.descriptor.name, defineMethod(method)]));
}

/** The handlers to the definition of `defineService`. */
export function implementService(service: BoundService, binding: GrpcBinding): UntypedServiceImplementation {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.descriptor.name,
      method.kind === "unary" ? handleUnary(method, binding) : handleStream(method, binding),
    ]),
  );
}

function defineMethod({ kind, descriptor }: BoundMethod): MethodDefinition<Request, Message> {
  const { input, output } = descriptor;
  return {
    path: `/${methodName(descriptor)}`,
    originalName: descriptor.localName,
    requestStream: false,
    responseStream: kind === "server_streaming",
    requestSerialize: (message) => encode(toBinary(input, decoded(message, descriptor))),
    requestDeserialize: (bytes) => decode(input, bytes),
    responseSerialize: (message) => encode(toBinary(output, message)),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}

function decode(input: DescMessage, bytes: Uint8Array): Request {
  try {
    return fromBinary(input, bytes);
  } catch {
    return malformed;
  }
}

/** @throws WireError INVALID_ARGUMENT */
function decoded(request: Request, { input }: { readonly input: DescMessage }): Message {
  if (request !== malformed) return request;
  throw new WireError(codes.invalid_argument, `the request is no well-formed ${input.typeName}`);
}

function handleUnary(
  method: BoundMethod & { kind: "unary" },
  binding: GrpcBinding,
): handleUnaryCall<Request, Message> {
  return (call, callback) => {
    const signal = signalOf(call);
    const context = { principal: binding.principalOf(call.metadata), signal };
    unlessAborted(async () => method.call(decoded(call.request, method.descriptor), context), signal).then(
      (response) => callback(null, response),
      (error: unknown) => callback(toStatus(error, signal, method, binding)),
    );
  };
}

function handleStream(
  method: BoundMethod & { kind: "server_streaming" },
  binding: GrpcBinding,
): handleServerStreamingCall<Request, Message> {
  return (call) => {
    const signal = signalOf(call);
    send(call, method, binding, signal).then(
      () => call.end(),
      (error: unknown) => void call.emit("error", toStatus(error, signal, method, binding)),
    );
  };
}

async function send(
  call: Stream,
  method: BoundMethod & { kind: "server_streaming" },
  binding: GrpcBinding,
  signal: AbortSignal,
): Promise<void> {
  const context = { principal: binding.principalOf(call.metadata), signal };
  for await (const message of untilAborted(
    method.call(decoded(call.request, method.descriptor), context),
    signal,
  )) {
    const sent = new Promise<void>((resolve) => call.write(message, () => resolve()));
    if (call.writableLength < maxUnsentMessages) continue;
    await unlessUnread(
      unlessAborted(() => sent, signal),
      binding.patience,
      () => resetCall(call),
    );
  }
}

/** grpc-js emits `cancelled` when the caller resets, its deadline passes or its connection is gone, and after each end. */
function signalOf(call: Unary | Stream): AbortSignal {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  else call.once("cancelled", () => controller.abort());
  return controller.signal;
}

function toStatus(
  error: unknown,
  signal: AbortSignal,
  method: BoundMethod,
  binding: GrpcBinding,
): Partial<StatusObject> {
  const wire = toWireError(error, signal, methodName(method.descriptor), binding.onUnexpected);
  return { code: wire.code, details: wellFormed(wire.message), metadata: detailsOf(wire) };
}

/** The trailer that holds the details of an error. */
export function detailsOf(error: WireError): Metadata {
  const metadata = new Metadata();
  const details = encodeDetails(error);
  if (details) metadata.set("grpc-status-details-bin", details);
  return metadata;
}

/** grpc-js writes the message with `encodeURI`, which throws on half a surrogate pair. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { type DescMethod, type Message, type Registry, toBinary, toJsonString } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, endStreamFlag, errorToJson } from "@connectrpc/connect/protocol-connect";
import { frameOf, sharedFrame } from "../../service/messages/shared_message.js";
import type { CallMetadata } from "../../service/pipeline/bound_service.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { timeoutOf, trailersOf } from "../grpc/grpc_wire.js";
import type { Response } from "../listen/http_message.js";
import { toConnectError } from "./wire_answer.js";

/**
 * What a call over HTTP is written in: a unary call of Connect, whose body is the message; a stream of Connect, gRPC-Web, and gRPC, whose
 * messages have a prefix each. gRPC comes here with JSON, or over HTTP/1.1.
 */
export interface Protocol {
  readonly name: "connect" | "connect stream" | "grpc-web" | "grpc";
  readonly isJson: boolean;
  /** Of its answers. */
  readonly type: string;
}

/** A client may say that JSON is UTF-8, which it always is. */
const connectType = /^application\/(connect\+)?(?:(json)(?:; ?charset=utf-?8)?|proto)$/i;
const grpcType = /^application\/grpc(-web)?(?:\+(?:(json)(?:; ?charset=utf-?8)?|proto))?$/i;

/** What a request with this content type is written in; undefined where no call is. */
export function protocolOf(contentType: string | undefined): Protocol | undefined {
  const connect = connectType.exec(contentType ?? "");
  if (connect) return connectProtocol(connect[1] !== undefined, connect[2] !== undefined);
  const grpc = grpcType.exec(contentType ?? "");
  if (!grpc) return undefined;
  const isJson = grpc[2] !== undefined;
  const name = grpc[1] === undefined ? "grpc" : "grpc-web";
  return { name, isJson, type: `application/${name}+${isJson ? "json" : "proto"}` };
}

function connectProtocol(isStream: boolean, isJson: boolean): Protocol {
  const name = isStream ? "connect stream" : "connect";
  return { name, isJson, type: `application/${isStream ? "connect+" : ""}${isJson ? "json" : "proto"}` };
}

/** A unary call of Connect by GET, whose message is in its query (Connect, "Unary-Get-Request"). */
export function protocolOfQuery(query: URLSearchParams): Protocol | undefined {
  const encoding = query.get("encoding");
  return encoding === "json" || encoding === "proto"
    ? connectProtocol(false, encoding === "json")
    : undefined;
}

/** Whether a method of this kind is called so: a unary call of Connect is no stream, and no stream is one. */
export function serves({ name }: Protocol, { methodKind }: DescMethod): boolean {
  if (name === "connect") return methodKind === "unary";
  return name !== "connect stream" || methodKind !== "unary";
}

/** After how many milliseconds the call ends; undefined for never. @throws WireError */
export function timeoutMsOf({ name }: Protocol, headers: IncomingHttpHeaders): number | undefined {
  const field = name.startsWith("connect") ? "connect-timeout-ms" : "grpc-timeout";
  const sent = headers[field];
  if (sent === undefined) return undefined;
  const isMs = /^\d{1,10}$/.test(String(sent));
  const timeoutMs = field === "grpc-timeout" ? timeoutOf(sent) : isMs ? Number(sent) : Number.NaN;
  if (Number.isNaN(timeoutMs)) throw new WireError(codes.invalid_argument, `${field} is malformed`);
  return timeoutMs;
}

const encodingFields = {
  connect: ["content-encoding", "accept-encoding"],
  "connect stream": ["connect-content-encoding", "connect-accept-encoding"],
  "grpc-web": ["grpc-encoding", "grpc-accept-encoding"],
  grpc: ["grpc-encoding", "grpc-accept-encoding"],
} as const;

/** Requests are sent as they are: none needs to be compressed. @throws WireError, once `metadata` says what is taken */
export function refuseCompression(protocol: Protocol, { requestHeader, responseHeader }: CallMetadata): void {
  const [field, accepted] = encodingFields[protocol.name];
  const encoding = requestHeader.get(field);
  if (encoding === null || encoding === "identity") return;
  responseHeader.set(accepted, "identity");
  throw new WireError(codes.unimplemented, "messages may be sent without compression alone");
}

/** A credential may be in any answer, and none is a page. */
const safe = { "cache-control": "no-store", "x-content-type-options": "nosniff" } as const;

/** A message as it is sent, without what the protocol puts before it. */
function bytesOf({ isJson }: Protocol, { output }: DescMethod, message: Message, registry: Registry): Buffer {
  if (isJson) return Buffer.from(toJsonString(output, message, { registry }));
  return sharedFrame(message)?.subarray(5) ?? Buffer.from(toBinary(output, message));
}

/** As a message of a stream. Not to be written to: others may send the same bytes. */
export function envelopeOf(
  protocol: Protocol,
  method: DescMethod,
  message: Message,
  registry: Registry,
): Uint8Array {
  if (!protocol.isJson) return sharedFrame(message) ?? frameOf(method.output, message);
  return encodeEnvelope(0, bytesOf(protocol, method, message, registry));
}

/** What an answer in several messages begins with, once. */
export function begin(response: Response, { type }: Protocol, metadata: CallMetadata | undefined): void {
  if (response.headersSent) return;
  response.writeHead(200, { ...fieldsOf(metadata?.responseHeader), ...safe, "content-type": type });
}

/** The whole answer of a unary call of Connect. */
export function answerMessage(
  response: Response,
  protocol: Protocol,
  method: DescMethod,
  message: Message,
  more: { readonly registry: Registry; readonly metadata: CallMetadata | undefined },
): void {
  const body = bytesOf(protocol, method, message, more.registry);
  writeWhole(response, 200, body, { ...unaryFields(more.metadata), "content-type": protocol.type });
}

/** The end of an answer, and all of one that is refused by the headers of its request. */
export function finish(
  response: Response,
  protocol: Protocol,
  error: WireError | undefined,
  metadata?: CallMetadata,
): void {
  if (protocol.name === "connect") {
    if (error) answerError(response, error, metadata);
    return;
  }
  if (protocol.name === "connect stream") {
    begin(response, protocol, metadata);
    const trailers = Object.entries(fieldsOf(metadata?.responseTrailer)).map(([name, value]) => [
      name,
      [value],
    ]);
    const end = {
      ...(error && { error: errorToJson(toConnectError(error), undefined) }),
      ...(trailers.length > 0 && { metadata: Object.fromEntries(trailers) }),
    };
    endWith(response, encodeEnvelope(endStreamFlag, Buffer.from(JSON.stringify(end))));
    return;
  }
  const trailers = trailersOf(error, metadata);
  if (error && !response.headersSent) {
    // An answer without messages has its status among the headers.
    const fields = { ...fieldsOf(metadata?.responseHeader), ...safe, "content-type": protocol.type };
    response.writeHead(200, { ...fields, ...trailers });
    response.end();
    return;
  }
  begin(response, protocol, metadata);
  if (protocol.name === "grpc-web") {
    const lines = Object.entries(trailers).map(([name, value]) => `${name}: ${value}\r\n`);
    endWith(response, encodeEnvelope(webTrailerFlag, Buffer.from(lines.join(""))));
    return;
  }
  response.addTrailers(trailers);
  response.end();
}

/** The trailers of gRPC-Web are the last message of the body. */
const webTrailerFlag = 0b1000_0000;

function answerError(response: Response, error: WireError, metadata: CallMetadata | undefined): void {
  const connectError = toConnectError(error);
  const body = Buffer.from(JSON.stringify(errorToJson(connectError, undefined)));
  writeWhole(response, codeToHttpStatus(connectError.code), body, {
    ...unaryFields(metadata),
    "content-type": "application/json",
    ...(error.code === codes.unauthenticated && { "www-authenticate": "Bearer" }),
  });
}

/** A unary answer of Connect has its trailers among its headers. */
function unaryFields(metadata: CallMetadata | undefined): OutgoingHttpHeaders {
  const trailers = Object.entries(fieldsOf(metadata?.responseTrailer));
  return {
    ...fieldsOf(metadata?.responseHeader),
    ...Object.fromEntries(trailers.map(([name, value]) => [`trailer-${name}`, value])),
  };
}

function fieldsOf(headers: Headers | undefined): Readonly<Record<string, string>> {
  return headers ? Object.fromEntries(headers) : {};
}

function writeWhole(response: Response, status: number, body: Buffer, fields: OutgoingHttpHeaders): void {
  response.writeHead(status, { ...fields, ...safe, "content-length": body.length });
  endWith(response, body);
}

/** Both generations of HTTP take it, which their types do not say together. */
function endWith(response: NodeJS.WritableStream, bytes: Uint8Array): void {
  response.end(bytes);
}

import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import type { Authenticate } from "../../domain/access/access.js";
import { anyone, type Principal } from "../../model/access/principal.js";
import { edgePolicy } from "../../model/edge_policy.js";
import type { Limits } from "../../model/limits.js";
import type { ListenAddress } from "../../model/listen_address.js";
import type { Clock } from "../../runtime/clock.js";
import { callerField, onBehalf } from "../../service/forwarding/on_behalf.js";
import type { BoundMethod, BoundService } from "../../service/pipeline/bound_service.js";
import { toWireError } from "../../service/pipeline/error_table.js";
import { rpcName } from "../../service/pipeline/rpc_access.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { callerTrace, presentedCredentials, unauthenticatedMessage } from "../callers/request_headers.js";
import { answeredError, type OnUnexpected } from "../listen/listener.js";
import { headersRefusal, messageTooLarge } from "../listen/listener_limits.js";
import { type OpenCalls, type ResetGuard, UnauthenticatedStreams } from "../listen/stream_watchdogs.js";
import { noteCredential, peerOf } from "../sockets/socket_notes.js";
import { GrpcCall, type GrpcCallOptions } from "./grpc_call.js";
import { decoded, type Frame, isGrpc, timeoutOf } from "./grpc_wire.js";

/** What a request may be compressed by, as `grpc-accept-encoding` says it. Answers are sent as they are: they are small, or secret. */
const acceptedEncodings = "identity,deflate,gzip";

const decompressors: Readonly<Record<string, typeof gunzip>> = { gzip: gunzip, deflate: inflate };

/** Whether messages may say that they are compressed so. @param encoding the field `grpc-encoding` */
function isKnownEncoding(encoding: string | undefined): boolean {
  return encoding === undefined || encoding === "identity" || Object.hasOwn(decompressors, encoding);
}

/**
 * A message without its compression (gRPC, "Compression").
 *
 * @param encoding one that is known
 * @throws WireError RESOURCE_EXHAUSTED when there is more in it than may be, and INTERNAL, as the specification has it, for bytes
 * that are not what they claim
 */
async function decompress(
  bytes: Buffer,
  encoding: string | undefined,
  maxMessageBytes: number,
): Promise<Buffer> {
  if (encoding === undefined || encoding === "identity")
    throw new WireError(codes.internal, "a message is compressed, and grpc-encoding does not say how");
  const decompressor = decompressors[encoding];
  if (!decompressor) throw new Error("a call with another encoding was not refused");
  try {
    return await promisify(decompressor)(bytes, { maxOutputLength: maxMessageBytes });
  } catch (error) {
    const isLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    if (isLarge) throw messageTooLarge(maxMessageBytes);
    throw new WireError(codes.internal, `a message is no well-formed ${encoding}`);
  }
}

export interface GrpcCallsOptions {
  readonly services: readonly BoundService[];
  readonly address: ListenAddress;
  readonly authenticate: Authenticate;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly resets: ResetGuard;
  /** Of callers who are nobody, at the services that are open to them. */
  readonly openCalls: OpenCalls;
  readonly onUnexpected: OnUnexpected;
}

interface GrpcRoute {
  readonly method: BoundMethod;
  /** Whether callers without a credential are served. */
  readonly isOpen: boolean;
  readonly options: GrpcCallOptions;
}

/**
 * Serves gRPC on the streams of node:http2 themselves, every kind of call: docs/architecture.md has what that costs beside the
 * libraries.
 */
export class GrpcCalls {
  readonly #routes = new Map<string, GrpcRoute>();
  readonly #refusals: UnauthenticatedStreams;

  constructor(private readonly options: GrpcCallsOptions) {
    this.#refusals = new UnauthenticatedStreams(edgePolicy.unauthenticatedStreams.maxRefusals, options.clock);
    for (const { methods, isOpen = false } of options.services) {
      for (const method of methods) {
        const name = rpcName(method.descriptor);
        this.#routes.set(`/${name}`, { method, isOpen, options: this.#callOptions(name, method) });
      }
    }
  }

  #callOptions(name: string, method: BoundMethod | undefined): GrpcCallOptions {
    const { limits, clock, resets, onUnexpected } = this.options;
    return {
      path: `/${name}`,
      output: method?.descriptor.output ?? EmptySchema,
      maxMessageBytes: limits.maxMessageBytes,
      onRequest: (call, request) => {
        if (method) this.#onRequest(method, call, request);
      },
      onBroken: (error) => onUnexpected(error, name),
      toWire: (error) => answeredError(error, name, onUnexpected),
      readDeadline: { clock, timeoutMs: limits.streamReadTimeoutMs },
      onClose: (stream) => resets.closed(stream),
    };
  }

  /** Serves the call. @returns false when it is none of gRPC, and then nothing was done */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    if (!isGrpc(headers)) return false;
    const route = this.#routes.get(headers[":path"] ?? "");
    const call = new GrpcCall(stream, headers, route?.options ?? this.#callOptions("unknown", undefined));
    call.guard(() => this.#judge(call, route, headers));
    return true;
  }

  #judge(call: GrpcCall, route: GrpcRoute | undefined, headers: IncomingHttpHeaders): void {
    const { clock, limits } = this.options;
    const timeoutMs = timeoutOf(headers["grpc-timeout"]);
    if (Number.isNaN(timeoutMs)) {
      this.#refuse(call, new WireError(codes.internal, "grpc-timeout is malformed"));
      return;
    }
    if (!isKnownEncoding(call.encoding)) {
      call.metadata.responseHeader.set("grpc-accept-encoding", acceptedEncodings);
      const text = `messages may be compressed by ${acceptedEncodings} alone`;
      this.#refuse(call, new WireError(codes.unimplemented, text));
      return;
    }
    if (!route) {
      this.#refuse(call, new WireError(codes.unimplemented, "there is no such method"));
      return;
    }
    call.trace = callerTrace(headers["traceparent"], headers["tracestate"]);
    if (timeoutMs !== undefined) call.startDeadline((passed) => clock.setTimer(timeoutMs, passed));
    const refuse = (error: unknown): void => this.#refuse(call, call.toWire(toWireError(error)));
    const tooLarge = headersRefusal(headers, limits);
    if (tooLarge) {
      refuse(tooLarge);
      return;
    }
    try {
      const caller = this.#callerOf(call.stream, headers);
      if (caller instanceof Promise)
        caller.then((principal) => call.guard(() => this.#admit(call, route, principal)), refuse);
      else this.#admit(call, route, caller);
    } catch (error) {
      refuse(error);
    }
  }

  /** Who calls, by the connection and what the headers show. @throws what `Authenticate` throws */
  #callerOf(
    { session }: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ): Principal | undefined | Promise<Principal | undefined> {
    const { address, authenticate } = this.options;
    const live = session && !session.destroyed ? session : undefined;
    const key = firstOf(headers["x-api-key"]);
    const presented = presentedCredentials(
      ...([address, headers.authorization, key, originOf(live), peerOf(live?.socket)] as const),
    );
    const field = firstOf(headers[callerField]);
    const found = (principal: Principal | undefined): Principal | undefined => {
      if (principal && session && !session.destroyed) noteCredential(session.socket);
      return principal && field !== undefined ? onBehalf(principal, field) : principal;
    };
    const principal = authenticate(presented);
    return principal instanceof Promise ? principal.then(found) : found(principal);
  }

  #admit(call: GrpcCall, { method, isOpen }: GrpcRoute, principal: Principal | undefined): void {
    if (!principal && !isOpen) {
      const { requestHeader: sent } = call.metadata;
      const text = unauthenticatedMessage(sent.get("authorization"), sent.get("x-api-key"));
      this.#refuse(call, new WireError(codes.unauthenticated, text));
      return;
    }
    if (principal?.onBehalfOf && method.kind !== "unary") {
      const text = "a stream is nobody's but its caller's: it is not opened on behalf of another";
      this.#refuse(call, new WireError(codes.unimplemented, text));
      return;
    }
    const tooMany = principal ? undefined : this.options.openCalls.take(call.stream);
    if (tooMany) {
      this.#refuse(call, call.toWire(toWireError(tooMany)));
      return;
    }
    call.principal = principal ?? anyone;
    if (method.kind !== "bidi_streaming") {
      call.readOne();
      return;
    }
    const requests = call.readAll(async (frame) => decoded(method, await this.#message(call, frame)));
    call.answeredBy(method.open(requests, call, call));
  }

  #refuse(call: GrpcCall, error: WireError): void {
    if (this.#refusals.take(call.stream)) call.guard(() => call.fail(error));
  }

  #onRequest(method: BoundMethod, call: GrpcCall, frame: Frame): void {
    const message = this.#message(call, frame);
    if (message instanceof Promise)
      message.then(
        (bytes) => call.guard(() => run(method, call, bytes)),
        (error: unknown) => call.guard(() => call.fail(call.toWire(error))),
      );
    else run(method, call, message);
  }

  #message(call: GrpcCall, { isCompressed, bytes }: Frame): Buffer | Promise<Buffer> {
    return isCompressed ? decompress(bytes, call.encoding, this.options.limits.maxMessageBytes) : bytes;
  }
}

function run(method: BoundMethod, call: GrpcCall, bytes: Buffer): void {
  const failed = (error: unknown): void =>
    call.guard(() => {
      if (!call.isOver) call.fail(call.toWire(error));
    });
  try {
    const request = decoded(method, bytes);
    if (method.kind === "server_streaming") call.answeredBy(method.open(request, call, call));
    if (method.kind !== "unary") return;
    const answer = method.call(request, call);
    if (answer instanceof Promise) answer.then((message) => call.answer(message)).catch(failed);
    else call.answer(answer);
  } catch (error) {
    failed(error);
  }
}

/** The address and the port, as the audit log has them of calls. */
function originOf(session: Http2Session | undefined): string {
  const { remoteAddress, remotePort } = session?.socket ?? {};
  if (remoteAddress === undefined) return "unknown";
  return remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`;
}

function firstOf(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field[0] : field;
}

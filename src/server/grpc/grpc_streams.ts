import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { fromBinary, type Message } from "@bufbuild/protobuf";
import type { Authenticate } from "../../domain/access/presented_credentials.js";
import type { Principal } from "../../model/access/principal.js";
import type { Limits } from "../../model/limits.js";
import type { ListenAddress } from "../../model/listen_address.js";
import type { Clock } from "../../runtime/clock.js";
import type { BoundMethod, BoundService } from "../../service/pipeline/bound_service.js";
import { toWireError as toServiceError } from "../../service/pipeline/error_table.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { unauthenticatedMessage } from "../callers/api_key.js";
import { callerTrace } from "../callers/caller_trace.js";
import { SessionCallers } from "../callers/session_callers.js";
import { methodName, neverAborted, toWireError } from "../connect/wire_answer.js";
import type { OnUnexpected } from "../listen/listener.js";
import { headersRefusal } from "../listen/listener_limits.js";
import type { ResetGuard } from "../listen/reset_guard.js";
import type { UnauthenticatedStreams } from "../listen/unauthenticated_streams.js";
import { PlainCall, type PlainCallOptions } from "./grpc_stream.js";

export interface PlainCallsOptions {
  readonly services: readonly BoundService[];
  readonly address: ListenAddress;
  readonly authenticate: Authenticate;
  readonly limits: Limits;
  /** Without it deadlines are left to grpc-js, and clients that do not read are waited for. */
  readonly clock: Clock | undefined;
  readonly resets: ResetGuard;
  readonly unauthenticated: UnauthenticatedStreams;
  readonly onUnexpected: OnUnexpected;
}

/** Streams of requests are few, and left to grpc-js. */
type PlainMethod = Exclude<BoundMethod, { kind: "bidi_streaming" }>;

interface Route {
  readonly method: PlainMethod;
  readonly options: PlainCallOptions;
}

const timeoutUnits: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Serves plain gRPC calls, as nearly all are, on the streams of node:http2 themselves: what grpc-js builds around a call costs
 * several times the call. Whatever is not plain (compression, a malformed deadline, another method) is left to grpc-js.
 */
export class PlainCalls {
  readonly #options: PlainCallsOptions;
  readonly #callers: SessionCallers;
  readonly #routes = new Map<string, Route>();

  constructor(options: PlainCallsOptions) {
    this.#options = options;
    const { address, authenticate, clock, limits, resets } = options;
    this.#callers = new SessionCallers(address, authenticate, clock);
    for (const method of options.services.flatMap(({ methods }) => methods)) {
      if (method.kind === "bidi_streaming") continue;
      const path = `/${methodName(method.descriptor)}`;
      this.#routes.set(path, {
        method,
        options: {
          path,
          output: method.descriptor.output,
          maxMessageBytes: limits.maxMessageBytes,
          onRequest: (call, message) => this.#run(method, call, message),
          onBroken: (error) => options.onUnexpected(error, methodName(method.descriptor)),
          toWire: (error) => this.#wire(error, method),
          patience: clock && { clock, timeoutMs: limits.streamReadTimeoutMs },
          onClose: (stream) => resets.closed(stream),
        },
      });
    }
  }

  /** Serves the call. @returns false when it is one for grpc-js, and then nothing was done */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const route = this.#routes.get(headers[":path"] ?? "");
    if (!route || !isPlain(headers) || stream.destroyed) return false;
    const timeoutMs = timeoutOf(headers["grpc-timeout"]);
    const { clock } = this.#options;
    if (timeoutMs !== undefined && (Number.isNaN(timeoutMs) || !clock)) return false;
    const call = new PlainCall(stream, route.options);
    call.trace = callerTrace(headers["traceparent"], headers["tracestate"]);
    if (timeoutMs !== undefined && clock) call.startDeadline((passed) => clock.setTimer(timeoutMs, passed));
    call.guard(() => this.#admit(call, route.method, headers));
    return true;
  }

  #admit(call: PlainCall, method: PlainMethod, headers: IncomingHttpHeaders): void {
    const { limits, unauthenticated } = this.#options;
    const tooLarge = headersRefusal(headers, limits);
    if (tooLarge) {
      if (unauthenticated.take(call.stream)) call.fail(toServiceError(tooLarge) as WireError);
      return;
    }
    const refuse = (error: unknown): void => {
      if (unauthenticated.take(call.stream)) call.guard(() => call.fail(this.#refusal(method, error)));
    };
    try {
      const caller = this.#callers.callerOf(call.stream, headers);
      if (caller instanceof Promise)
        caller.then((principal) => call.guard(() => admit(call, principal, unauthenticated)), refuse);
      else admit(call, caller, unauthenticated);
    } catch (error) {
      refuse(error);
    }
  }

  /** What a caller is told whose credentials could not be verified just now. */
  #refusal({ descriptor }: BoundMethod, error: unknown): WireError {
    return toWireError(
      toServiceError(error),
      neverAborted,
      methodName(descriptor),
      this.#options.onUnexpected,
    );
  }

  #run(method: PlainMethod, call: PlainCall, bytes: Buffer): void {
    const { input } = method.descriptor;
    let request: Message;
    try {
      request = method.decode ? method.decode(bytes) : fromBinary(input, bytes);
    } catch {
      call.fail(new WireError(codes.invalid_argument, `the request is no well-formed ${input.typeName}`));
      return;
    }
    const failed = (error: unknown): void =>
      call.guard(() => {
        if (!call.isOver) call.fail(this.#wire(error, method));
      });
    try {
      if (method.kind === "server_streaming") {
        call.answeredBy(method.open(request, call, call));
        return;
      }
      const answer = method.call(request, call);
      if (answer instanceof Promise) answer.then((message) => call.answer(message)).catch(failed);
      else call.answer(answer);
    } catch (error) {
      failed(error);
    }
  }

  #wire(error: unknown, { descriptor }: BoundMethod): WireError {
    return toWireError(error, neverAborted, methodName(descriptor), this.#options.onUnexpected);
  }
}

function admit(
  call: PlainCall,
  principal: Principal | undefined,
  unauthenticated: UnauthenticatedStreams,
): void {
  if (!principal) {
    if (unauthenticated.take(call.stream))
      call.fail(new WireError(codes.unauthenticated, unauthenticatedMessage));
    return;
  }
  call.principal = principal;
  call.read();
}

function isPlain(headers: IncomingHttpHeaders): boolean {
  const type = headers["content-type"];
  const encoding = headers["grpc-encoding"];
  return (
    (type === "application/grpc" || type === "application/grpc+proto") &&
    (encoding === undefined || encoding === "identity") &&
    headers[":method"] === "POST"
  );
}

/** In milliseconds; NaN when it is malformed. */
function timeoutOf(field: string | string[] | undefined): number | undefined {
  if (field === undefined) return undefined;
  const [, digits, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(String(field)) ?? [];
  return Number(digits) * (timeoutUnits[unit] ?? Number.NaN);
}

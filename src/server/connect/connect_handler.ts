import { createRegistry, type DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { anyone, type Principal } from "../../model/access/principal.js";
import { edgePolicy } from "../../model/edge_policy.js";
import { ResourceExhausted } from "../../model/errors.js";
import type { Limits } from "../../model/limits.js";
import type { Clock } from "../../runtime/clock.js";
import type { BoundMethod, BoundService } from "../../service/pipeline/bound_service.js";
import { toWireError } from "../../service/pipeline/error_table.js";
import { restError } from "../../service/pipeline/rest_error.js";
import { rpcName } from "../../service/pipeline/rpc_access.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { unauthenticatedMessage } from "../callers/request_headers.js";
import {
  answerOrDestroy,
  isHttp2,
  pathOf,
  queryOf,
  type Request,
  type Response,
  refuseRest,
} from "../listen/http_message.js";
import { answeredError, type OnUnexpected } from "../listen/listener.js";
import { headersRefusal, type ListenerLimits, limitsOf, messageTooLarge } from "../listen/listener_limits.js";
import { UnauthenticatedStreams, UnreadAnswers } from "../listen/stream_watchdogs.js";
import { noteCredential } from "../sockets/socket_notes.js";
import { type ConnectCallDeps, serveCall } from "./connect_call.js";
import { answerJson, answerMediaType, answerMethod, writeJson } from "./json_answer.js";
import { finish, type Protocol, protocolOf, protocolOfQuery, serves } from "./protocols.js";

/** What the protocols put before a message. */
const envelopeBytes = 5;

export type ConnectHandler = (request: Request, response: Response) => void;

export interface ConnectHandlerOptions {
  readonly services: readonly BoundService[];
  readonly onUnexpected: OnUnexpected;
  readonly clock: Clock;
  readonly bounds?: ListenerLimits | undefined;
  readonly routes?: (request: Request, response: Response, principal: Principal | undefined) => boolean;
  identify(request: Request): Principal | undefined | Promise<Principal | undefined>;
  /**
   * Whether a malformed `Host` or `:authority` is refused. Over a Unix socket it says nothing, and clients of some
   * languages send the percent-encoded path of the socket, which no URL may hold.
   */
  readonly checksAuthority: boolean;
}

interface ConnectRoute {
  readonly descriptor: DescMethod;
  /** Undefined where nothing answers it. */
  readonly method: BoundMethod | undefined;
  /** Whether callers without a credential are served. */
  readonly isOpen: boolean;
}

/** The request listener of a call listener: Connect, gRPC-Web, and gRPC with JSON or over HTTP/1.1; what is no RPC goes to `routes`. */
export function connectHandler(options: ConnectHandlerOptions): ConnectHandler {
  const requests = new ConnectRequests(options);
  return (request, response) => requests.handle(request, response);
}

class ConnectRequests {
  readonly #routes = new Map<string, ConnectRoute>();
  readonly #limits: Limits;
  readonly #calls: ConnectCallDeps;
  readonly #unauthenticated: UnauthenticatedStreams;
  readonly #unread: UnreadAnswers;

  constructor(private readonly options: ConnectHandlerOptions) {
    const { services, bounds, clock, onUnexpected } = options;
    this.#limits = limitsOf(bounds);
    for (const { descriptor: service, methods, isOpen = false } of services) {
      for (const descriptor of service.methods) {
        const method = methods.find((each) => each.descriptor === descriptor);
        this.#routes.set(`/${rpcName(descriptor)}`, { descriptor, method, isOpen });
      }
    }
    this.#calls = {
      registry: createRegistry(...services.map(({ descriptor }) => descriptor.file)),
      maxMessageBytes: this.#limits.maxMessageBytes,
      clock,
      readDeadline: bounds && { clock: bounds.clock, timeoutMs: this.#limits.streamReadTimeoutMs },
      onUnexpected,
    };
    this.#unread = new UnreadAnswers(bounds);
    this.#unauthenticated = new UnauthenticatedStreams(
      edgePolicy.unauthenticatedStreams.maxResponses,
      bounds?.clock,
    );
  }

  handle(request: Request, response: Response): void {
    this.#serve(request, response).catch((error: unknown) => {
      // A stream that was reset before it was served has lost its socket.
      if (isHttp2(response) ? request.destroyed : response.destroyed) return;
      this.options.onUnexpected(error, pathOf(request));
      answerOrDestroy(response, () => answerJson(response, 500, "internal", "internal error"));
    });
  }

  async #serve(request: Request, response: Response): Promise<void> {
    this.#unread.watch(response);
    refuseRest(response);
    if (!this.options.checksAuthority) request.headers[authorityField(request)] = "localhost";
    else if (!hasAuthority(request)) {
      if (!this.#admits(undefined, request, response)) return;
      answerJson(response, 400, "bad_request", "the host of the request is missing or malformed");
      return;
    }
    const caller = await this.#identify(request);
    if (!this.#admits(caller, request, response)) return;
    const route = this.#routes.get(pathOf(request));
    if (route) this.#call(route, caller, request, response);
    else if (caller instanceof WireError) answerRefusal(response, caller);
    else if (!this.options.routes?.(request, response, caller)) answerUnknown(request, response);
  }

  /** @returns who calls, or why that is unknown */
  async #identify(request: Request): Promise<Principal | undefined | WireError> {
    try {
      const tooLarge =
        request.httpVersionMajor === 2 ? headersRefusal(request.headers, this.#limits) : undefined;
      if (tooLarge) throw tooLarge;
      return await this.options.identify(request);
    } catch (error) {
      const { onUnexpected } = this.options;
      return answeredError(toWireError(error), pathOf(request).slice(1), onUnexpected);
    }
  }

  /** @returns false when there are too many callers without a credential, and then the stream was reset */
  #admits(caller: Principal | undefined | WireError, request: Request, response: Response): boolean {
    if (caller === undefined || caller instanceof WireError) {
      return !isHttp2(response) || this.#unauthenticated.take(response.stream);
    }
    noteCredential(request.socket);
    return true;
  }

  #call(
    route: ConnectRoute,
    caller: Principal | undefined | WireError,
    request: Request,
    response: Response,
  ): void {
    const { descriptor, method } = route;
    const type = request.headers["content-type"];
    const allowed = allowedMethods(descriptor);
    if (!allowed.includes(request.method ?? "")) {
      answerMethod(response, allowed);
      return;
    }
    const protocol = request.method === "GET" ? protocolOfQuery(queryOf(request)) : protocolOf(type);
    if (!protocol || !serves(protocol, descriptor)) {
      answerMediaType(response, typeWords(type, descriptor));
      return;
    }
    const refused = caller instanceof WireError ? caller : this.#refusalOf(caller, request, route);
    if (refused || caller instanceof WireError || !method) refuse(response, protocol, refused);
    else serveCall({ method, protocol, principal: caller ?? anyone, request, response }, this.#calls);
  }

  /** Why a call gets no further than its headers, if it does not. */
  #refusalOf(
    caller: Principal | undefined,
    { headers }: Request,
    { isOpen }: ConnectRoute,
  ): WireError | undefined {
    const { maxMessageBytes } = this.#limits;
    if (!caller && !isOpen) {
      const text = unauthenticatedMessage(headers.authorization, headers["x-api-key"]);
      return new WireError(codes.unauthenticated, text);
    }
    const isTooLong = Number(headers["content-length"] ?? 0) > maxMessageBytes + envelopeBytes;
    return isTooLong ? messageTooLarge(maxMessageBytes) : undefined;
  }
}

const unimplemented = new WireError(codes.unimplemented, "there is no such method");

/**
 * Answers a call that is refused by its headers alone, in the form of its protocol. It reads nothing of the message, so a caller without
 * access cannot make the daemon hold anything.
 */
function refuse(response: Response, protocol: Protocol, error = unimplemented): void {
  if (!response.headersSent && !response.destroyed) finish(response, protocol, error);
}

/** What has no side effects may be asked by GET (Connect, "Unary-Get-Request"). */
function allowedMethods({ methodKind, idempotency }: DescMethod): readonly string[] {
  const isRead = idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return methodKind === "unary" && isRead ? ["POST", "GET"] : ["POST"];
}

/** The type itself is not repeated: it is a text of anybody's. */
function typeWords(type: string | undefined, { methodKind }: DescMethod): string {
  const what = type === undefined ? "has no content-type" : "has a content-type that no RPC is sent with";
  const wanted = methodKind === "unary" ? "application/json" : "application/connect+json";
  return `the request ${what}: send JSON with "content-type: ${wanted}"`;
}

/** A refusal as the REST routes write it. */
function answerRefusal(response: Response, refusal: WireError): void {
  const { status, body, headers = {} } = restError(refusal);
  const isHeaders =
    refusal.cause instanceof ResourceExhausted && refusal.cause.reason === "HEADERS_TOO_LARGE";
  writeJson(response, isHeaders ? 431 : status, body, { headers });
}

const nothing = "there is nothing at this path";
const atBrowserListener =
  "there is nothing at this path: the browser listener (NEXUS_BROWSER_LISTEN) serves /auth/callback and the pages for users; have your proxy send them there";

/** A client of an RPC protocol learns that there is no such method in the words of that protocol. */
function answerUnknown(request: Request, response: Response): void {
  const type = request.headers["content-type"] ?? "";
  const protocol = protocolOf(type);
  const isConnect =
    /^application\/(proto|connect\+)/.test(type) || request.headers["connect-protocol-version"] !== undefined;
  if (protocol?.name.startsWith("grpc")) refuse(response, protocol);
  else if (isConnect) writeJson(response, 404, { code: "unimplemented", message: unimplemented.message });
  else
    answerJson(
      response,
      404,
      "not_found",
      pathOf(request).startsWith("/auth/") ? atBrowserListener : nothing,
    );
}

function authorityField(request: Request): ":authority" | "host" {
  return request.httpVersionMajor === 2 ? ":authority" : "host";
}

/** One, and well-formed (RFC 9112, section 3.2): of two hosts a proxy may have looked at the other. */
function hasAuthority(request: Request): boolean {
  const hosts = request.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host");
  if (hosts.length > 1) return false;
  const authority = request.headers[authorityField(request)] ?? request.headers.host;
  return typeof authority === "string" && URL.canParse(`http://${authority}`);
}

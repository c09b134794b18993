import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Principal } from "../../model/access/principal.js";
import { ResourceExhausted } from "../../model/errors.js";
import type { Limits } from "../../model/limits.js";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import { toWireError as toServiceError } from "../../service/pipeline/error_table.js";
import { restError } from "../../service/pipeline/rest_error.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { unauthenticatedMessage } from "../callers/api_key.js";
import {
  answerOrDestroy,
  isHttp2,
  pathOf,
  type Request,
  type Response,
  refuseRest,
} from "../listen/http_message.js";
import type { OnUnexpected } from "../listen/listener.js";
import { headersRefusal, type ListenerLimits, limitsOf, messageTooLarge } from "../listen/listener_limits.js";
import { UnauthenticatedStreams } from "../listen/unauthenticated_streams.js";
import { UnreadAnswers } from "../listen/unread_answers.js";
import { noteCredential } from "../sockets/socket_guard.js";
import { type Caller, contextOf, openServices, routeService, toConnectError } from "./connect_binding.js";
import { decodableBody } from "./decodable_body.js";
import { withoutValues } from "./decode_failure.js";
import { refuseEarly } from "./early_refusal.js";
import { answerJson, answerMediaType, writeJson } from "./json_answer.js";
import { neverAborted, toWireError } from "./wire_answer.js";

/** Answers to callers without a credential at a time, over HTTP/2; the longest is the OpenAPI document. */
const maxUnauthenticatedStreams = 32;

/** What the protocols put before a message. */
const envelopeBytes = 5;

export type ConnectHandler = (request: Request, response: Response) => void;

export interface ConnectHandlerOptions {
  readonly services: readonly BoundService[];
  readonly onUnexpected: OnUnexpected;
  readonly bounds?: ListenerLimits | undefined;
  readonly routes?: (request: Request, response: Response, principal: Principal | undefined) => boolean;
  identify(request: Request): Principal | undefined | Promise<Principal | undefined>;
  /**
   * Whether a malformed `Host` or `:authority` is refused. Over a Unix socket it says nothing, and clients of some
   * languages send the percent-encoded path of the socket, which no URL may hold.
   */
  readonly checksAuthority: boolean;
}

/**
 * The request listener of the HTTP listener. It stands in for the library's own `connectNodeAdapter`, which lets a malformed
 * request throw out of the listener and so end the process, and writes to the console whenever a client cancels.
 */
export function connectHandler(options: ConnectHandlerOptions): ConnectHandler {
  const requests = new ConnectRequests(options);
  return (request, response) => requests.handle(request, response);
}

class ConnectRequests {
  readonly #services: ReadonlyMap<string, BoundService>;
  /** By path, of each service that was asked for: one that nobody calls needs none. */
  readonly #handlers = new Map<BoundService, ReadonlyMap<string, UniversalHandler>>();
  /** Names of the services that serve callers without a credential. */
  readonly #open: ReadonlySet<string>;
  readonly #limits: Limits;
  readonly #unauthenticated: UnauthenticatedStreams;
  readonly #unread: UnreadAnswers;

  constructor(private readonly options: ConnectHandlerOptions) {
    const { services, bounds } = options;
    this.#services = new Map(services.map((service) => [service.descriptor.typeName, service]));
    this.#open = openServices(services);
    this.#limits = limitsOf(bounds);
    this.#unread = new UnreadAnswers(bounds);
    this.#unauthenticated = new UnauthenticatedStreams(maxUnauthenticatedStreams, bounds?.clock);
  }

  handle(request: Request, response: Response): void {
    this.#guard(request, response, () => this.#serve(request, response));
  }

  #serve(request: Request, response: Response): void {
    this.#unread.watch(response);
    refuseRest(response);
    if (!this.options.checksAuthority) request.headers[authorityField(request)] = "localhost";
    else if (!hasAuthority(request)) {
      if (isHttp2(response) && !this.#unauthenticated.take(response.stream)) return;
      answerJson(response, 400, "bad_request", "the host of the request is missing or malformed");
      return;
    }
    const principal = this.#identify(request);
    if (!(principal instanceof Promise)) {
      this.#serveTo(principal, request, response);
      return;
    }
    void principal
      .catch((error: unknown) => this.#refusal(request, error))
      .then((caller) => this.#guard(request, response, () => this.#serveTo(caller, request, response)));
  }

  #identify(request: Request): Caller | Promise<Caller> {
    const tooLarge =
      request.httpVersionMajor === 2 ? headersRefusal(request.headers, this.#limits) : undefined;
    if (tooLarge) return this.#refusal(request, tooLarge);
    try {
      return this.options.identify(request);
    } catch (error) {
      return this.#refusal(request, error);
    }
  }

  #refusal(request: Request, error: unknown): WireError {
    const { onUnexpected } = this.options;
    return toWireError(toServiceError(error), neverAborted, pathOf(request).slice(1), onUnexpected);
  }

  #serveTo(caller: Caller, request: Request, response: Response): void {
    if (isPrincipal(caller)) noteCredential(request.socket);
    else if (isHttp2(response) && !this.#unauthenticated.take(response.stream)) return;
    const handler = this.#handlerOf(pathOf(request));
    if (!handler) {
      if (caller instanceof WireError) answerRefusal(response, caller);
      else if (this.options.routes?.(request, response, caller)) return;
      else answerUnknown(request, response);
      return;
    }
    const refused = refusalOf(caller, request, this.#limits, this.#open.has(handler.service.typeName));
    const type = request.headers["content-type"] ?? null;
    if (request.method === "POST" && !handler.supportedContentType(type)) {
      answerMediaType(response, typeWords(type, handler));
      return;
    }
    // Of another method the library reads nothing, and says which it takes.
    if (refused && request.method === "POST") {
      refuseEarly(request, response, toConnectError(refused), refused);
      return;
    }
    // The library throws on what it cannot make a URL or headers of, and by then nothing else catches it.
    this.#guard(request, response, () => this.#serveByLibrary(handler, caller, request, response));
  }

  #handlerOf(path: string): UniversalHandler | undefined {
    const { services, onUnexpected, bounds } = this.options;
    const service = this.#services.get(path.slice(1, path.lastIndexOf("/")));
    if (!service) return undefined;
    const made = this.#handlers.get(service);
    if (made) return made.get(path);
    const handlers = routeService(service, { services, onUnexpected, bounds });
    const byPath = new Map(handlers.map((handler) => [handler.requestPath, handler]));
    this.#handlers.set(service, byPath);
    return byPath.get(path);
  }

  #serveByLibrary(handler: UniversalHandler, caller: Caller, request: Request, response: Response): void {
    const context = contextOf(caller, response);
    const call = universalRequestFromNodeRequest(request, response, undefined, context);
    const body = this.#decodable(handler, request, bodyOf(request, call));
    handler({ ...call, body })
      .then((answer) => universalResponseToNodeResponse(withoutValues(answer), response))
      .catch((error: unknown) => {
        // The handler turns every failure of a call into an answer: this one is of the connection, or of the library.
        if (!call.signal.aborted) this.options.onUnexpected(error, handler.requestPath.slice(1));
        response.destroy();
      });
  }

  #decodable(
    { method }: UniversalHandler,
    request: Request,
    body: UniversalServerRequest["body"],
  ): UniversalServerRequest["body"] {
    const [type = ""] = (request.headers["content-type"] ?? "").split(";");
    const isOne = method.methodKind === "unary" || method.methodKind === "server_streaming";
    const isPlain = (request.headers["content-encoding"] ?? "identity") === "identity";
    return isOne && isPlain && judgedTypes.test(type) && isStream(body)
      ? decodableBody(body, method.input, type, this.#limits.maxMessageBytes)
      : body;
  }

  #guard(request: Request, response: Response, work: () => void): void {
    try {
      work();
    } catch (error) {
      // A stream that was reset before it was served has lost its socket, and the library throws on that.
      if (isHttp2(response) ? request.destroyed : response.destroyed) return;
      this.options.onUnexpected(error, pathOf(request));
      answerOrDestroy(response, () => answerJson(response, 500, "internal", "internal error"));
    }
  }
}

/** What the library answers without a word. The type itself is not repeated: it is a text of anybody's. */
function typeWords(type: string | null, { method }: UniversalHandler): string {
  const what = type === null ? "has no content-type" : "has a content-type that no RPC is sent with";
  const wanted = method.methodKind === "unary" ? "application/json" : "application/connect+json";
  return `the request ${what}: send JSON with "content-type: ${wanted}"`;
}

const judgedTypes = /^application\/((connect|grpc|grpc-web)\+)?(proto|json)$|^application\/grpc(-web)?$/;

function isStream(body: UniversalServerRequest["body"]): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

function isPrincipal(caller: Caller): caller is Principal {
  return caller !== undefined && !(caller instanceof WireError);
}

/** Over HTTP/1.1 the library's own would be destroyed where it is left, and its rest never read: the client would wait for ever. */
function bodyOf(request: Request, { body }: UniversalServerRequest): UniversalServerRequest["body"] {
  return isStream(body) && request.httpVersionMajor === 1
    ? request.iterator({ destroyOnReturn: false })
    : body;
}

/** Why a call gets no further than its headers, if it does not. */
function refusalOf(
  caller: Caller,
  request: Request,
  { maxMessageBytes }: Limits,
  isOpen: boolean,
): WireError | undefined {
  if (caller instanceof WireError) return caller;
  const { authorization, "x-api-key": key } = request.headers;
  if (!caller && !isOpen)
    return new WireError(codes.unauthenticated, unauthenticatedMessage(authorization, key));
  const isTooLong = Number(request.headers["content-length"] ?? 0) > maxMessageBytes + envelopeBytes;
  return isTooLong ? messageTooLarge(maxMessageBytes) : undefined;
}

/** A refusal as the REST routes write it. */
function answerRefusal(response: Response, refusal: WireError): void {
  const { status, body, headers = {} } = restError(refusal);
  const isHeaders =
    refusal.cause instanceof ResourceExhausted && refusal.cause.reason === "HEADERS_TOO_LARGE";
  writeJson(response, isHeaders ? 431 : status, body, { headers });
}

/** A client of an RPC protocol learns that there is no such method in the words of that protocol. */
function answerUnknown(request: Request, response: Response): void {
  const type = request.headers["content-type"] ?? "";
  const unimplemented = new WireError(codes.unimplemented, "there is no such method");
  const isConnect =
    /^application\/(proto|connect\+)/.test(type) || request.headers["connect-protocol-version"] !== undefined;
  if (type.startsWith("application/grpc"))
    refuseEarly(request, response, toConnectError(unimplemented), unimplemented);
  else if (isConnect) writeJson(response, 404, { code: "unimplemented", message: unimplemented.message });
  else answerJson(response, 404, "not_found", "there is nothing at this path");
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

import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { anyone, type Principal } from "../../model/access/principal.js";
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
import { contextOf, routeServices } from "./connect_binding.js";
import { decodableBody } from "./decodable_body.js";
import { answerJson, answerMediaType, answerMethod, writeJson } from "./json_answer.js";
import { neverAborted, refuseEarly, toWireError } from "./wire_answer.js";

/**
 * What the library says of JSON that it cannot decode, up to what it found there. The library goes on with the value, which may be a secret
 * in the wrong place. It must not get into the caller's log, or control the terminal that shows it.
 */
const decodeFailure = /cannot decode (?:(?:field|message|enum|oneof) )?[\w.]+ from JSON/;

/** The same answer, with nothing of the request in what is reported of a message that could not be decoded. */
function withoutValues(answer: UniversalServerResponse): UniversalServerResponse {
  for (const fields of [answer.header, answer.trailer]) {
    const message = fields?.get("grpc-message");
    if (message) fields?.set("grpc-message", encodeURIComponent(withoutValue(decoded(message))));
  }
  const type = answer.header?.get("content-type") ?? "";
  if (answer.status === 200 || !type.startsWith("application/json") || !answer.body) return answer;
  answer.header?.delete("content-length");
  return { ...answer, body: rewritten(answer.body as AsyncIterable<Uint8Array>) };
}

/** An error of Connect is one chunk (its specification, "Error end-stream"). */
async function* rewritten(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const chunk of body) {
    const error = JSON.parse(Buffer.from(chunk).toString("utf8")) as { message?: unknown };
    if (typeof error.message !== "string") yield chunk;
    else yield Buffer.from(JSON.stringify({ ...error, message: withoutValue(error.message) }));
  }
}

/** The library names neither the field of these nor their form. */
const forms: Readonly<Record<string, string>> = {
  Duration: 'a duration is a text of seconds, as "60s"',
  Timestamp: 'a time is a text as "2026-01-31T12:00:00Z"',
};

function withoutValue(message: string): string {
  const [what] = decodeFailure.exec(message) ?? [];
  if (what === undefined) return message;
  const [, wellKnown = ""] = / google\.protobuf\.(\w+) from/.exec(what) ?? [];
  return `${what}: ${forms[wellKnown] ?? "it is no such value"}`;
}

function decoded(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}

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
 * The request listener of the HTTP listener. It replaces the library's `connectNodeAdapter`, with which a malformed request throws out of
 * the listener and so ends the process. That one also writes to the console whenever a client cancels.
 */
export function connectHandler(options: ConnectHandlerOptions): ConnectHandler {
  const requests = new ConnectRequests(options);
  return (request, response) => requests.handle(request, response);
}

class ConnectRequests {
  readonly #handlers: ReadonlyMap<string, UniversalHandler>;
  /** Names of the services that serve callers without a credential. */
  readonly #open: ReadonlySet<string>;
  readonly #limits: Limits;
  readonly #unauthenticated: UnauthenticatedStreams;
  readonly #unread: UnreadAnswers;

  constructor(private readonly options: ConnectHandlerOptions) {
    const { services, bounds } = options;
    this.#handlers = new Map(routeServices(options).map((handler) => [handler.requestPath, handler]));
    this.#open = new Set(
      services.filter(({ isOpen }) => isOpen).map(({ descriptor }) => descriptor.typeName),
    );
    this.#limits = limitsOf(bounds);
    this.#unread = new UnreadAnswers(bounds);
    this.#unauthenticated = new UnauthenticatedStreams(maxUnauthenticatedStreams, bounds?.clock);
  }

  handle(request: Request, response: Response): void {
    this.#serve(request, response).catch((error: unknown) => {
      // A stream that was reset before it was served has lost its socket, and the library throws on that.
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
    const handler = this.#handlers.get(pathOf(request));
    if (handler) this.#call(handler, caller, request, response);
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
      return toWireError(toServiceError(error), neverAborted, pathOf(request).slice(1), onUnexpected);
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
    handler: UniversalHandler,
    caller: Principal | undefined | WireError,
    request: Request,
    response: Response,
  ): void {
    const type = request.headers["content-type"] ?? null;
    const method = request.method ?? "";
    if (!handler.allowedMethods.includes(method)) answerMethod(response, handler.allowedMethods);
    else if (method === "POST" && !handler.supportedContentType(type))
      answerMediaType(response, typeWords(type, handler));
    else if (caller instanceof WireError) refuseEarly(request, response, caller);
    else {
      const refused = this.#refusalOf(caller, request, handler);
      if (refused) refuseEarly(request, response, refused);
      else this.#serveByLibrary(handler, caller ?? anyone, request, response);
    }
  }

  /** Why a call gets no further than its headers, if it does not. */
  #refusalOf(caller: Principal | undefined, { headers }: Request, { service }: UniversalHandler) {
    const { maxMessageBytes } = this.#limits;
    if (!caller && !this.#open.has(service.typeName)) {
      const text = unauthenticatedMessage(headers.authorization, headers["x-api-key"]);
      return new WireError(codes.unauthenticated, text);
    }
    const isTooLong = Number(headers["content-length"] ?? 0) > maxMessageBytes + envelopeBytes;
    return isTooLong ? messageTooLarge(maxMessageBytes) : undefined;
  }

  #serveByLibrary(
    handler: UniversalHandler,
    principal: Principal,
    request: Request,
    response: Response,
  ): void {
    const context = contextOf(principal, response);
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

/** Over HTTP/1.1 the library's own would be destroyed where it is left, and its rest never read: the client would wait for ever. */
function bodyOf(request: Request, { body }: UniversalServerRequest): UniversalServerRequest["body"] {
  return isStream(body) && request.httpVersionMajor === 1
    ? request.iterator({ destroyOnReturn: false })
    : body;
}

/** A refusal as the REST routes write it. */
function answerRefusal(response: Response, refusal: WireError): void {
  const { status, body, headers = {} } = restError(refusal);
  const isHeaders =
    refusal.cause instanceof ResourceExhausted && refusal.cause.reason === "HEADERS_TOO_LARGE";
  writeJson(response, isHeaders ? 431 : status, body, { headers });
}

const nothing = "there is nothing at this path";
const elsewhere =
  "there is nothing at this path: the browser listener (NEXUS_BROWSER_LISTEN) serves /auth/callback and the pages for users; have your proxy send them there";

/** A client of an RPC protocol learns that there is no such method in the words of that protocol. */
function answerUnknown(request: Request, response: Response): void {
  const type = request.headers["content-type"] ?? "";
  const unimplemented = new WireError(codes.unimplemented, "there is no such method");
  const isConnect =
    /^application\/(proto|connect\+)/.test(type) || request.headers["connect-protocol-version"] !== undefined;
  if (type.startsWith("application/grpc")) refuseEarly(request, response, unimplemented);
  else if (isConnect) writeJson(response, 404, { code: "unimplemented", message: unimplemented.message });
  else answerJson(response, 404, "not_found", pathOf(request).startsWith("/auth/") ? elsewhere : nothing);
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

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { edgePolicy } from "../../model/edge_policy.js";
import type { ListenAddress } from "../../model/listen_address.js";
import { answerOrDestroy, readBody } from "./http_message.js";
import type { ListenerPlace, OnUnexpected } from "./listener.js";
import { answerClientError, guardOf, limitsOf } from "./listener_limits.js";
import { limitPipelining } from "./pipelining.js";
import { StreamListener } from "./stream_listener.js";
import { UnreadAnswers } from "./stream_watchdogs.js";

/** An answer. A `HEAD` gets its headers. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string;
}

export interface HttpListenerOptions extends ListenerPlace {
  readonly listener: string;
  readonly listen: ListenAddress;
  /** Whether people open its pages, and no probe or program does. */
  readonly isForBrowsers?: true;
  /** @param body what `maxBodyBytes` lets through; empty otherwise */
  answer(request: IncomingMessage, body: Buffer | "too_large"): Promise<HttpAnswer>;
  /** How long a body is wanted, 0 for none; default none ever. */
  maxBodyBytes?(request: IncomingMessage): number;
  /** For all clients together: bodies that have not arrived whole, and answers that are not sent. Default any number. */
  readonly maxHeldBytes?: number;
  /** How long a connection without a request stays; default 5 s. A client that keeps its connections longer may send into one that closes. */
  readonly keepAliveTimeoutMs?: number;
  /** What is answered when `answer` rejects, or gives what cannot be written. */
  readonly internalError: HttpAnswer;
  readonly onUnexpected: OnUnexpected;
}

/** A plain HTTP/1.1 server on one address, for the listeners that answer pages and probes. */
export class HttpListener {
  readonly #options: HttpListenerOptions;
  readonly #listener: StreamListener;
  readonly #server: Server;
  readonly #held: HeldBytes;
  /** RFC 6797: over its own TLS, a browser is instructed never to use plain text again. */
  readonly #transport: Readonly<Record<string, string>>;
  #closing = false;

  constructor(options: HttpListenerOptions) {
    this.#options = options;
    const bounds = limitsOf(options.bounds);
    const unread = new UnreadAnswers(options.bounds);
    this.#held = new HeldBytes(options.maxHeldBytes);
    const { keepAliveTimeoutMs: keepAliveTimeout = edgePolicy.pageRequests.keepAliveTimeout } = options;
    const given = { ...edgePolicy.pageRequests, keepAliveTimeout, maxHeaderSize: bounds.maxHeaderBytes };
    const server = createServer(given, (request, response) => {
      unread.watch(response);
      response.once("close", () => {
        this.#held.release(request);
        if (this.#closing) request.socket.end();
      });
      void this.#serve(request, response);
    });
    limitPipelining(server);
    server.on("clientError", (error, socket) =>
      answerClientError(error, socket as Socket, options.bounds, "text"),
    );
    this.#server = server;
    const isPageTls =
      options.isForBrowsers === true && options.listen.kind === "tcp" && options.tls !== undefined;
    this.#transport = isPageTls ? { "strict-transport-security": "max-age=31536000" } : {};
    const tls = options.listen.kind === "tcp" ? options.tls : undefined;
    const sockets = tls?.createServer(["http/1.1"], (socket) => void server.emit("connection", socket));
    this.#listener = new StreamListener(
      sockets ?? server,
      options.listen,
      options.listener,
      options.setting,
      options.sockets,
      guardOf(options.bounds, options.listener, false, options.listen.kind === "unix"),
    );
  }

  get addresses(): readonly ListenAddress[] {
    return this.#listener.bound ? [this.#listener.bound] : [];
  }

  async open(): Promise<void> {
    await this.#listener.open();
    // Behind TLS node:http does not listen by itself, which is when it starts to watch its timeouts.
    if (this.#listener.server !== this.#server) this.#server.emit("listening");
  }

  close(force: AbortSignal): Promise<void> {
    this.#closing = true;
    const closed = this.#listener.close(force);
    if (this.#listener.server !== this.#server) this.#server.close();
    return closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await this.#body(request);
      if (body !== "aborted") this.#send(request, response, await this.#options.answer(request, body));
    } catch (error) {
      this.#options.onUnexpected(error, splitTarget(request.url)?.path ?? "");
      answerOrDestroy(response, () => this.#send(request, response, this.#options.internalError));
    }
  }

  /** A body that is not wanted is read away, within the limits above. */
  async #body(request: IncomingMessage): Promise<Buffer | "too_large" | "aborted"> {
    const maxBytes = this.#options.maxBodyBytes?.(request) ?? 0;
    if (maxBytes > 0) return await readBody(request, maxBytes, (bytes) => this.#held.take(request, bytes));
    request.resume();
    return nothing;
  }

  #send(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer): void {
    const { status, headers, body } = answer;
    if (response.destroyed || response.headersSent) return;
    if (this.#closing) response.shouldKeepAlive = false;
    const byteLength = Buffer.byteLength(body);
    this.#held.answer(request, byteLength);
    response.writeHead(status, {
      ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, listOf(value)])),
      ...this.#transport,
      "content-length": byteLength,
    });
    if (request.method === "HEAD") response.end();
    else response.end(body);
  }
}

const nothing = Buffer.alloc(0);

/**
 * What a listener holds for all of its clients together: bodies that have not arrived whole, and answers that are not sent. Where it would be
 * more than it may, the connection whose request began first is closed: a client that sends at once and reads its answer is done before.
 */
class HeldBytes {
  /** By request, in the order in which they began. */
  readonly #held = new Map<IncomingMessage, number>();
  #sum = 0;

  /** @param maxBytes undefined for any number */
  constructor(private readonly maxBytes: number | undefined) {}

  /** A part of the body of a request arrived. */
  take(request: IncomingMessage, bytes: number): void {
    this.#hold(request, (this.#held.get(request) ?? 0) + bytes + edgePolicy.bodyPartBytes);
  }

  /** The body is done with, and the answer waits to be sent. */
  answer(request: IncomingMessage, bytes: number): void {
    this.#hold(request, bytes);
  }

  release(request: IncomingMessage): void {
    this.#sum -= this.#held.get(request) ?? 0;
    this.#held.delete(request);
  }

  #hold(request: IncomingMessage, bytes: number): void {
    if (this.maxBytes === undefined || request.socket.destroyed) return;
    this.#sum += bytes - (this.#held.get(request) ?? 0);
    this.#held.set(request, bytes);
    for (const [oldest] of this.#held) {
      if (this.#sum <= this.maxBytes) return;
      this.release(oldest);
      oldest.socket.destroy();
    }
  }
}

function listOf(value: string | readonly string[]): string | string[] {
  return typeof value === "string" ? value : [...value];
}

/** Splits a request target; `undefined` when it is no path (RFC 9112, section 3.2.1), as with a proxy's absolute form. */
export function splitTarget(
  target: string | undefined,
): { path: string; query: URLSearchParams } | undefined {
  if (!target?.startsWith("/")) return undefined;
  const mark = target.indexOf("?");
  return mark < 0
    ? { path: target, query: new URLSearchParams() }
    : { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) };
}

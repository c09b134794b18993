import { createServer as createHttp1Server } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer, type Socket } from "node:net";
import type { Authenticate } from "../../domain/access/access.js";
import { edgePolicy } from "../../model/edge_policy.js";
import type { ListenAddress } from "../../model/listen_address.js";
import type { Clock } from "../../runtime/clock.js";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import { presentedCredentials } from "../callers/request_headers.js";
import { type ConnectHandler, connectHandler } from "../connect/connect_handler.js";
import { GrpcCalls } from "../grpc/grpc_calls.js";
import type { Routes } from "../listen/http_message.js";
import { Http2Sessions } from "../listen/http2_sessions.js";
import type { Listener, ListenerPlace, OnUnexpected } from "../listen/listener.js";
import { answerClientError, guardOf, limitsOf } from "../listen/listener_limits.js";
import { limitPipelining } from "../listen/pipelining.js";
import { StreamListener } from "../listen/stream_listener.js";
import { OpenCalls, ResetGuard } from "../listen/stream_watchdogs.js";
import { peerOf } from "../sockets/socket_notes.js";

/** What an HTTP/2 client sends first (RFC 9113, section 3.4). No HTTP/1.1 request can begin with it. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * Reads as much of a new connection as distinguishes HTTP/2 with prior knowledge from HTTP/1.1, puts it back and calls `decided`.
 * A connection that stays silent, or ends first, is dropped.
 */
function sniff(socket: Socket, clock: Clock, decided: (protocol: "http1" | "http2") => void): void {
  let seen = Buffer.alloc(0);
  const timer = clock.setTimer(edgePolicy.sockets.silenceMs, () => socket.destroy());
  const drop = (): void => void socket.destroy();
  const forget = (): void => timer.cancel();
  const read = (): void => {
    for (let chunk = socket.read() as Buffer | null; chunk; chunk = socket.read() as Buffer | null) {
      seen = Buffer.concat([seen, chunk]);
    }
    const compared = Math.min(seen.length, preface.length);
    const alike = preface.compare(seen, 0, compared, 0, compared) === 0;
    if (alike && compared < preface.length) return;
    timer.cancel();
    socket.removeListener("readable", read);
    socket.removeListener("end", drop);
    socket.removeListener("error", drop);
    socket.removeListener("close", forget);
    socket.unshift(seen);
    decided(alike ? "http2" : "http1");
  };
  socket.on("readable", read);
  socket.on("end", drop);
  socket.on("error", drop);
  socket.on("close", forget);
}

export interface ApiListenerOptions extends ListenerPlace {
  readonly name: string;
  readonly listen: ListenAddress;
  readonly services: readonly BoundService[];
  readonly authenticate: Authenticate;
  readonly onUnexpected: OnUnexpected;
  readonly clock: Clock;
  /** Shared by all addresses of the daemon; of its own without it. */
  readonly openCalls?: OpenCalls;
  readonly routes?: Routes;
}

/**
 * One address for calls: Connect, gRPC-Web and JSON over HTTP/1.1, and all of them and gRPC over HTTP/2 with prior knowledge. The
 * streams of HTTP/2 that are gRPC are served as they are, the others as requests.
 */
export class ApiListener implements Listener {
  readonly #listener: StreamListener;
  readonly #http1;
  readonly #http2: Http2Server;
  readonly #sessions: Http2Sessions;
  /** Connections whose protocol is not known yet. */
  readonly #undecided = new Set<Socket>();
  #closing = false;

  constructor(options: ApiListenerOptions) {
    const handle = this.#handler(options);
    const limits = limitsOf(options.bounds);
    const http1 = { ...edgePolicy.callRequests, maxHeaderSize: limits.maxHeaderBytes };
    this.#http1 = createHttp1Server(http1, (request, response) => {
      if (this.#closing) response.shouldKeepAlive = false;
      response.once("close", () => {
        if (this.#closing) request.socket.end();
      });
      handle(request, response);
    });
    limitPipelining(this.#http1);
    this.#http1.on("clientError", (error, socket) =>
      answerClientError(error, socket as Socket, options.bounds, "json"),
    );
    this.#http2 = this.#http2Server(options, handle);
    this.#sessions = new Http2Sessions(this.#http2, options.clock, options.bounds?.limits.idleTimeoutMs);
    const tls = options.listen.kind === "tcp" ? options.tls : undefined;
    const sockets =
      tls?.createServer(["h2", "http/1.1"], (socket) =>
        this.#serve(socket, socket.alpnProtocol === "h2" ? "http2" : "http1"),
      ) ??
      // allowHalfOpen is what node:http asks of its own sockets.
      createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket, options.clock));
    const guard = guardOf(options.bounds, options.name, true, options.listen.kind === "unix");
    this.#listener = new StreamListener(
      sockets,
      options.listen,
      options.name,
      options.setting,
      options.sockets,
      guard,
    );
  }

  get addresses(): readonly ListenAddress[] {
    return this.#listener.bound ? [this.#listener.bound] : [];
  }

  async open(): Promise<void> {
    await this.#listener.open();
    // node:http starts to watch its timeouts when it listens, which this server never does by itself.
    this.#http1.emit("listening");
  }

  async close(force: AbortSignal): Promise<void> {
    this.#closing = true;
    const closed = this.#listener.close(force);
    for (const socket of this.#undecided) socket.destroy();
    this.#sessions.close();
    this.#http1.close();
    this.#http2.close();
    await closed;
  }

  #http2Server(options: ApiListenerOptions, handle: ConnectHandler): Http2Server {
    const limits = limitsOf(options.bounds);
    const resets = new ResetGuard();
    const { listen: address, openCalls = new OpenCalls(limits) } = options;
    const grpc = new GrpcCalls({ ...options, address, limits, resets, openCalls });
    // It never listens: it makes requests of the streams that it is handed.
    const requests = createHttp2Server(handle);
    const settings = { maxConcurrentStreams: limits.maxStreamsPerConnection };
    const server = createHttp2Server({ settings, maxSessionMemory: edgePolicy.sessions.maxMegabytes });
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]) => {
      if (!this.#sessions.admits(stream) || grpc.take(stream, headers)) return;
      resets.watch(stream);
      requests.emit("stream", stream, headers, ...rest);
    });
    return server;
  }

  #handler(options: ApiListenerOptions): ConnectHandler {
    return connectHandler({
      ...options,
      identify: ({ headers, socket }) =>
        options.authenticate(
          presentedCredentials(
            options.listen,
            single(headers.authorization),
            single(headers["x-api-key"]),
            socket.remoteAddress ?? "",
            peerOf(socket),
          ),
        ),
      checksAuthority: options.listen.kind === "tcp",
    });
  }

  #accept(socket: Socket, clock: Clock): void {
    this.#undecided.add(socket);
    socket.once("close", () => this.#undecided.delete(socket));
    sniff(socket, clock, (protocol) => {
      this.#undecided.delete(socket);
      this.#serve(socket, protocol);
    });
  }

  #serve(socket: Socket, protocol: "http1" | "http2"): void {
    if (protocol === "http1") {
      this.#http1.emit("connection", socket);
      return;
    }
    // HTTP/2 has no use for half a connection, and would keep one whose peer has ended it.
    socket.allowHalfOpen = false;
    this.#http2.emit("connection", socket);
  }
}

function single(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field[0] : field;
}

import { once } from "node:events";
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import { Agent, request as requestTls } from "node:https";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { BoundedMap } from "../../../runtime/runtime.js";
import { framed } from "../injection/request_fields.js";
import type { StreamedBody } from "./body.js";
import { type Dialer, type Origin, type OwnTls, type TlsSessions, timedOut } from "./dial.js";

export interface UpstreamRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** Names in lower case, without those of the connection. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: StreamedBody;
  /** Of the API of one provider. */
  readonly tls?: OwnTls | undefined;
  /** Whether the program speaks HTTP/2: then this does too, where the server can. */
  readonly isHttp2: boolean;
  /** Whether the program is gone: then nothing is sent. */
  readonly isOver: () => boolean;
  /** Called with what ends it, at once and again when it is sent once more. */
  readonly onSent: (end: () => void) => void;
  /** Called with each answer before the answer (103). */
  readonly onEarlyHints?: (fields: IncomingHttpHeaders) => void;
}

export interface UpstreamAnswer {
  readonly status: number;
  /** Every field as often as the server sent it. */
  readonly headers: OutgoingHttpHeaders;
  readonly body: Readable;
  /** The headers were all of it: gRPC has the status of a call there then (its "Trailers-Only"). */
  readonly isWhole: boolean;
  /** Complete when the body has ended. */
  trailers(): Readonly<Record<string, string>>;
}

/** Of TLS, to resume: one for each API of a caller, some 2 KB each. */
const maxSessions = 32;
/** Of the open connections that wait for another request. */
const maxIdleSockets = 32;
/**
 * What may be sent before it is read: at 50 ms to the other end, 20 MB/s. Node gives the connection's part back when bytes arrive, so that a
 * stream that nobody reads stops no other.
 */
export const windowBytes = { stream: 1024 * 1024, connection: 16 * 1024 * 1024 };
/** As Node's HTTP/2 takes: some APIs send more than the 16 KiB of its HTTP/1.1. */
const maxAnswerHeaderBytes = 64 * 1024;
/** A connection of HTTP/2 is checked with a request, no more often than this: servers of gRPC refuse pings that come on their own. */
const pingIntervalMs = 30_000;
const pongTimeoutMs = 10_000;
/** One of HTTP/1.1 cannot be checked: it is not used again after this. */
const idleMs = 30_000;
/** Sent again on another connection where the first one broke off: who knows what the server did (RFC 9110 section 9.2.2). */
const idempotent = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"];
/** Servers of HTTP/1.1 may refuse chunks in one of these, and a stream of HTTP/2 may end in an empty frame. */
const mostlyEmpty = ["GET", "HEAD", "OPTIONS", "DELETE"];
/** Made once: a stack costs much. */
export const over = new Error("the request is over");

/** A connection of HTTP/2, and the streams that are open or about to be. */
interface SharedConnection {
  readonly session: ClientHttp2Session;
  streams: number;
  nextPingMs: number;
}

/**
 * Requests of one caller to APIs over connections that are kept for it alone, in the version of HTTP that the program speaks. So the program
 * gets what it would get without a proxy, and HTTP/1.1 on both sides costs half of what HTTP/2 does. Nothing follows a redirect.
 */
export class Upstream {
  readonly #shared = new Map<string, Set<Promise<SharedConnection | undefined>>>();
  readonly #sessions: TlsSessions = new BoundedMap(maxSessions);
  readonly #agent: DialingAgent;

  constructor(private readonly dialer: Dialer) {
    this.#agent = new DialingAgent(dialer, this.#sessions);
  }

  /** @throws the error of the socket, of TLS or of the stream */
  async send(origin: Origin, request: UpstreamRequest): Promise<UpstreamAnswer> {
    const stream = request.isHttp2 ? await this.#stream(origin, request) : undefined;
    return await (stream ? answerOfStream(stream) : this.#overHttp1(origin, request));
  }

  /** An upgrade, which has no body, over a connection of its own that nobody gets afterwards. Not sent yet. */
  upgrade(
    { host, port }: Origin,
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    tls?: OwnTls,
  ): ClientRequest {
    const { "content-length": _, ...fields } = headers;
    const agent = new DialingAgent(this.dialer, this.#sessions, { keepAlive: false });
    const to = { host, port, method, path, headers: fields, agent, tls };
    return requestTls({ ...to, setHost: false });
  }

  close(): void {
    this.#agent.destroy();
    for (const opened of [...this.#shared.values()].flatMap((each) => [...each]))
      opened.then((shared) => shared?.session.destroy()).catch(() => undefined);
  }

  /**
   * Over a connection with room for one more stream: an API allows only so many, and each of them may stay open for hours.
   *
   * @returns undefined where the server has no HTTP/2, which is remembered
   */
  async #stream(origin: Origin, request: UpstreamRequest): Promise<ClientHttp2Stream | undefined> {
    const key = connectionKey(origin, request.tls);
    const all = this.#shared.get(key) ?? new Set();
    this.#shared.set(key, all);
    for (const each of all) {
      const shared = await each;
      if (!shared) return undefined;
      const { destroyed, remoteSettings } = shared.session;
      const { maxConcurrentStreams = Number.POSITIVE_INFINITY } = remoteSettings;
      if (!destroyed && shared.streams < maxConcurrentStreams)
        return this.#requested(shared, origin, request);
    }
    const opened = this.#open(origin, request.tls, () => all.delete(opened));
    all.add(opened);
    opened.catch(() => all.delete(opened));
    const shared = await opened;
    return shared && this.#requested(shared, origin, request);
  }

  #requested(
    shared: SharedConnection,
    origin: Origin,
    { method, path, headers, body, isOver, onSent, onEarlyHints }: UpstreamRequest,
  ) {
    if (isOver()) throw over;
    this.#ping(shared);
    const { host: _, "transfer-encoding": __, ...fields } = withBody(headers, body);
    const head = { ":method": method, ":path": path, ":scheme": "https", ":authority": authorityOf(origin) };
    const waitForTrailers = body.trailerNames.length > 0;
    const stream = shared.session.request(
      { ...head, ...fields },
      { endStream: body.isEmpty, waitForTrailers },
    );
    if (waitForTrailers) stream.once("wantTrailers", () => stream.sendTrailers(body.trailers));
    stream.on("headers", (given) => given[":status"] === 103 && onEarlyHints?.(given));
    shared.streams++;
    const end = (): void => stream.close(constants.NGHTTP2_CANCEL);
    onSent(end);
    if (!body.isEmpty) body.into(stream, end);
    // Stays: the server may break off at any time.
    return stream.on("error", () => undefined).once("close", () => shared.streams--);
  }

  /** A server that is gone without a word would hold every request until TCP gives up, which takes a quarter of an hour. */
  #ping(shared: SharedConnection): void {
    const { clock } = this.dialer;
    const { session, nextPingMs } = shared;
    if (session.destroyed || clock.monotonicMs() < nextPingMs) return;
    shared.nextPingMs = clock.monotonicMs() + pingIntervalMs;
    const timer = clock.setTimer(pongTimeoutMs, () => session.destroy(timedOut()));
    session.ping(() => timer.cancel());
  }

  async #open(
    origin: Origin,
    tls: OwnTls | undefined,
    onOver: () => void,
  ): Promise<SharedConnection | undefined> {
    const socket = await this.dialer.tls(origin, ["h2", "http/1.1"], this.#sessions, tls);
    if (socket.alpnProtocol !== "h2") {
      socket.destroy();
      return undefined;
    }
    const session = connect(`https://${authorityOf(origin)}`, {
      createConnection: () => socket,
      settings: { initialWindowSize: windowBytes.stream, enablePush: false },
    });
    session.on("error", onOver);
    // With TLS 1.3 a certificate is refused by an alert after the handshake, which alone ends no session of Node.
    socket.once("error", () => socket.destroy());
    session.once("goaway", onOver);
    session.once("close", onOver);
    session.setLocalWindowSize(windowBytes.connection);
    const shared = { session, streams: 0, nextPingMs: Number.NEGATIVE_INFINITY };
    this.#ping(shared);
    await Promise.race([once(session, "remoteSettings"), once(session, "close")]);
    return shared;
  }

  async #overHttp1({ host, port }: Origin, request: UpstreamRequest): Promise<UpstreamAnswer> {
    const { method, path, body, onSent } = request;
    if (mostlyEmpty.includes(method) && request.isHttp2) await body.begun();
    if (request.isOver()) throw over;
    const headers = withBody(request.headers, body);
    const to = { host, port, method, path, headers, agent: this.#agent, tls: request.tls };
    const sent = requestTls({ ...to, setHost: false, maxHeaderSize: maxAnswerHeaderBytes });
    const end = (): void => void sent.destroy(over);
    onSent(end);
    body.into(sent, end, () => sent.addTrailers(body.trailers));
    sent.on("information", (given) => given.statusCode === 103 && request.onEarlyHints?.(given.headers));
    // Without waiting for the first part of the body.
    if (!body.isEmpty) setImmediate(() => sent.destroyed || sent.flushHeaders());
    return new Promise((resolve, reject) => {
      sent.once("response", (answer) => resolve(answerOf(answer)));
      sent.on("error", (error: NodeJS.ErrnoException) => {
        // Most likely the server closed a connection that had waited.
        const isStale = sent.reusedSocket && error.code === "ECONNRESET";
        if (isStale && body.isEmpty && idempotent.includes(method))
          resolve(this.#overHttp1({ host, port }, request));
        else reject(error);
      });
    });
  }
}

function withBody(headers: UpstreamRequest["headers"], { length, trailerNames }: StreamedBody) {
  const fields = framed(headers, length);
  return trailerNames.length === 0 ? fields : { ...fields, trailer: trailerNames.join(", ") };
}

function answerOf(answer: IncomingMessage): UpstreamAnswer {
  return {
    status: answer.statusCode ?? 502,
    headers: answer.headersDistinct,
    body: answer,
    isWhole: false,
    trailers: () => answer.trailers as Record<string, string>,
  };
}

function answerOfStream(stream: ClientHttp2Stream): Promise<UpstreamAnswer> {
  let trailers: Record<string, string> = {};
  stream.once("trailers", (given) => {
    trailers = given as Record<string, string>;
  });
  return new Promise((resolve, reject) => {
    stream.once("response", (given: IncomingHttpHeaders & { ":status"?: number }, flags) => {
      const { ":status": status = 502, ...headers } = given;
      const isWhole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      resolve({ status, headers, body: stream as Readable, isWhole, trailers: () => trailers });
    });
    stream.on("error", reject).once("close", () => reject(over));
  });
}

/** Of the options of a request, as Node's agent hands them on. */
interface DialedWith {
  readonly host?: string | null | undefined;
  readonly port?: number | string | null | undefined;
  readonly tls?: OwnTls | undefined;
}

/** What was opened with a certificate, or by the word of an authority, carries no request without it, or with another one. */
function connectionKey(origin: Origin, tls: OwnTls | undefined): string {
  return tls ? `${authorityOf(origin)} ${tls.id}` : authorityOf(origin);
}

class DialingAgent extends Agent {
  constructor(
    private readonly dialer: Dialer,
    private readonly sessions: TlsSessions,
    { keepAlive = true } = {},
  ) {
    super({ keepAlive, maxFreeSockets: maxIdleSockets, scheduling: "lifo", timeout: idleMs });
  }

  /** Bytes that a server sends before a request belong to no request: its connection is not used again. */
  override keepSocketAlive(socket: Socket): boolean {
    // It flows already: to listen for "readable" would cost as much as a tenth of a request.
    socket.once("data", destroySocket).once("end", destroySocket);
    return super.keepSocketAlive(socket) as unknown as boolean;
  }

  override reuseSocket(socket: Socket, request: ClientRequest): void {
    socket.off("data", destroySocket).off("end", destroySocket);
    super.reuseSocket(socket, request);
  }

  /** The host proves itself, and this side where it is asked to: what else it was dialed with makes no other. */
  override getName({ host, port, tls }: DialedWith = {}): string {
    return connectionKey({ host: host ?? "", port: Number(port) }, tls);
  }

  override createConnection(
    { host, port, tls }: DialedWith,
    callback?: (error: Error | null, socket: Socket) => void,
  ): undefined {
    this.dialer.tls({ host: host ?? "", port: Number(port) }, ["http/1.1"], this.sessions, tls).then(
      (open) => callback?.(null, open),
      (error) => callback?.(error, undefined as never),
    );
    return undefined;
  }
}

function destroySocket(this: Socket): void {
  this.destroy();
}

/** As a client writes it: the port only where it is not 443. */
export function authorityOf({ host, port }: Origin): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return port === 443 ? name : `${name}:${port}`;
}

import { once } from "node:events";
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionRequestOptions,
  connect,
  constants,
} from "node:http2";
import { Agent, request as requestTls } from "node:https";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import type { TLSSocket } from "node:tls";
import { type Dialer, type Origin, timedOut } from "./dial.js";

export type Fields = Readonly<Record<string, string | readonly string[]>>;

export interface UpstreamRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** Names in lower case, without those of the connection. */
  readonly headers: Fields;
  readonly body: Readable | Buffer;
  readonly signal: AbortSignal;
}

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Readable;
  /** The headers were all of it: gRPC has the status of a call there then (its "Trailers-Only"). */
  readonly isWhole: boolean;
  /** Complete when the body has ended. */
  trailers(): Readonly<Record<string, string>>;
}

/** Of the open connections that wait for another request. */
const maxIdleSockets = 32;
/**
 * What may be sent before it is read: at 50 ms to the other end, 20 MB/s. Node gives the connection's part back when bytes arrive, so that a
 * stream that nobody reads stops no other.
 */
export const windowBytes = { stream: 1024 * 1024, connection: 16 * 1024 * 1024 };

/** A connection is asked with a request whether it is still there, no more often than this: servers of gRPC refuse pings that come on their own. */
const pingIntervalMs = 30_000;
const pongTimeoutMs = 10_000;
/** Sent again on another connection where the first one broke off: who knows what the server did (RFC 9110 section 9.2.2). */
const idempotent = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"];

/** A connection of HTTP/2, and the streams that are open or about to be. */
interface SharedConnection {
  readonly session: ClientHttp2Session;
  streams: number;
  nextPingMs: number;
}

/** Requests to APIs, over connections that are kept: HTTP/2 where the server has it, else HTTP/1.1. Nothing follows a redirect. */
export class Upstream {
  readonly #shared = new Map<string, Set<Promise<SharedConnection | undefined>>>();
  readonly #agent: DialingAgent;

  constructor(private readonly dialer: Dialer) {
    this.#agent = new DialingAgent(dialer);
  }

  /** @throws the error of the socket, of TLS or of the stream */
  async send(origin: Origin, request: UpstreamRequest): Promise<UpstreamAnswer> {
    const shared = await this.#withRoom(origin);
    return shared ? await overHttp2(shared, origin, request) : await this.#overHttp1(origin, request);
  }

  /** HTTP/1.1 alone, for a request to change the protocol (RFC 9110 section 7.8). */
  upgrade({ host, port }: Origin, method: string, path: string, headers: Fields): ClientRequest {
    return requestTls({
      host,
      port,
      method,
      path,
      headers: copied(headers),
      agent: this.#agent,
      setHost: false,
    });
  }

  close(): void {
    this.#agent.destroy();
    for (const opened of [...this.#shared.values()].flatMap((each) => [...each]))
      opened.then((shared) => shared?.session.destroy()).catch(() => undefined);
  }

  /**
   * A connection with room for one more stream, which is counted: an API allows only so many, and each of them may stay open for hours.
   *
   * @returns undefined where the server has no HTTP/2, which is remembered
   */
  async #withRoom(origin: Origin): Promise<SharedConnection | undefined> {
    const key = authorityOf(origin);
    const all = this.#shared.get(key) ?? new Set();
    this.#shared.set(key, all);
    for (const each of all) {
      const shared = await each;
      if (!shared) return undefined;
      const { destroyed, remoteSettings } = shared.session;
      const { maxConcurrentStreams = Number.POSITIVE_INFINITY } = remoteSettings;
      if (!destroyed && shared.streams < maxConcurrentStreams) return this.#counted(shared);
    }
    const opened = this.#open(origin, () => all.delete(opened));
    all.add(opened);
    opened.catch(() => all.delete(opened));
    const shared = await opened;
    return shared && this.#counted(shared);
  }

  #counted(shared: SharedConnection): SharedConnection {
    shared.streams++;
    this.#ping(shared);
    return shared;
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

  async #open(origin: Origin, onOver: () => void): Promise<SharedConnection | undefined> {
    const socket = await this.dialer.tls(origin, ["h2", "http/1.1"]);
    if (socket.alpnProtocol !== "h2") {
      this.#agent.give(origin, socket);
      return undefined;
    }
    const session = connect(`https://${authorityOf(origin)}`, {
      createConnection: () => socket,
      settings: { initialWindowSize: windowBytes.stream, enablePush: false },
    });
    session.on("error", onOver);
    session.once("goaway", onOver);
    session.once("close", onOver);
    session.setLocalWindowSize(windowBytes.connection);
    const shared = { session, streams: 0, nextPingMs: Number.NEGATIVE_INFINITY };
    this.#ping(shared);
    await Promise.race([once(session, "remoteSettings"), once(session, "close")]);
    return shared;
  }

  async #overHttp1({ host, port }: Origin, sent: UpstreamRequest): Promise<UpstreamAnswer> {
    const { method, path, headers, body, signal } = sent;
    for (;;) {
      const options = { host, port, method, path, headers: copied(headers), setHost: false, signal };
      const request = requestTls({ ...options, agent: this.#agent });
      try {
        const answered = once(request, "response") as Promise<[IncomingMessage]>;
        if (Buffer.isBuffer(body)) request.end(body);
        else sendInto(request, body, () => request.destroy());
        const [response] = await answered;
        return {
          status: response.statusCode ?? 502,
          headers: repeatable(response),
          body: response,
          isWhole: false,
          trailers: () => response.trailers as Record<string, string>,
        };
      } catch (error) {
        // Most likely the server closed a connection that had waited.
        const isStale = request.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET";
        if (!isStale || !Buffer.isBuffer(body) || !idempotent.includes(method)) throw error;
      }
    }
  }
}

async function overHttp2(
  shared: SharedConnection,
  origin: Origin,
  { method, path, headers, body, signal }: UpstreamRequest,
): Promise<UpstreamAnswer> {
  const { host: _, ...fields } = headers;
  const stream = requested(
    shared,
    {
      ":method": method,
      ":path": path,
      ":scheme": "https",
      ":authority": authorityOf(origin),
      ...copied(fields),
    },
    { endStream: Buffer.isBuffer(body) && body.length === 0, signal },
  );
  let trailers: Record<string, string> = {};
  stream.once("trailers", (given) => {
    trailers = given as Record<string, string>;
  });
  const answered = once(stream, "response") as Promise<[Record<string, string | string[]>, number]>;
  if (Buffer.isBuffer(body)) {
    if (body.length > 0) stream.end(body);
  } else sendInto(stream, body, () => stream.close(constants.NGHTTP2_CANCEL));
  const [given, flags] = await answered;
  const fieldsOf = Object.entries(given).filter(([name]) => !name.startsWith(":"));
  return {
    status: Number(given[":status"]),
    headers: Object.fromEntries(fieldsOf),
    body: stream as Readable,
    isWhole: (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0,
    trailers: () => trailers,
  };
}

/** Counted until it is closed. */
function requested(
  shared: SharedConnection,
  headers: OutgoingHttpHeaders,
  options: ClientSessionRequestOptions,
): ClientHttp2Stream {
  try {
    const stream = shared.session.request(headers, options).once("close", () => shared.streams--);
    // Stays: the server may break off between the answer's headers and its body.
    return stream.on("error", () => undefined);
  } catch (error) {
    shared.streams--;
    throw error;
  }
}

function sendInto(request: Writable, body: Readable, cancel: () => void): void {
  body.once("error", cancel).pipe(request);
  request.once("close", () => body.destroy());
}

/** Connects by the dialer; what it was given is used first. */
class DialingAgent extends Agent {
  readonly #given = new Map<string, TLSSocket>();

  constructor(private readonly dialer: Dialer) {
    super({ keepAlive: true, maxFreeSockets: maxIdleSockets, scheduling: "lifo" });
  }

  give(origin: Origin, socket: TLSSocket): void {
    const key = authorityOf(origin);
    this.#given.get(key)?.destroy();
    this.#given.set(key, socket);
    socket.once("close", () => {
      if (this.#given.get(key) === socket) this.#given.delete(key);
    });
  }

  override createConnection(
    options: { host?: string | null; port?: number | string | null },
    callback?: (error: Error | null, socket: Socket) => void,
  ): undefined {
    const origin = { host: options.host ?? "", port: Number(options.port) };
    const key = authorityOf(origin);
    const given = this.#given.get(key);
    this.#given.delete(key);
    const socket = given && !given.destroyed ? Promise.resolve(given) : this.dialer.tls(origin, ["http/1.1"]);
    socket.then(
      (open) => callback?.(null, open),
      (error) => callback?.(error, undefined as never),
    );
    return undefined;
  }

  override destroy(): void {
    for (const socket of this.#given.values()) socket.destroy();
    super.destroy();
  }
}

/** As a client writes it: the port only where it is not 443. */
export function authorityOf({ host, port }: Origin): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return port === 443 ? name : `${name}:${port}`;
}

function copied(headers: Fields): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === "string" ? value : [...value]]),
  );
}

/** Every field as often as the server sent it: Node would join some, and drop others. */
function repeatable({ headersDistinct }: IncomingMessage): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headersDistinct).map(([name, values = []]) => [
      name,
      values.length === 1 ? values[0] : values,
    ]),
  );
}

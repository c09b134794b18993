import { type EventEmitter, once } from "node:events";
import { type IncomingMessage, request as requestPlain } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as requestTls } from "node:https";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly version?: 1 | 2;
  /** Of an answer over HTTP/1.1. */
  readonly maxHeaderSize?: number;
  /** Of the tunnel. */
  readonly host?: string;
}

/** A request under way. */
export interface Opened {
  readonly sent: Writable;
  readonly answered: Promise<{
    readonly status: number;
    readonly headers: Readonly<Record<string, unknown>>;
    readonly body: Readable;
    trailers(): Readonly<Record<string, unknown>>;
  }>;
  close(): void;
}

/** A program behind a proxy, that calls the API on `port`. */
export class ProxyClient {
  /** @param ca PEM: whom it trusts inside of tunnels @param toProxy for the TLS to the proxy itself */
  constructor(
    private readonly proxyUrl: URL,
    private readonly ca: string,
    private readonly port: number,
    private readonly toProxy: ConnectionOptions = {},
  ) {}

  /** The tunnel itself, before TLS; rejects with the answer of the proxy. */
  async tunnel(authority: string): Promise<Socket> {
    const { port, username, password, protocol } = this.proxyUrl;
    const basic = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString(
      "base64",
    );
    const request = protocol === "https:" ? requestTls : requestPlain;
    const sent = request({
      ...{ host: "127.0.0.1", port, method: "CONNECT", path: authority, agent: false, ...this.toProxy },
      headers: username + password === "" ? {} : { "proxy-authorization": `Basic ${basic}` },
    }).end();
    const [answer, socket, head] = (await arrived(sent, "connect")) as [IncomingMessage, Socket, Buffer];
    if (answer.statusCode === 200) return socket;
    throw new Error(`${answer.statusCode} ${head.toString("utf8")}${await text(socket)}`);
  }

  async tls(host: string, alpn: readonly string[], servername = host): Promise<TLSSocket> {
    const socket = await this.tunnel(`${host}:${this.port}`);
    socket.on("error", () => undefined);
    const tls = connectTls({ socket, servername, host, ca: this.ca, ALPNProtocols: [...alpn] });
    await arrived(tls, "secureConnect");
    return tls;
  }

  async ask(path: string, asked: Asked = {}): Promise<Answer> {
    const { body: given = "" } = asked;
    const length = given.length > 0 && asked.version !== 2 ? { "content-length": `${given.length}` } : {};
    const opened = await this.open(path, { ...asked, headers: { ...length, ...asked.headers } });
    opened.sent.end(given);
    const { status, headers, body, trailers } = await opened.answered;
    const got = await text(body);
    opened.close();
    return { status, headers, trailers: trailers(), body: got };
  }

  /** A request whose body is still to be sent, whatever `asked` says. */
  async open(path: string, asked: Asked = {}): Promise<Opened> {
    const { version = 1, host = "api.localhost" } = asked;
    return version === 2
      ? await this.#overHttp2(host, path, asked)
      : await this.#overHttp1(host, path, asked);
  }

  async #overHttp1(
    host: string,
    path: string,
    { method = "GET", headers = {}, maxHeaderSize }: Asked,
  ): Promise<Opened> {
    const socket = await this.tls(host, ["http/1.1"]);
    const sent = requestTls({
      createConnection: () => socket,
      method,
      path,
      headers: { host: `${host}:${this.port}`, ...headers },
      setHost: false,
      maxHeaderSize,
    });
    const answered = (arrived(sent, "response") as Promise<[IncomingMessage]>).then(([answer]) => ({
      status: answer.statusCode ?? 0,
      headers: answer.headers,
      body: answer,
      trailers: () => answer.trailers,
    }));
    answered.catch(() => undefined);
    return { sent, answered, close: () => socket.destroy() };
  }

  async #overHttp2(host: string, path: string, { method = "GET", headers = {} }: Asked): Promise<Opened> {
    const socket = await this.tls(host, ["h2"]);
    const session = connectHttp2(`https://${host}:${this.port}`, { createConnection: () => socket });
    session.on("error", () => undefined);
    const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: false });
    let trailers = {};
    stream.on("trailers", (given) => {
      trailers = given;
    });
    const answered = (arrived(stream, "response") as Promise<[Record<string, unknown>]>).then(([fields]) => ({
      status: Number(fields[":status"]),
      headers: fields,
      body: stream,
      trailers: () => trailers,
    }));
    answered.catch(() => undefined);
    return { sent: stream, answered, close: () => session.destroy() };
  }
}

export function withPassword(url: URL, password: string): URL {
  const other = new URL(url);
  other.password = password;
  return other;
}

/** What closes before, in any way, has broken off. */
function arrived(emitter: EventEmitter, event: string): Promise<unknown[]> {
  emitter.on("error", () => undefined);
  const closed = once(emitter, "close").then(() => {
    throw new Error("closed");
  });
  return Promise.race([once(emitter, event), closed]);
}

import { once } from "node:events";
import { type IncomingMessage, request as requestPlain } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as requestTls } from "node:https";
import type { Socket } from "node:net";
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
  /** Of the tunnel. */
  readonly host?: string;
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
    const [answer, socket, head] = (await once(sent, "connect")) as [IncomingMessage, Socket, Buffer];
    if (answer.statusCode === 200) return socket;
    throw new Error(`${answer.statusCode} ${head.toString("utf8")}${await text(socket)}`);
  }

  async tls(host: string, alpn: readonly string[], servername = host): Promise<TLSSocket> {
    const socket = await this.tunnel(`${host}:${this.port}`);
    const tls = connectTls({ socket, servername, host, ca: this.ca, ALPNProtocols: [...alpn] });
    await once(tls, "secureConnect");
    return tls;
  }

  async ask(path: string, asked: Asked = {}): Promise<Answer> {
    const { version = 1, host = "api.localhost" } = asked;
    return version === 2
      ? await this.#overHttp2(host, path, asked)
      : await this.#overHttp1(host, path, asked);
  }

  async #overHttp1(
    host: string,
    path: string,
    { method = "GET", headers = {}, body = "" }: Asked,
  ): Promise<Answer> {
    const socket = await this.tls(host, ["http/1.1"]);
    const own = {
      host: `${host}:${this.port}`,
      ...(body.length > 0 && { "content-length": `${body.length}` }),
    };
    const sent = requestTls({
      createConnection: () => socket,
      method,
      path,
      headers: { ...own, ...headers },
      setHost: false,
    });
    sent.end(body);
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    const got = await text(answer);
    socket.destroy();
    return { status: answer.statusCode ?? 0, headers: answer.headers, trailers: answer.trailers, body: got };
  }

  async #overHttp2(
    host: string,
    path: string,
    { method = "GET", headers = {}, body = "" }: Asked,
  ): Promise<Answer> {
    const socket = await this.tls(host, ["h2"]);
    const session = connectHttp2(`https://${host}:${this.port}`, { createConnection: () => socket });
    const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: false });
    let trailers = {};
    stream.on("trailers", (given) => {
      trailers = given;
    });
    stream.end(body);
    const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
    const got = await text(stream);
    session.destroy();
    return { status: Number(answer[":status"]), headers: answer, trailers, body: got };
  }
}

export function withPassword(url: URL, password: string): URL {
  const other = new URL(url);
  other.password = password;
  return other;
}

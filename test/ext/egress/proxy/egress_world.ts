import { EventEmitter, once } from "node:events";
import { type IncomingMessage, request as requestPlain, type ServerResponse } from "node:http";
import { connect as connectHttp2, createSecureServer } from "node:http2";
import { request as requestTls } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { text } from "node:stream/consumers";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { callFailure } from "../../../../src/cli/shell/call_failure.js";
import type { DaemonSession } from "../../../../src/cli/shell/daemon_command.js";
import type { EgressNetwork } from "../../../../src/config/rows/egress_settings.js";
import { Authority } from "../../../../src/ext/egress/proxy/authority.js";
import { Credentials } from "../../../../src/ext/egress/proxy/credentials.js";
import { Dialer } from "../../../../src/ext/egress/proxy/dial.js";
import { OpenUses } from "../../../../src/ext/egress/proxy/open_uses.js";
import { ProgramProxy } from "../../../../src/ext/egress/proxy/program_proxy.js";
import { Routes, routeOf } from "../../../../src/ext/egress/proxy/routes.js";
import { EgressSession } from "../../../../src/ext/egress/proxy/session.js";
import { Upstream } from "../../../../src/ext/egress/proxy/upstream.js";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import {
  AcquireTokenResponseSchema,
  ReportRejectedTokenResponseSchema,
  type TokenStateSchema,
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../../../../src/gen/nexus/v1/token_pb.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { Authority as TestAuthority } from "../../../fakes/certificates.js";

/** A secret that must turn up at the API of its provider and nowhere else. */
export const canary = "canary-3f9c2b7e";

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
  readonly version: string;
}

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

type Acquired = MessageInitShape<typeof AcquireTokenResponseSchema>;

export interface WorldOptions {
  readonly network?: EgressNetwork;
  readonly isReadOnly?: boolean;
  readonly waitsForConsent?: boolean;
  /** Beside `acme`, whose API base URL is `https://api.localhost:<port>/v1`. */
  readonly providers?: (port: number) => readonly MessageInitShape<typeof ProviderSchema>[];
}

/** A proxy of `nexusd run` between a client and an API of TLS, with a daemon that answers as it is told. */
export class EgressWorld {
  readonly received: Received[] = [];
  /** What the API answers; echoes nothing by itself. */
  respond: (request: Received, response: ServerResponse) => void = (_, response) => void response.end("ok");
  /** What the daemon answers to `AcquireToken`, the last for ever. */
  acquired: Acquired[] = [tokenOf(canary)];
  readonly acquiredFor: unknown[] = [];
  reported: unknown[] = [];
  readonly links: string[] = [];

  /** What the daemon's stream sends; an error ends it. */
  readonly #told: (WatchTokensResponse | Error)[] = [
    ...["acme", "deep"].map((providerName, at) =>
      toldOf(ConnectionStatus.ACTIVE, { providerName, connectionId: `c${at + 1}` }),
    ),
    bookmark,
  ];
  readonly #news = new EventEmitter();
  /** How often the daemon's stream was opened. */
  watches = 0;

  private constructor(
    readonly port: number,
    readonly proxyUrl: URL,
    readonly authority: Authority,
    private readonly end: () => Promise<void>,
  ) {}

  static async start(options: WorldOptions = {}): Promise<EgressWorld> {
    const issuer = new TestAuthority();
    const { cert, key } = issuer.issueServer({ dns: ["api.localhost", "up.localhost", "other.localhost"] });
    const server = createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => {
      void world.#receive(request as unknown as IncomingMessage, response as unknown as ServerResponse);
    });
    const sockets = new Set<Socket>();
    server.on("secureConnection", (socket) => sockets.add(socket));
    server.on("upgrade", (_, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
      socket.pipe(socket);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const acme = {
      name: "acme",
      apiBaseUrl: `https://api.localhost:${port}/v1`,
      apiHosts: [`up.localhost:${port}`],
    };
    const profiles = [acme, ...(options.providers?.(port) ?? [])];
    const routes = new Routes(profiles.map((profile) => routeOf(create(ProviderSchema, profile), "")));
    const clock = new SystemClock();
    const authority = await Authority.create(routes.hosts, clock);
    const dialer = new Dialer(issuer.pem, clock);
    const upstream = new Upstream(dialer);
    const credentials = new Credentials({
      session: sessionTo(() => world),
      userId: "ada",
      waitsForConsent: options.waitsForConsent ?? false,
      onConsent: (_, link) => world.links.push(link),
    });
    const { network = "open", isReadOnly = false } = options;
    const uses = new OpenUses({
      watch: (_, signal) => world.states(signal),
      isRefused: (error) => error === refusal,
      onRefused: () => session.close(),
      clock,
    });
    const parts = { authority, routes, credentials, upstream, uses, isReadOnly, network };
    const session: EgressSession = new EgressSession(parts);
    const proxy = new ProgramProxy({ session, dialer });
    const world: EgressWorld = new EgressWorld(port, await proxy.open(), authority, async () => {
      proxy.close();
      upstream.close();
      for (const socket of sockets) socket.destroy();
      const closed = once(server, "close");
      server.close();
      await closed;
    });
    return world;
  }

  stop(): Promise<void> {
    return this.end();
  }

  /** The daemon knows of no connection from now on. */
  forget(): void {
    this.#told.fill(bookmark);
  }

  /** The daemon's stream goes on with this. */
  tell(event: WatchTokensResponse | Error): void {
    this.#told.push(event);
    this.#news.emit("more");
  }

  async *states(signal: AbortSignal): AsyncGenerator<WatchTokensResponse> {
    this.watches++;
    for (let at = 0; ; at++) {
      while (at >= this.#told.length) await once(this.#news, "more", { signal });
      const event = this.#told[at];
      if (event instanceof Error) {
        this.#told.splice(at, 1);
        throw event;
      }
      if (event) yield event;
    }
  }

  /** The tunnel itself, before TLS; rejects with the answer of the proxy. */
  async tunnel(authority: string, password = this.proxyUrl.password): Promise<Socket> {
    const auth = Buffer.from(`nexusd:${password}`).toString("base64");
    const sent = requestPlain({
      ...{ host: "127.0.0.1", port: this.proxyUrl.port, method: "CONNECT", path: authority },
      headers: { "proxy-authorization": `Basic ${auth}` },
    }).end();
    const [answer, socket, head] = (await once(sent, "connect")) as [IncomingMessage, Socket, Buffer];
    if (answer.statusCode === 200) return socket;
    throw new Error(`${answer.statusCode} ${head.toString("utf8")}${await text(socket)}`);
  }

  async tls(host: string, alpn: readonly string[], servername = host): Promise<TLSSocket> {
    const socket = await this.tunnel(`${host}:${this.port}`);
    const tls = connectTls({ socket, servername, host, ca: this.authority.pem, ALPNProtocols: [...alpn] });
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

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url: path = "", headers, httpVersion: version } = request;
    const received = { method, path, headers, body: await text(request), version };
    this.received.push(received);
    this.respond(received, response);
  }
}

/** The daemon refuses the caller itself. */
export const refusal = new Error("the key is revoked");
export const bookmark = create(WatchTokensResponseSchema, { event: { case: "bookmark", value: {} } });

/** The state of the connection to `acme`. */
export function toldOf(status: ConnectionStatus, of: MessageInitShape<typeof TokenStateSchema> = {}) {
  const value = { connectionId: "c1", providerName: "acme", status, ...of };
  return create(WatchTokensResponseSchema, { event: { case: "state", value } });
}

/** Of a provider whose strategy puts the key into `X-API-Key`. */
export function tokenOf(value: string, revision = 1n): Acquired {
  const header = { headerName: "X-API-Key", credentialField: "api_key", valuePrefix: "" };
  const strategy = { kind: { case: "header" as const, value: header } };
  return { result: { case: "token", value: { revision, credentials: { api_key: value }, strategy } } };
}

export function consentOf(authUrl: string): Acquired {
  return { result: { case: "consent", value: { authUrl, reason: "not_connected" } } };
}

function sessionTo(world: () => EgressWorld): DaemonSession {
  const tokens = {
    acquireToken: async (request: unknown) => {
      const { acquired, acquiredFor } = world();
      acquiredFor.push(request);
      const next = acquired.length > 1 ? acquired.shift() : acquired[0];
      return create(AcquireTokenResponseSchema, next);
    },
    reportRejectedToken: async (request: unknown) => {
      world().reported.push(request);
      return create(ReportRejectedTokenResponseSchema, { outcome: 2 });
    },
  };
  const call = async (doing: string, method: (request: unknown) => Promise<unknown>, request: unknown) => {
    try {
      return await method(request);
    } catch (error) {
      throw callFailure(error, doing, "the test");
    }
  };
  return { daemon: { tokens }, call } as unknown as DaemonSession;
}

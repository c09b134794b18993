import type { IncomingMessage } from "node:http";
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { canonicalHost } from "../../../outbound/outbound.js";
import { BoundedMap } from "../../../runtime/runtime.js";
import { type Leaf, limitPipelining, releaseConnection } from "../../../server/kit.js";
import type { Origin } from "./dial.js";
import { Exchange, type SessionDeps } from "./exchange.js";
import { type Outgoing, ProblemDetails } from "./problem.js";
import { type Incoming, judge } from "./routes.js";
import { Upgrade } from "./upgrade.js";
import { authorityOf, windowBytes } from "./upstream.js";

/** Of a request line and its fields, as Node's own default. */
const maxHeaderBytes = 16 * 1024;
/** A connection of HTTP/1.1 waits so long for the next request: programs keep theirs for 60 to 90 s, and servers for longer. */
const idleMs = 120_000;
/** A tunnel without TLS by then is closed, also where its program went away: Node waits for two minutes. */
const handshakeTimeoutMs = 10_000;
/** Streams of one connection at a time. */
const maxStreams = 250;

/** Some 80 KB each. One that makes room for another goes on serving its connections. */
const maxStandIns = 64;

/** A server of one API's name. */
export interface StandIn {
  readonly server: Http2SecureServer;
  leaf: Leaf;
}

/** Those of one session, by the authority of the API. One may make room for another at any time. */
export interface StandIns {
  get(authority: string): StandIn | undefined;
  set(authority: string, standIn: StandIn): void;
  clear(): void;
}

/** Who is behind requests, what they may do, and the tunnels that are open for it. */
export class EgressSession {
  readonly #sockets = new Set<Duplex>();
  readonly #http2 = new Set<ServerHttp2Session>();
  #isClosed = false;

  /** @param standIns a share of what all sessions of a daemon have */
  constructor(
    readonly deps: SessionDeps,
    private readonly standIns: StandIns = new BoundedMap<string, StandIn>(maxStandIns),
  ) {}

  get isIdle(): boolean {
    return this.#sockets.size + this.#http2.size === 0;
  }

  /** Whether a host that belongs to no provider may be reached. */
  reaches(host: string): boolean {
    const { network } = this.deps;
    if (network === "open") return true;
    return network !== "providers" && network.hosts.some((name) => isNamed(host, name));
  }

  /** @throws Problem for a host and port that belong to no provider, and may not be reached */
  refuseOthers({ host, port }: Origin): void {
    if (this.reaches(host)) return;
    const ports = this.deps.routes.portsOf(host);
    if (ports.length > 0) {
      const detail = `a provider of this session has ${host} at port ${ports.join(" and ")}, not at ${port}: send the request there, or add https://${host}:${port} to the provider with nexusd provider update --api-base-url`;
      throw new ProblemDetails(403, "host-refused", detail);
    }
    const detail = `${host} belongs to no provider of this session, and may not be reached: --network ${host} (NEXUS_EGRESS_NETWORK) lets it`;
    throw new ProblemDetails(403, "host-refused", detail);
  }

  /** Until the end of the session, which may have come. */
  hold(socket: Duplex): void {
    if (this.#isClosed) return void socket.destroy();
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy()).once("close", () => this.#sockets.delete(socket));
  }

  /** Takes no more requests. Over HTTP/2 the resets of streams must still go out: else an answer that broke off looks whole. */
  close(): void {
    this.#isClosed = true;
    this.deps.uses.close();
    this.standIns.clear();
    for (const session of this.#http2) session.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /**
   * Ends TLS where the program believes the API to be, and answers each request from the API with the credential put in.
   *
   * @param socket a tunnel that was just opened to `origin`
   */
  async terminate(socket: Socket, origin: Origin): Promise<void> {
    const leaf = await this.deps.authority.leafFor(origin.host);
    const key = authorityOf(origin);
    let standIn = this.standIns.get(key);
    if (!standIn) {
      standIn = { server: this.#serverOf(origin, leaf), leaf };
      this.standIns.set(key, standIn);
    } else if (standIn.leaf !== leaf) {
      standIn.leaf = leaf;
      standIn.server.setSecureContext(leaf);
    }
    standIn.server.emit("connection", socket);
  }

  #serverOf(origin: Origin, leaf: Leaf): Http2SecureServer {
    const server = createSecureServer(
      {
        ...{ cert: leaf.cert, key: leaf.key, minVersion: "TLSv1.2", allowHTTP1: true },
        handshakeTimeout: handshakeTimeoutMs,
        settings: {
          maxConcurrentStreams: maxStreams,
          maxHeaderListSize: maxHeaderBytes,
          initialWindowSize: windowBytes.stream,
        },
        // RFC 6066 section 3: another name than that of the tunnel is for nobody here.
        SNICallback: (name, answer) =>
          canonicalHost(name) === origin.host
            ? answer(null)
            : answer(new Error("another host than the tunnel's")),
      },
      (request, response) => void this.#serve(origin, request, response),
    );
    // Node's HTTP/2 knows the one spelling alone; a token of this field has any case (RFC 9110 section 10.1.1).
    server.on("checkExpectation", (request: Incoming, response: Outgoing) => {
      const expected = request.headers["expect"] ?? "";
      if (!/^100-continue$/i.test(expected)) return this.#refuse(unexpected(expected), response);
      response.writeContinue();
      void this.#serve(origin, request, response);
    });
    // What node:http reads of its server, which the types of HTTP/2 do not have.
    Object.assign(server, { keepAliveTimeout: idleMs });
    limitPipelining(server);
    server.on("upgrade", (request, socket: Socket, head: Buffer) => {
      void this.#upgrade(origin, request, socket, Buffer.concat([head, releaseConnection(socket)]));
    });
    server.on("secureConnection", (socket: Socket) => {
      socket.on("error", () => socket.destroy());
      // Node's HTTP/2 goes on after the end: the tunnel may be half open.
      if ((socket as TLSSocket).alpnProtocol === "h2") socket.once("end", () => socket.destroy());
      else this.hold(socket);
    });
    server.on("session", (session) => {
      if (this.#isClosed) return session.destroy();
      session.setLocalWindowSize(windowBytes.connection);
      this.#http2.add(session);
      session.once("close", () => this.#http2.delete(session));
    });
    server.on("sessionError", (_, session) => session.destroy());
    return server;
  }

  async #serve(origin: Origin, request: Incoming, response: Outgoing): Promise<void> {
    try {
      const route = judge(origin, request, this.deps);
      await new Exchange({ ...this.deps, origin, route }, request, response).run();
    } catch (error) {
      this.#refuse(error instanceof ProblemDetails ? error : cutOff, response);
    }
  }

  #refuse(problem: ProblemDetails, response: Outgoing): void {
    this.deps.record?.refused(problem.kind);
    problem.answer(response);
  }

  async #upgrade(origin: Origin, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    try {
      const route = judge(origin, request, this.deps);
      if (!route)
        throw new ProblemDetails(403, "no-provider", `no provider of this session has ${request.url}`);
      await new Upgrade({ ...this.deps, origin, route, socket, head }, request).run();
    } catch (error) {
      const problem = error instanceof ProblemDetails ? error : cutOff;
      this.deps.record?.refused(problem.kind);
      socket.end(problem.message11);
    }
  }
}

function isNamed(host: string, name: string): boolean {
  return name.startsWith("*.") ? host.endsWith(name.slice(1)) : host === name;
}

function unexpected(expected: string): ProblemDetails {
  return new ProblemDetails(
    417,
    "expectation",
    `nothing here does "${expected}": Expect may only say 100-continue`,
  );
}

const cutOff = new ProblemDetails(
  502,
  "broken-off",
  "the connection to the API broke off: send the request again",
);

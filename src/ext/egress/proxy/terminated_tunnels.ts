import type { IncomingMessage, ServerResponse } from "node:http";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { canonicalHost } from "../../../outbound/address_judge.js";
import type { Authority, Leaf } from "./authority.js";
import type { Credentials } from "./credentials.js";
import type { Origin } from "./dial.js";
import { Exchange, type Incoming, type Outgoing, passed } from "./exchange.js";
import { Problem } from "./problem.js";
import type { Route, Routes } from "./routes.js";
import { authorityOf, type Fields, type Upstream } from "./upstream.js";

/** Of a request line and its fields, as Node's own default. */
const maxHeaderBytes = 16 * 1024;
/** Streams of one connection at a time. */
const maxStreams = 250;
/** By these some servers take a request for one of another method. */
const methodOverrides = ["x-http-method", "x-http-method-override", "x-method-override"];
/** What changes nothing (RFC 9110 section 9.2.1). */
const readingMethods = ["GET", "HEAD", "OPTIONS"];

export interface TerminationDeps {
  readonly authority: Authority;
  readonly routes: Routes;
  readonly credentials: Credentials;
  readonly upstream: Upstream;
  readonly isReadOnly: boolean;
  /** Whether requests below no base path of a profile go on without a credential. */
  readonly isOpen: boolean;
}

/** A server of one API's name. */
interface StandIn {
  readonly server: Http2SecureServer;
  leaf: Leaf;
}

/** Ends TLS where the program believes the API to be, and answers each request from the API with the credential put in. */
export class TerminatedTunnels {
  readonly #standIns = new Map<string, StandIn>();
  readonly #sockets = new Set<Socket>();

  constructor(private readonly deps: TerminationDeps) {}

  /** @param socket a tunnel that was just opened to `origin` */
  async take(socket: Socket, origin: Origin): Promise<void> {
    const leaf = await this.deps.authority.leafFor(origin.host);
    const key = authorityOf(origin);
    let standIn = this.#standIns.get(key);
    if (!standIn) {
      standIn = { server: this.#serverOf(origin, leaf), leaf };
      this.#standIns.set(key, standIn);
    } else if (standIn.leaf !== leaf) {
      standIn.leaf = leaf;
      standIn.server.setSecureContext(leaf);
    }
    standIn.server.emit("connection", socket);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #serverOf(origin: Origin, leaf: Leaf): Http2SecureServer {
    const server = createSecureServer(
      {
        ...{ cert: leaf.cert, key: leaf.key, minVersion: "TLSv1.2", allowHTTP1: true },
        settings: { maxConcurrentStreams: maxStreams, maxHeaderListSize: maxHeaderBytes },
        // RFC 6066 section 3: another name than that of the tunnel is for nobody here.
        SNICallback: (name, answer) =>
          canonicalHost(name) === origin.host
            ? answer(null)
            : answer(new Error("another host than the tunnel's")),
      },
      (request, response) => void this.#serve(origin, request, response),
    );
    server.on("upgrade", (request, socket, head) => void this.#upgrade(origin, request, socket, head));
    server.on("secureConnection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("sessionError", (_, session) => session.destroy());
    return server;
  }

  async #serve(origin: Origin, request: Incoming, response: Outgoing): Promise<void> {
    try {
      const route = this.#judge(origin, request);
      const { credentials, upstream } = this.deps;
      await new Exchange({ origin, route, credentials, upstream }, request, response).run();
    } catch (error) {
      const problem = error instanceof Problem ? error : cutOff;
      problem.answer(response as ServerResponse);
    }
  }

  /** @returns undefined for what goes on without a credential @throws Problem */
  #judge(origin: Origin, request: Incoming): Route | undefined {
    const { method = "GET", url: target = "/" } = request;
    const authority = request.headers[":authority"] ?? request.headers.host ?? "";
    const isNamedTwice =
      request.rawHeaders.filter((name, at) => at % 2 === 0 && /^host$/i.test(name)).length > 1;
    if (isNamedTwice || !isAuthority(String(authority), origin) || !target.startsWith("/"))
      throw new Problem(
        421,
        "misdirected",
        `this tunnel leads to ${authorityOf(origin)}: the request must name the same host, and a path`,
      );
    if (method === "TRACE" || method === "CONNECT")
      throw new Problem(405, "method-refused", `${method} is refused: it could show the credential`);
    const isOverridden = methodOverrides.some((name) => name in request.headers);
    if (this.deps.isReadOnly && (isOverridden || !readingMethods.includes(method)))
      throw new Problem(
        403,
        "read-only",
        `${isOverridden ? "a header that changes the method" : method} is refused: this session may only read (${readingMethods.join(", ")}); start it without --read-only`,
      );
    const [path = "/"] = target.split(/[?#]/, 1);
    const match = this.deps.routes.match(origin.host, origin.port, path);
    if (match.kind === "ambiguous")
      throw new Problem(
        403,
        "ambiguous-provider",
        `several providers claim ${origin.host}${path}: ${match.providers.join(", ")}; name one with --allow`,
      );
    if (match.kind === "none" && !this.deps.isOpen)
      throw new Problem(403, "no-provider", `no provider of this session has ${origin.host}${path}`);
    return match.kind === "route" ? match.route : undefined;
  }

  async #upgrade(origin: Origin, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    try {
      const route = this.#judge(origin, request);
      if (!route) throw new Problem(403, "no-provider", `no provider of this session has ${request.url}`);
      const { credentials, upstream } = this.deps;
      const token = await credentials.token(route);
      const { method = "GET", url: target = "/" } = request;
      const own = passed(request.headers as Fields, token);
      const put = await credentials.put({ origin, method, target, headers: own }, token, route);
      const { upgrade = "websocket" } = request.headers;
      const sent = upstream.upgrade(origin, method, put.path, {
        ...put.headers,
        connection: "upgrade",
        upgrade,
      });
      socket.once("close", () => sent.destroy());
      sent.once("error", () => socket.end(cutOff.message11));
      sent.once("response", (answer) => {
        socket.write(headOf(answer));
        answer.pipe(socket);
      });
      sent.once("upgrade", (answer, there, first) => {
        socket.write(headOf(answer));
        socket.write(first);
        there.write(head);
        there.on("error", () => socket.destroy());
        there.once("close", () => socket.destroy());
        there.pipe(socket).pipe(there);
      });
      sent.end();
    } catch (error) {
      socket.end(error instanceof Problem ? error.message11 : cutOff.message11);
    }
  }
}

const cutOff = new Problem(502, "broken-off", "the connection to the API broke off: send the request again");

/** A status line and the fields as they came (an upgrade has no body of ours to count). */
function headOf({ statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** What a request names as its host must be where the tunnel leads. */
function isAuthority(text: string, origin: Origin): boolean {
  const [, name = "", port = "443"] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  return canonicalHost(name) === origin.host && Number(port) === origin.port;
}

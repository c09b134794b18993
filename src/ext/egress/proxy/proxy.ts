import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as requestPlain,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { EgressNetwork } from "../../../config/rows/egress_settings.js";
import { canonicalHost } from "../../../outbound/address_judge.js";
import type { Dialer, Origin } from "./dial.js";
import { Problem } from "./problem.js";
import { TerminatedTunnels, type TerminationDeps } from "./terminated_tunnels.js";

export interface ProxyDeps extends Omit<TerminationDeps, "isOpen"> {
  readonly network: EgressNetwork;
  readonly dialer: Dialer;
}

/** Never passed on by a proxy (RFC 9110 section 7.6.1). */
const ofProxy = ["proxy-authorization", "proxy-connection", "connection", "keep-alive"];

/** An HTTP proxy on loopback for one program: `CONNECT` for https, a request with an absolute URL for http. */
export class EgressProxy {
  readonly #secret = randomBytes(32).toString("base64url");
  readonly #tunnels: TerminatedTunnels;
  readonly #sockets = new Set<Duplex>();
  readonly #server: Server;

  constructor(private readonly deps: ProxyDeps) {
    this.#tunnels = new TerminatedTunnels({ ...deps, isOpen: deps.network === "open" });
    this.#server = createServer(
      { requireHostHeader: false },
      (request, response) => void this.#plain(request, response),
    );
    this.#server.requestTimeout = 0;
    this.#server.on("connect", (request, socket, head) => void this.#connect(request, socket, head));
    this.#server.on("connection", (socket) => this.#hold(socket));
    this.#server.on("clientError", (_, socket) => socket.destroy());
  }

  /**
   * @param relayed of a program that is isolated: the socket to listen on, and the port where a relay of its own listens
   * @returns what the program gets as its proxy: the password is the session's
   */
  async open(relayed?: { readonly socket: string; readonly port: number }): Promise<URL> {
    if (relayed) this.#server.listen(relayed.socket);
    else this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const port = relayed?.port ?? (this.#server.address() as AddressInfo).port;
    return new URL(`http://nexusd:${this.#secret}@127.0.0.1:${port}`);
  }

  close(): void {
    this.#server.close();
    this.#tunnels.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #connect(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    this.#hold(socket);
    try {
      this.#authenticate(request);
      const origin = originOf(`https://${request.url}`);
      const isOfProvider = this.deps.routes.has(origin.host, origin.port);
      if (!isOfProvider) this.#refuseOthers(origin.host);
      const there = isOfProvider
        ? undefined
        : await this.deps.dialer.plain(origin).catch(unreachable(origin));
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      if (head.length > 0) socket.unshift(head);
      if (there) this.#join(socket, there);
      else await this.#tunnels.take(socket as Socket, origin);
    } catch (error) {
      socket.end(problemOf(error).message11);
    }
  }

  /** A tunnel that nobody looks into. */
  #join(socket: Duplex, there: Socket): void {
    this.#hold(there);
    socket.once("close", () => there.destroy());
    there.once("close", () => socket.destroy());
    socket.pipe(there).pipe(socket);
  }

  async #plain(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#authenticate(request);
      const url = absolute(request.url);
      const origin = originOf(url.href);
      const isOfProvider = this.deps.routes.hosts.some(({ host }) => host === origin.host);
      if (isOfProvider || this.deps.routes.has(origin.host, 443))
        throw new Problem(
          403,
          "https-only",
          `${origin.host} belongs to a provider: use https, no credential goes over http`,
        );
      this.#refuseOthers(origin.host);
      const headers = Object.fromEntries(
        Object.entries(request.headers).filter(([name]) => !ofProxy.includes(name)),
      );
      const sent = requestPlain({
        method: request.method,
        path: `${url.pathname}${url.search}`,
        headers: { ...headers, host: url.host },
        createConnection: (_, callback) => {
          this.deps.dialer.plain(origin).then(
            (open) => callback(null, open),
            (error) => callback(error, undefined as never),
          );
          return undefined;
        },
      });
      response.once("close", () => sent.destroy());
      request.pipe(sent);
      const [answer] = (await once(sent, "response").catch(unreachable(origin))) as [IncomingMessage];
      response.writeHead(answer.statusCode ?? 502, answer.headersDistinct as Record<string, string[]>);
      await pipeline(answer, response);
    } catch (error) {
      problemOf(error).answer(response);
    }
  }

  /** @throws Problem */
  #authenticate({ headers }: IncomingMessage): void {
    const [, encoded = ""] = /^basic +(\S+)$/i.exec(headers["proxy-authorization"] ?? "") ?? [];
    const password = Buffer.from(encoded, "base64").toString("utf8").split(":").slice(1).join(":");
    if (timingSafeEqual(digest(password), digest(this.#secret))) return;
    const detail =
      "this proxy serves one program: use HTTPS_PROXY of its environment, user and password included";
    throw new Problem(407, "not-authenticated", detail);
  }

  /** @throws Problem */
  #refuseOthers(host: string): void {
    const { network } = this.deps;
    if (network === "open") return;
    if (network !== "providers" && network.hosts.some((name) => isNamed(host, name))) return;
    const detail = `${host} belongs to no provider of this session, and may not be reached: --network ${host} lets it`;
    throw new Problem(403, "host-refused", detail);
  }

  #hold(socket: Duplex): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#sockets.delete(socket));
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function isNamed(host: string, name: string): boolean {
  return name.startsWith("*.") ? host.endsWith(name.slice(1)) : host === name;
}

/** @throws Problem */
function absolute(target = ""): URL {
  if (/^http:\/\//i.test(target) && URL.canParse(target)) return new URL(target);
  throw new Problem(
    400,
    "not-for-a-proxy",
    "this is a proxy: send CONNECT, or a request with an absolute http URL",
  );
}

/** @throws Problem */
function originOf(href: string): Origin {
  const url = URL.canParse(href) ? new URL(href) : undefined;
  const host = url && canonicalHost(url.hostname);
  if (!url || host === undefined || url.username !== "")
    throw new Problem(400, "malformed-host", "the host and port cannot be read");
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return { host, port };
}

function unreachable({ host }: Origin): (error: NodeJS.ErrnoException) => never {
  return ({ code, message }) => {
    throw new Problem(502, "unreachable", `${host} cannot be reached: ${code ?? message}`);
  };
}

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(502, "broken-off", "the connection broke off");
}

import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as requestPlain,
  type Server,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { canonicalHost, reachWords } from "../../../outbound/outbound.js";
import { limitPipelining, releaseConnection } from "../../../server/kit.js";
import { framed, ofEnd } from "../injection/request_fields.js";
import { StreamedBody } from "./body.js";
import type { Dialer, Origin } from "./dial.js";
import { ProblemDetails } from "./problem.js";
import type { EgressSession } from "./session.js";
import { joined } from "./tunnel.js";

export interface ProxyDeps {
  readonly dialer: Dialer;
  /** Whose request it is. @throws Problem */
  sessionOf(request: IncomingMessage): EgressSession | Promise<EgressSession>;
  /** Nobody's request was refused. @param kind of the problem */
  onRefused?(kind: string): void;
  /** A request, or a tunnel, to a host that no provider of the session has. */
  onOther?(session: EgressSession, host: string): void;
  /** What is asked of the proxy itself. @returns undefined for what it does not have */
  ownPage?(path: string): { readonly type: string; readonly body: string } | undefined;
}

/** A client that has not sent its headers by then is cut off. */
const headersTimeoutMs = 10_000;

/** An HTTP proxy: `CONNECT` for https, a request with an absolute URL for http. */
export class EgressProxy {
  readonly server: Server;

  constructor(private readonly deps: ProxyDeps) {
    this.server = createServer(
      { requireHostHeader: false, headersTimeout: headersTimeoutMs, requestTimeout: 0 },
      (request, response) => void this.#plain(request, response),
    );
    limitPipelining(this.server);
    this.server.on("connect", (request, socket, head) => {
      void this.#connect(request, socket, Buffer.concat([head, releaseConnection(socket as Socket)]));
    });
    this.server.on("clientError", (_, socket) => socket.destroy());
  }

  async #connect(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    let session: EgressSession | undefined;
    try {
      session = await this.deps.sessionOf(request);
      const origin = originOf(`https://${request.url}`);
      if (session.deps.routes.has(origin.host, origin.port)) {
        established(socket, head);
        return await session.terminate(socket as Socket, origin);
      }
      this.deps.onOther?.(session, origin.host);
      session.refuseOthers(origin);
      // Nobody looks into it. Before it is dialed, so that its session ends it from the first moment.
      session.hold(socket);
      const there = await this.deps.dialer.plain(origin).catch(unreachable(origin));
      session.hold(there);
      established(socket, head);
      joined(socket, there);
    } catch (error) {
      const problem = problemOf(error);
      this.#refused(session, problem);
      socket.end(problem.message11);
    }
  }

  async #plain(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let session: EgressSession | undefined;
    try {
      const page = request.method === "GET" ? this.deps.ownPage?.(request.url ?? "") : undefined;
      if (page) return void response.writeHead(200, { "content-type": page.type }).end(page.body);
      session = await this.deps.sessionOf(request);
      const url = absolute(request.url);
      const origin = originOf(url.href);
      if (session.deps.routes.portsOf(origin.host).length > 0) {
        const detail = `${origin.host} belongs to a provider: use https, no credential goes over http`;
        throw new ProblemDetails(403, "https-only", detail);
      }
      this.deps.onOther?.(session, origin.host);
      session.refuseOthers(origin);
      session.hold(request.socket);
      await this.#forward(request, response, url, origin);
    } catch (error) {
      const problem = problemOf(error);
      this.#refused(session, problem);
      problem.answer(response);
    }
  }

  #refused(session: EgressSession | undefined, { kind }: ProblemDetails): void {
    if (session) session.deps.record?.refused(kind);
    else this.deps.onRefused?.(kind);
  }

  async #forward(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    origin: Origin,
  ): Promise<void> {
    const body = StreamedBody.of(request);
    const { socket, proxy } = await this.deps.dialer.http(origin).catch(unreachable(origin));
    if (response.closed) return void socket.destroy();
    const authorization = proxy?.authorization;
    const sent = requestPlain({
      method: request.method,
      path: `${proxy ? url.origin : ""}${url.pathname}${url.search}`,
      headers: {
        ...framed(ofEnd(request.headers), body.length),
        host: url.host,
        ...(authorization && { "proxy-authorization": authorization.reveal() }),
      },
      createConnection: () => socket,
    });
    response.once("close", () => sent.destroy());
    // Stays: a server may send what is no HTTP behind its answer.
    sent.on("error", () => undefined);
    body.into(sent, () => sent.destroy());
    const [answer] = (await once(sent, "response").catch(unreachable(origin))) as [IncomingMessage];
    response.writeHead(answer.statusCode ?? 502, answer.headersDistinct as Record<string, string[]>);
    await pipeline(answer, response);
  }
}

function established(socket: Duplex, head: Buffer): void {
  socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
  if (head.length > 0) socket.unshift(head);
}

/** What an API key begins with: no user is named so. */
const keyPrefix = "nxk_";

/** Basic has the user whose connections are used, and an API key or a JWT as its password, or an API key alone; Bearer has the key or JWT alone. */
export function proxyCredentials(field = ""): { readonly user: string; readonly token: string | undefined } {
  const [, bearer] = /^bearer +(\S+) *$/i.exec(field) ?? [];
  if (bearer !== undefined) return { user: "", token: bearer };
  const [, encoded] = /^basic +(\S+) *$/i.exec(field) ?? [];
  if (encoded === undefined) return { user: "", token: field === "" ? undefined : "" };
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const [user = ""] = text.split(":", 1);
  const token = text.slice(user.length + 1);
  if (token === "" && user.startsWith(keyPrefix)) return { user: "", token: user };
  // Beside a client certificate only the user is named.
  return { user, token: token === "" ? undefined : token };
}

/** @throws Problem */
function absolute(target = ""): URL {
  if (/^http:\/\//i.test(target) && URL.canParse(target)) return new URL(target);
  const detail = "this is a proxy: send CONNECT, or a request with an absolute http URL";
  throw new ProblemDetails(400, "not-for-a-proxy", detail);
}

/** @throws Problem */
function originOf(href: string): Origin {
  const url = URL.canParse(href) ? new URL(href) : undefined;
  const host = url && canonicalHost(url.hostname);
  if (!url || host === undefined || url.username !== "")
    throw new ProblemDetails(400, "malformed-host", "the host and port cannot be read");
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return { host, port };
}

function unreachable({ host }: Origin): (error: NodeJS.ErrnoException) => never {
  return ({ code, message }) => {
    if (code === "REFUSED") throw new ProblemDetails(403, "address-refused", message);
    if (code === "EMFILE" || code?.startsWith("PROXY_"))
      throw new ProblemDetails(502, "unreachable", reachWords(host, code));
    throw new ProblemDetails(502, "unreachable", `${host} cannot be reached: ${code ?? message}`);
  };
}

function problemOf(error: unknown): ProblemDetails {
  if (error instanceof ProblemDetails) return error;
  return new ProblemDetails(502, "broken-off", "the connection broke off");
}

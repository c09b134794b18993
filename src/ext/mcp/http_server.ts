import { once } from "node:events";
import { chmodSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  CommandFailure,
  callTimeoutMs,
  type DaemonClient,
  type DaemonSession,
  keepLease,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import type { Restriction } from "../../gen/nexus/v1/access_pb.js";
import { formatListenAddress, type ListenAddress } from "../../model/model.js";
import type { Clock } from "../../runtime/runtime.js";
import { limitPipelining, noteCredential, SocketGuard } from "../../server/kit.js";
import { HttpSessions } from "./http_sessions.js";
import {
  type AuthInfo,
  createMcpHandler,
  hostHeaderValidationResponse,
  isLegacyRequest,
  localhostAllowedHostnames,
  type McpRequestContext,
  type McpServer,
  originValidationResponse,
  type ServerContext,
} from "./tools/sdk.js";

export interface McpHttpOptions {
  /** Of this machine. */
  readonly address: ListenAddress;
  /** Names besides those of loopback. */
  readonly allowedHosts: readonly string[];
  /** A server for one session, or for one request of the revisions without sessions. */
  readonly makeServer: (era: McpRequestContext["era"]) => McpServer;
  readonly clock: Clock;
  /** Calls for a caller with this key; without one for the user that runs the server. */
  readonly openDaemon: (key: string | undefined) => DaemonClient;
  readonly sessionOf: (daemon: DaemonClient) => DaemonSession;
  readonly onError: (error: Error) => void;
}

/** The one path. */
const path = "/mcp";
/** Clients of a machine; each holds one or two connections. Those that showed no valid key yet are few, and live as long as at the daemon. */
const connectionLimits = { maxConnections: 256, maxUnauthenticated: 64, unauthenticatedLifeMs: 30_000 };

/** MCP over streamable HTTP, of the revisions with sessions and of those without. */
export class McpHttpServer {
  readonly closed: Promise<unknown>;
  readonly #sessions: HttpSessions;
  readonly #handler: ReturnType<typeof createMcpHandler>;

  private constructor(
    private readonly options: McpHttpOptions,
    private readonly server: Server,
    private readonly guard: SocketGuard,
  ) {
    const { makeServer, clock, onError } = options;
    this.#sessions = new HttpSessions({ clock, makeServer: () => makeServer("legacy") });
    this.#handler = createMcpHandler(() => makeServer("modern"), { legacy: "reject", onerror: onError });
    this.closed = once(server, "close");
    server.on("request", (request, response) => void this.#serve(request, response));
  }

  /** @throws CommandFailure when the address cannot be listened on */
  static async listen(options: McpHttpOptions): Promise<McpHttpServer> {
    const server = createServer();
    limitPipelining(server);
    const { address, clock } = options;
    const guard = new SocketGuard({ ...connectionLimits, clock, onFull: () => undefined });
    server.on("connection", (socket) => guard.add(socket));
    try {
      const before = process.umask(0o177);
      server.listen(
        address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port },
      );
      process.umask(before);
      await once(server, "listening");
      if (address.kind === "unix") chmodSync(address.path, 0o600);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const text = formatListenAddress(address);
      throw new CommandFailure(exitCodes.listenerNotOpened, `cannot listen on ${text}: ${code}`);
    }
    return new McpHttpServer(options, server, guard);
  }

  /** What a client is given. */
  get url(): string {
    const { address } = this.options;
    if (address.kind === "unix") return `${formatListenAddress(address)} (${path})`;
    const { port } = this.server.address() as AddressInfo;
    return `http://${formatListenAddress({ ...address, port })}${path}`;
  }

  async close(): Promise<void> {
    await Promise.all([this.#handler.close(), this.#sessions.close()]);
    this.guard.close();
    this.server.close();
    this.server.closeAllConnections();
    await this.closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let daemon: DaemonClient | undefined;
    let stopRenewing: (() => Promise<void>) | undefined;
    const kept: Promise<unknown>[] = [];
    // A stream of answers lasts as long as its request, and what a person is asked about until that is over.
    response.once(
      "close",
      () => void Promise.allSettled([...kept, stopRenewing?.()]).then(() => daemon?.close()),
    );
    try {
      const url = new URL(request.url ?? "/", "http://localhost");
      const fetchRequest = webRequest(request, response, url);
      const refusal =
        url.pathname === path ? this.#refusalOf(fetchRequest) : problem(404, `MCP is at ${path}`);
      if (refusal) return await sendWebResponse(refusal, response);
      daemon = this.options.openDaemon(keyOf(fetchRequest));
      const caller = await this.#callerOf(daemon, kept);
      if (!(caller instanceof Response)) {
        noteCredential(request.socket);
        if (!response.destroyed) stopRenewing = keepLease(this.options.sessionOf(daemon));
      }
      const answer = caller instanceof Response ? caller : await this.#answer(fetchRequest, caller);
      await sendWebResponse(answer, response);
    } catch (error) {
      this.options.onError(error instanceof Error ? error : new Error("a request failed"));
      if (!response.headersSent) response.writeHead(500).end();
      else response.destroy();
    }
  }

  async #answer(request: Request, caller: AuthInfo): Promise<Response> {
    const isLegacy = await isLegacyRequest(request);
    return isLegacy
      ? this.#sessions.handle(request, caller)
      : this.#handler.fetch(request, { authInfo: caller });
  }

  /**
   * A web page must reach neither listener: one whose name was made to lead to this machine shows its own name as host and origin. Over TCP
   * any user of the machine can connect, so that a key says who calls.
   */
  #refusalOf(request: Request): Response | undefined {
    const names = [...localhostAllowedHostnames(), ...this.options.allowedHosts];
    const isUnix = this.options.address.kind === "unix";
    const wrongHost = isUnix ? undefined : hostHeaderValidationResponse(request, names);
    const refusal = wrongHost ?? originValidationResponse(request, names);
    return refusal ?? (isUnix || keyOf(request) !== undefined ? undefined : unauthenticated());
  }

  /** The daemon says who a key is, again for each request, so that a key which was revoked ends here too. */
  async #callerOf(daemon: DaemonClient, kept: Promise<unknown>[]): Promise<AuthInfo | Response> {
    try {
      const { principal, restrictions } = await daemon.access.whoAmI({}, { timeoutMs: callTimeoutMs });
      const session = this.options.sessionOf(daemon);
      // The key itself goes no further than the calls to the daemon.
      return { token: "", clientId: principal, scopes: [], extra: { session, restrictions, kept } };
    } catch (error) {
      const { code } = ConnectError.from(error);
      if (code === Code.Unauthenticated) return unauthenticated();
      return problem(503, "the daemon cannot be asked now: is nexusd serve running?");
    }
  }
}

/** The daemon as the caller of a request may use it. */
export function sessionOfCaller({ http }: ServerContext): DaemonSession {
  return http?.authInfo?.extra?.["session"] as DaemonSession;
}

export async function restrictionsOfCaller({ http }: ServerContext): Promise<readonly Restriction[]> {
  return (http?.authInfo?.extra?.["restrictions"] ?? []) as readonly Restriction[];
}

/** RFC 6750 section 2.1, or the header of the daemon's own listener. */
function keyOf({ headers }: Request): string | undefined {
  const [, bearer] = /^Bearer +([\x21-\x7e]+)$/i.exec(headers.get("authorization") ?? "") ?? [];
  const key = bearer ?? headers.get("x-api-key") ?? "";
  return /^[\x21-\x7e]{1,8192}$/.test(key) ? key : undefined;
}

function unauthenticated(): Response {
  const answer = problem(
    401,
    "an API key of the daemon is needed as Authorization: Bearer: nexusd keys create",
  );
  answer.headers.set("www-authenticate", 'Bearer realm="nexusd"');
  return answer;
}

/** JSON-RPC 2.0 section 5.1 for what is no JSON-RPC yet. */
function problem(status: number, message: string): Response {
  return Response.json({ jsonrpc: "2.0", error: { code: -32000, message }, id: null }, { status });
}

/** A request of `node:http` as one of the Fetch standard. Its signal aborts when the client leaves. */
export function webRequest(request: IncomingMessage, response: ServerResponse, url: URL): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers))
    for (const one of [value ?? []].flat()) headers.append(name, one);
  const left = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) left.abort();
  });
  const { method = "GET" } = request;
  const hasBody = method !== "GET" && method !== "HEAD";
  const body = hasBody ? { body: Readable.toWeb(request) as ReadableStream, duplex: "half" as const } : {};
  return new Request(url, { method, headers, signal: left.signal, ...body });
}

/** Writes a response of the Fetch standard as it comes; one that the client no longer reads is given up. */
export async function sendWebResponse(answer: Response, response: ServerResponse): Promise<void> {
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (answer.body === null) {
    response.end();
    return;
  }
  response.flushHeaders();
  try {
    await pipeline(Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]), response);
  } catch {
    response.destroy();
  }
}

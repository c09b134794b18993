import { randomUUID } from "node:crypto";
import type { Clock } from "../../runtime/runtime.js";
import { type AuthInfo, type McpServer, WebStandardStreamableHTTPServerTransport } from "./tools/sdk.js";

interface HttpSession {
  readonly transport: WebStandardStreamableHTTPServerTransport;
  readonly owner: string;
  usedMs: number;
}

/** More clients of one machine at a time are a mistake. */
const maxSessions = 100;
/** A client that comes back later is asked to start again, which clients do by themselves. */
const maxIdleMs = 30 * 60_000;

export interface HttpSessionsDeps {
  readonly clock: Clock;
  readonly makeServer: () => McpServer;
}

/** The sessions of clients that speak a revision of the protocol up to 2025-11-25, each of one caller. */
export class HttpSessions {
  readonly #sessions = new Map<string, HttpSession>();

  constructor(private readonly deps: HttpSessionsDeps) {}

  /** A session that does not exist, or is another caller's, is answered alike. */
  async handle(request: Request, caller: AuthInfo): Promise<Response> {
    this.#endIdle();
    const id = request.headers.get("mcp-session-id");
    const session = id === null ? await this.#open(caller.clientId) : this.#sessions.get(id);
    if (session === undefined || session.owner !== caller.clientId) return sessionNotFound();
    session.usedMs = this.deps.clock.nowMs();
    const answer = await session.transport.handleRequest(request, { authInfo: caller });
    // What did not begin with `initialize` has no session.
    if (id === null && session.transport.sessionId === undefined) await session.transport.close();
    return answer;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map(({ transport }) => transport.close()));
  }

  async #open(owner: string): Promise<HttpSession> {
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => {
        this.#sessions.set(id, session);
        this.#makeRoom();
      },
    });
    const session: HttpSession = { transport, owner, usedMs: this.deps.clock.nowMs() };
    const server = this.deps.makeServer();
    await server.connect(transport);
    server.server.onclose = () => {
      if (transport.sessionId !== undefined) this.#sessions.delete(transport.sessionId);
    };
    return session;
  }

  #endIdle(): void {
    const sinceMs = this.deps.clock.nowMs() - maxIdleMs;
    for (const { transport, usedMs } of this.#sessions.values()) if (usedMs < sinceMs) void transport.close();
  }

  /** Of the caller that has the most, the one that was idle longest goes. */
  #makeRoom(): void {
    if (this.#sessions.size <= maxSessions) return;
    const sessions = [...this.#sessions.values()];
    const countOf = (owner: string): number => sessions.filter((session) => session.owner === owner).length;
    const most = Math.max(...sessions.map(({ owner }) => countOf(owner)));
    const [oldest] = sessions
      .filter(({ owner }) => countOf(owner) === most)
      .sort((one, other) => one.usedMs - other.usedMs);
    void oldest?.transport.close();
  }
}

/** As the transport answers it: the client begins a new session. */
function sessionNotFound(): Response {
  const error = { code: -32001, message: "Session not found" };
  return Response.json({ jsonrpc: "2.0", error, id: null }, { status: 404 });
}

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Authenticate } from "../../../domain/access/access.js";
import type { Principal } from "../../../model/access/access.js";
import { type ListenAddress, PermissionDenied, Unauthenticated } from "../../../model/model.js";
import {
  guardOf,
  type Listener,
  type ListenerPlace,
  noteCredential,
  peerOf,
  StreamListener,
} from "../../../server/kit.js";
import { WireError } from "../../../service/service.js";
import type { Dialer } from "../proxy/dial.js";
import { ProblemDetails } from "../proxy/problem.js";
import { EgressProxy, proxyCredentials } from "../proxy/proxy.js";
import type { EgressSession } from "../proxy/session.js";
import type { CallerSessions } from "./caller_sessions.js";

export interface EgressListenerOptions extends ListenerPlace {
  readonly listen: ListenAddress;
  readonly authenticate: Authenticate;
  readonly sessions: CallerSessions;
  readonly connections: CallerConnections;
  readonly dialer: Dialer;
  /** Called with what was refused to nobody in particular. */
  readonly onRefused: (kind: string) => void;
  /** PEM of what callers must trust: open to everybody at `/ca.pem`. */
  readonly authority: string;
}

/** The egress proxy of a daemon, for callers that show who they are in the URL of their proxy. */
export class EgressListener implements Listener {
  readonly #proxy: EgressProxy;
  readonly #listener: StreamListener;

  constructor(private readonly options: EgressListenerOptions) {
    const { listen, setting, sockets, bounds, dialer, authority, onRefused } = options;
    this.#proxy = new EgressProxy({
      dialer,
      onRefused,
      sessionOf: (request) => this.#sessionOf(request),
      ownPage: (path) =>
        path === "/ca.pem" ? { type: "application/x-pem-file", body: authority } : undefined,
    });
    const { server } = this.#proxy;
    const tls = listen.kind === "tcp" ? options.tls : undefined;
    const outer = tls?.createServer(["http/1.1"], (socket) => void server.emit("connection", socket));
    this.#listener = new StreamListener(
      ...([
        outer ?? server,
        listen,
        "egress",
        setting,
        sockets,
        guardOf(bounds, "egress", true, listen.kind === "unix"),
      ] as const),
    );
  }

  get addresses(): readonly ListenAddress[] {
    return this.#listener.bound ? [this.#listener.bound] : [];
  }

  async open(): Promise<void> {
    await this.#listener.open();
    // Behind TLS node:http does not listen by itself, which is when it starts to watch its timeouts.
    if (this.#listener.server !== this.#proxy.server) this.#proxy.server.emit("listening");
  }

  /** Tunnels have no end of their own: all end with the daemon, at once. */
  async close(): Promise<void> {
    const closed = this.options.sessions.close();
    this.#proxy.server.close();
    // The resets of streams go out first: else an answer that broke off looks whole.
    for (const _ of ["written by node:http2", "by the socket"])
      await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([closed, this.#listener.close(AbortSignal.abort())]);
  }

  /** @throws Problem */
  async #sessionOf({ headers, socket }: IncomingMessage): Promise<EgressSession> {
    const { authenticate, listen, sessions, connections } = this.options;
    const { user, token } = proxyCredentials(headers["proxy-authorization"]);
    const origin = listen.kind === "unix" ? "unix" : (socket.remoteAddress ?? "");
    try {
      const principal = await authenticate({ socket: listen.kind, token, origin, peer: peerOf(socket) });
      if (!principal) throw unauthenticated(token !== undefined);
      noteCredential(socket);
      connections.admit(principal, socket);
      return sessions.of(principal, user);
    } catch (error) {
      if (error instanceof WireError) throw new ProblemDetails(429, "too-many-failures", error.message);
      if (error instanceof PermissionDenied) throw new ProblemDetails(403, "not-allowed", error.message);
      if (error instanceof Unauthenticated) throw new ProblemDetails(407, "not-authenticated", error.message);
      throw error;
    }
  }
}

function unauthenticated(isGiven: boolean): ProblemDetails {
  const why = isGiven ? "the key or token is wrong, or was revoked or expired" : "none was sent";
  const how =
    "use the proxy as http://USER:KEY@host:port or http://KEY@host:port, where KEY is an API key or a JWT";
  return new ProblemDetails(407, "not-authenticated", `this proxy asks for a credential: ${why}; ${how}`);
}

/** Bounds what each caller of the egress listener has open: a tunnel takes two descriptors of the daemon. */
export class CallerConnections {
  readonly #open = new Map<string, Set<Socket>>();

  constructor(private readonly maxOfPrincipal: number) {}

  /** Counts a connection until it closes; known ones come again with each request. @throws Problem */
  admit({ name }: Principal, socket: Socket): void {
    const own = this.#open.get(name) ?? new Set<Socket>();
    if (own.has(socket) || socket.destroyed) return;
    if (own.size >= this.maxOfPrincipal) {
      const detail =
        `one caller may have ${this.maxOfPrincipal} connections to this proxy (NEXUS_EGRESS_MAX_CONNECTIONS): ` +
        "close some, or send more requests over each";
      throw new ProblemDetails(429, "too-many-connections", detail);
    }
    this.#open.set(name, own.add(socket));
    socket.once("close", () => {
      own.delete(socket);
      if (own.size === 0 && this.#open.get(name) === own) this.#open.delete(name);
    });
  }
}

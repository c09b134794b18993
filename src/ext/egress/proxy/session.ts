import type { Duplex } from "node:stream";
import { Problem } from "./problem.js";
import type { SessionDeps } from "./session_deps.js";
import { TerminatedTunnels } from "./terminated_tunnels.js";

/** Who is behind requests, what they may do, and the tunnels that are open for it. */
export class EgressSession {
  readonly tunnels: TerminatedTunnels;
  readonly #sockets = new Set<Duplex>();

  constructor(private readonly deps: SessionDeps) {
    this.tunnels = new TerminatedTunnels(deps);
  }

  get isIdle(): boolean {
    return this.#sockets.size === 0 && this.tunnels.isIdle;
  }

  get routes(): SessionDeps["routes"] {
    return this.deps.routes;
  }

  get record(): SessionDeps["record"] {
    return this.deps.record;
  }

  /** @throws Problem for a host that belongs to no provider, and may not be reached */
  refuseOthers(host: string): void {
    const { network } = this.deps;
    if (network === "open") return;
    if (network !== "providers" && network.hosts.some((name) => isNamed(host, name))) return;
    const detail = `${host} belongs to no provider of this session, and may not be reached: --network ${host} (NEXUS_EGRESS_NETWORK) lets it`;
    throw new Problem(403, "host-refused", detail);
  }

  /** Of what nobody looks into: closed at the end of the session. */
  hold(socket: Duplex): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#sockets.delete(socket));
  }

  close(): void {
    this.deps.uses.close();
    this.tunnels.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

function isNamed(host: string, name: string): boolean {
  return name.startsWith("*.") ? host.endsWith(name.slice(1)) : host === name;
}

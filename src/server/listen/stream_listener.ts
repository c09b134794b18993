import type { ListenOptions, Server, Socket } from "node:net";
import type { ListenAddress } from "../../model/listen_address.js";
import { noteUser, ownerOnly, type SocketAccess } from "../sockets/peer_credentials.js";
import type { SocketGuard } from "../sockets/socket_guard.js";
import { clearSocketPath, withSocketMode } from "../sockets/unix_socket.js";
import { ListenerError } from "./listener.js";

/** Connections the system holds until they are accepted; the default of 511 turns a burst of agents away on a Unix socket. */
const backlog = 4096;

/** Silence after which the system probes a TCP peer, so that one that vanished is noticed without a request. */
const tcpKeepAliveMs = 30_000;

/** One listening address: who is connected, and how it ends. */
export class StreamListener {
  readonly #sockets = new Set<Socket>();
  #bound: ListenAddress | undefined;
  #closed: Promise<void> | undefined;

  /** @param listener and `setting` are for the sentence of a `ListenerError` */
  constructor(
    readonly server: Server,
    readonly address: ListenAddress,
    readonly listener: string,
    readonly setting: string,
    readonly sockets: SocketAccess = ownerOnly,
    private readonly guard?: SocketGuard | undefined,
  ) {
    const { uidOf } = sockets;
    if (address.kind === "unix" && uidOf) {
      server.prependListener("connection", (socket: Socket) => noteUser(socket, uidOf));
    }
    server.on("connection", (socket: Socket) => this.#track(socket));
    // Once it listens, an error is of one connection that could not be accepted; without a listener it would end the process.
    server.on("error", () => undefined);
  }

  /** The address really bound. */
  get bound(): ListenAddress | undefined {
    return this.#bound;
  }

  async open(): Promise<void> {
    const { address } = this;
    if (address.kind === "unix") {
      const obstacle = await clearSocketPath(address.path).catch((error: unknown) => {
        throw this.#error(describe(error), error);
      });
      if (obstacle !== undefined) throw this.#error(obstacle);
    }
    await this.#listen();
    const bound = this.server.address();
    this.#bound =
      bound !== null && typeof bound === "object"
        ? { kind: "tcp", host: bound.address, port: bound.port }
        : address;
  }

  /**
   * Takes no new connections. Resolves when the last one is gone, which `force` brings about at once. Closing removes
   * the file of a Unix socket.
   */
  async close(force: AbortSignal): Promise<void> {
    this.guard?.close();
    this.#closed ??= new Promise((resolve) => this.server.close(() => resolve()));
    const cut = (): void => this.#cut();
    if (force.aborted) cut();
    else force.addEventListener("abort", cut, { once: true });
    await this.#closed;
    force.removeEventListener("abort", cut);
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #listen(): Promise<void> {
    const { address, server } = this;
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => reject(this.#error(describe(error), error));
      server.once("error", fail);
      const listening = (): void => {
        server.removeListener("error", fail);
        resolve();
      };
      const bind = (options: ListenOptions): void => void server.listen({ ...options, backlog }, listening);
      if (address.kind === "unix") withSocketMode(this.sockets.mode, () => bind({ path: address.path }));
      else bind({ host: address.host, port: address.port });
    });
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    this.guard?.add(socket);
    if (this.address.kind === "tcp") socket.setKeepAlive(true, tcpKeepAliveMs);
  }

  #error(violation: string, cause?: unknown): ListenerError {
    return new ListenerError(this.listener, this.address, this.setting, violation, cause);
  }
}

const violations: Readonly<Record<string, string>> = {
  EADDRINUSE:
    "another process uses this address, be it another nexusd (--port-base gives a second one ports of its own)",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "the system does not permit it",
  EPERM: "the system does not permit it",
  ENOTFOUND: "the host name is not known",
  EROFS: "the file system is read-only",
};

function describe(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const known = violations[code];
  return known === undefined
    ? error instanceof Error
      ? error.message
      : String(error)
    : `${known} (${code})`;
}

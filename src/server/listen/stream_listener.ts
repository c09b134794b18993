import { lstatSync, statSync, unlinkSync } from "node:fs";
import { connect, type ListenOptions, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { edgePolicy } from "../../model/edge_policy.js";
import type { ListenAddress } from "../../model/listen_address.js";
import { platform } from "../../runtime/platform/platform.js";
import { noteUser, ownerOnly, type SocketAccess } from "../sockets/peer_credentials.js";
import type { SocketGuard } from "../sockets/socket_guard.js";
import { ListenerError } from "./listener.js";

/**
 * Makes sure that nothing is in the way of a socket at `path`, and removes what a killed process left there.
 *
 * @returns what is in the way, as the end of a sentence; `undefined` when nothing is
 */
async function clearSocketPath(path: string): Promise<string | undefined> {
  const bytes = Buffer.byteLength(path);
  if (bytes > platform.maxSocketPathBytes)
    return `the path is ${bytes} bytes long, the system allows ${platform.maxSocketPathBytes}`;
  const folder = dirname(path);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return `there is no folder ${folder}`;
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return undefined;
  // Linux refuses a connection to any file that is no socket just as it refuses one to a dead socket.
  if (!found.isSocket()) return "there is a file that is not a socket";
  const answer = await connectTo(path);
  if (answer === undefined) return "another process listens on it";
  if (answer === "ENOENT") return undefined;
  if (answer !== "ECONNREFUSED") return `there is a socket that cannot be tried (${answer})`;
  unlinkSync(path);
  return undefined;
}

/**
 * Runs `bind` so that a socket it makes has `mode` from its first moment: a `chmod` afterwards would leave a gap in
 * which anyone may connect. The umask belongs to the whole process, and is back before anything else can run.
 */
function withSocketMode(mode: number, bind: () => void): void {
  const before = process.umask(0o777 & ~mode);
  try {
    bind();
  } finally {
    process.umask(before);
  }
}

/** Resolves with the error's code, or `undefined` when something answered. A full backlog (EAGAIN) is an answer too. */
function connectTo(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      socket.destroy();
      resolve(error.code === "EAGAIN" ? undefined : (error.code ?? error.name));
    });
  });
}

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
      const bind = (options: ListenOptions): void =>
        void server.listen({ ...options, backlog: edgePolicy.sockets.backlog }, listening);
      if (address.kind === "unix") withSocketMode(this.sockets.mode, () => bind({ path: address.path }));
      else bind({ host: address.host, port: address.port });
    });
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    this.guard?.add(socket);
    if (this.address.kind === "tcp") socket.setKeepAlive(true, edgePolicy.sockets.tcpKeepAliveMs);
  }

  #error(violation: string, cause?: unknown): ListenerError {
    return new ListenerError(this.listener, this.address, this.setting, violation, cause);
  }
}

const violations: Readonly<Record<string, string>> = {
  EADDRINUSE:
    "another process uses this address, perhaps another nexusd (--port-base gives a second one its own ports)",
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

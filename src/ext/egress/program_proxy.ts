import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { digestOf, matchesDigest } from "../../vault/vault.js";
import { OtherHosts } from "./other_hosts.js";
import type { Dialer } from "./proxy/dial.js";
import { ProblemDetails } from "./proxy/problem.js";
import { EgressProxy, proxyCredentials } from "./proxy/proxy.js";
import type { EgressSession } from "./proxy/session.js";

/** The proxy of one program: on loopback, for one session. */
export class ProgramProxy {
  readonly #secret = randomBytes(32).toString("base64url");
  readonly #proxy: EgressProxy;
  readonly #sockets = new Set<Socket>();
  /** Only the program reaches the proxy: it needs no password. */
  #isAlone = false;

  constructor(
    private readonly deps: {
      readonly session: EgressSession;
      readonly dialer: Dialer;
      /** Tells the user. */
      tell(text: string): void;
    },
  ) {
    const others = new OtherHosts(deps.tell);
    this.#proxy = new EgressProxy({
      dialer: deps.dialer,
      sessionOf: (request) => this.#sessionOf(request),
      onOther: (session, host) => others.seen(session, host),
    });
    this.#proxy.server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /**
   * @param relayed of a program that is isolated: the socket to listen on, and the port where a relay of its own listens
   * @returns what the program gets as its proxy; with the password of the session, unless no other program of this machine reaches it
   */
  async open(relayed?: { readonly socket: string; readonly port: number }): Promise<URL> {
    const { server } = this.#proxy;
    if (relayed) server.listen(relayed.socket);
    else server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#isAlone = relayed !== undefined;
    if (relayed) return new URL(`http://127.0.0.1:${relayed.port}`);
    const { port } = server.address() as AddressInfo;
    return new URL(`http://nexusd:${this.#secret}@127.0.0.1:${port}`);
  }

  close(): void {
    this.#proxy.server.close();
    this.deps.session.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** @throws Problem */
  #sessionOf({ headers }: IncomingMessage): EgressSession {
    if (this.#isAlone) return this.deps.session;
    const { token = "" } = proxyCredentials(headers["proxy-authorization"]);
    if (matchesDigest(token, digestOf(this.#secret))) return this.deps.session;
    const detail =
      "this proxy serves one program: use HTTPS_PROXY of its environment, user and password included";
    throw new ProblemDetails(407, "not-authenticated", detail);
  }
}

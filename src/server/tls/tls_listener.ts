import type { Socket } from "node:net";
import { createServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import type { Log } from "../../runtime/log.js";
import { certificatePrincipal } from "../callers/client_certificate.js";
import { notePeer, standFor } from "../sockets/socket_notes.js";
import type { TlsReloader } from "./tls_reloader.js";

/** `optional`: a caller may show a certificate; `require`: without one of a trusted CA there is no connection. */
export type ClientAuth = "none" | "optional" | "require";

export interface ListenerTlsOptions {
  readonly listener: string;
  readonly keeper: Pick<TlsReloader, "pair" | "renew">;
  readonly clientAuth: ClientAuth;
  readonly log: Log;
}

/** Time for a handshake, as long as the headers of a request may take; the default of Node is two minutes. */
const handshakeTimeoutMs = 10_000;

/** TLS on the TCP addresses of one listener. */
export class ListenerTls {
  constructor(private readonly options: ListenerTlsOptions) {}

  /**
   * A server whose connections are accepted when their handshake is done.
   *
   * @param protocols names of RFC 7301, best first; a client that names others alone is refused, one that names none is not
   * @param accept gets the connection; what its certificate proves is noted on it, for `peerOf`
   */
  createServer(protocols: readonly ("h2" | "http/1.1")[], accept: (socket: TLSSocket) => void): TlsServer {
    const { keeper, clientAuth, listener, log } = this.options;
    const server = createServer({
      ...keeper.pair.context,
      ALPNProtocols: [...protocols],
      handshakeTimeout: handshakeTimeoutMs,
      requestCert: clientAuth !== "none",
      rejectUnauthorized: clientAuth === "require",
    });
    const shaking = new Map<string, Socket>();
    server.on("connection", (socket: Socket) => {
      const origin = originOf(socket);
      shaking.set(origin, socket);
      socket.once("close", () => {
        if (shaking.get(origin) === socket) shaking.delete(origin);
      });
    });
    server.on("secureConnection", (socket) => {
      const inner = shaking.get(originOf(socket));
      if (inner) standFor(socket, inner);
      shaking.delete(originOf(socket));
      // What comes before the engine that gets the socket listens: the end of a connection is no error of anything.
      socket.on("error", () => undefined);
      if (clientAuth !== "none") this.#note(socket);
      accept(socket);
    });
    server.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
      log.debug(
        { listener, origin: socket.remoteAddress, reason: error.code ?? error.message },
        "a TLS handshake failed",
      );
      socket.destroy();
    });
    keeper.renew(server);
    return server;
  }

  /** `authorized` alone says nothing: Node sets it for a connection without any certificate, too, when it resumes a session. */
  #note(socket: TLSSocket): void {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return;
    const { listener, log } = this.options;
    const principal = socket.authorized
      ? certificatePrincipal(certificate)
      : String(socket.authorizationError);
    if (typeof principal !== "string") notePeer(socket, { certificate: principal });
    else
      log.debug(
        { listener, origin: socket.remoteAddress, reason: principal },
        "a client certificate proves nobody",
      );
  }
}

/** Distinguishes the connections of one listening address. */
function originOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

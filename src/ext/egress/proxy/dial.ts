import { type LookupAddress, lookup as systemLookup } from "node:dns";
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import type { Clock } from "../../../runtime/clock.js";

export interface Origin {
  /** Canonical. */
  readonly host: string;
  readonly port: number;
}

/** A server that does not answer by then is away. */
const connectTimeoutMs = 10_000;

/** A name below `localhost` is this machine, whatever a resolver says (RFC 6761 section 6.3). */
const lookup: LookupFunction = (host, options, callback) => {
  if (!/(^|\.)localhost$/.test(host)) return systemLookup(host, options, callback as never);
  const addresses: LookupAddress[] = [{ address: "127.0.0.1", family: 4 }];
  if (options.all === true) return callback(null, addresses);
  return callback(null, "127.0.0.1", 4);
};

/** Opens connections to servers. A server of TLS is believed when it proves to be the host by one of the roots. */
export class Dialer {
  readonly #secureContext: SecureContext;

  /** @param roots whom to trust, as PEM */
  constructor(
    roots: string,
    private readonly clock: Clock,
  ) {
    this.#secureContext = createSecureContext({ ca: roots, minVersion: "TLSv1.2" });
  }

  /** @throws the error of the socket; `ETIMEDOUT` */
  plain({ host, port }: Origin): Promise<Socket> {
    const socket = connectTcp({ host, port, lookup, autoSelectFamily: true, noDelay: true });
    return opened(socket, "connect", this.clock);
  }

  /**
   * Whatever NODE_TLS_REJECT_UNAUTHORIZED says, the host must prove itself.
   *
   * @throws the error of the socket or of TLS; `ETIMEDOUT`
   */
  async tls(origin: Origin, alpn: readonly string[]): Promise<TLSSocket> {
    const { host } = origin;
    const socket = connectTls({
      socket: await this.plain(origin),
      host,
      ...(isIP(host) === 0 && { servername: host }),
      ALPNProtocols: [...alpn],
      secureContext: this.#secureContext,
      rejectUnauthorized: true,
    });
    return await opened(socket, "secureConnect", this.clock);
  }
}

function opened<S extends Socket>(socket: S, event: "connect" | "secureConnect", clock: Clock): Promise<S> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(connectTimeoutMs, () =>
      socket.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })),
    );
    const settle = (): void => timer.cancel();
    socket.once(event, () => {
      settle();
      resolve(socket);
    });
    // Stays: an error after this one is settled must not end the process.
    socket.on("error", (error) => {
      settle();
      reject(error);
    });
    socket.once("close", () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" })));
  });
}

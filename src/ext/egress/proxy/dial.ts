import { type LookupAddress, lookup as systemLookup } from "node:dns";
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import { type AddressRefusal, judgeAddress, judgeHost } from "../../../outbound/address_judge.js";
import type { ProviderNetworks } from "../../../outbound/provider_networks.js";
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

  /**
   * @param roots whom to trust, as PEM
   * @param networks which addresses may be reached; all without it
   */
  constructor(
    roots: string,
    readonly clock: Clock,
    private readonly networks?: ProviderNetworks,
  ) {
    this.#secureContext = createSecureContext({ ca: roots, minVersion: "TLSv1.2" });
  }

  /** @throws the error of the socket; `ETIMEDOUT`; `REFUSED` for an address that may not be reached */
  async plain({ host, port }: Origin): Promise<Socket> {
    const { networks } = this;
    if (networks) refuse(host, judgeHost(host, networks));
    const judged = networks ? judgedLookup(networks) : lookup;
    const socket = connectTcp({ host, port, lookup: judged, autoSelectFamily: true, noDelay: true });
    return await opened(socket, "connect", this.clock);
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

/** Judged before anything is sent: whether a port of a private network is open is nobody's business. */
function judgedLookup(networks: ProviderNetworks): LookupFunction {
  return (host, options, callback) =>
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, []);
      const addresses = found as LookupAddress[];
      try {
        for (const { address } of addresses) refuse(host, judgeAddress(address, networks, host));
      } catch (refusal) {
        return callback(refusal as NodeJS.ErrnoException, []);
      }
      if (options.all === true) return callback(null, addresses);
      callback(null, addresses[0]?.address ?? "", addresses[0]?.family);
    });
}

function refuse(host: string, refusal: AddressRefusal | undefined): void {
  if (refusal) throw Object.assign(new Error(`${host} ${refusal.why}`), { code: "REFUSED" });
}

function opened<S extends Socket>(socket: S, event: "connect" | "secureConnect", clock: Clock): Promise<S> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(connectTimeoutMs, () => socket.destroy(timedOut()));
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

export function timedOut(): Error {
  return Object.assign(new Error("no answer"), { code: "ETIMEDOUT" });
}

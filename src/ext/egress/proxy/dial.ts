import { existsSync, readFileSync } from "node:fs";
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import {
  connect as connectTls,
  createSecureContext,
  rootCertificates,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import {
  type AddressRefusal,
  type ApiTls,
  connectToProxy,
  judgeAddress,
  judgeHost,
  lookupAll,
  noWebProxies,
  openTunnel,
  type ProviderNetworks,
  pinned,
  type ResolvedAddress,
  ready,
  type WebProxy,
  type WebProxySettings,
  webProxyFor,
} from "../../../outbound/outbound.js";
import { BoundedMap, type Clock } from "../../../runtime/runtime.js";
import { Descriptors } from "../../../server/kit.js";

export interface Origin {
  /** Canonical. */
  readonly host: string;
  readonly port: number;
}

/** A server that does not answer by then is away. */
const connectTimeoutMs = 10_000;
/** A quiet stream whose server is gone without a word ends some time after it. Its program sees a living proxy, and would wait for ever. */
const keepAliveMs = 30_000;

/** Of certificates and authorities in use at a time. */
const maxContexts = 32;

/** How TLS with an API differs from that with others: what it is shown, and whom to trust for it beside the roots. */
export interface OwnTls extends ApiTls {
  /** Of this certificate and these authorities, and no others. Says nothing of a key. */
  readonly id: string;
}

/** A resumed connection shows no certificate: as often the host must prove itself anew. */
const longestProofMs = 60 * 60_000;

/** What resumes TLS with a host and port (RFC 8446 section 2.2), and when it proved itself by its certificate. */
export type TlsSessions = BoundedMap<string, { readonly session: Buffer; readonly provedAtMs: number }>;

/** Opens connections to servers. A server of TLS is believed when it proves to be the host by one of the roots. */
export class Dialer {
  readonly #secureContext: SecureContext;
  /** By what is their own. */
  readonly #contexts = new BoundedMap<string, SecureContext>(maxContexts);

  /**
   * @param roots whom to trust, as PEM
   * @param networks which addresses may be reached; all without it
   * @param proxies the way out of this machine
   * @param descriptors of which some are kept back; none without it
   */
  constructor(
    private readonly roots: string,
    readonly clock: Clock,
    private readonly networks?: ProviderNetworks,
    private readonly proxies: WebProxySettings = noWebProxies,
    private readonly descriptors = new Descriptors(undefined),
  ) {
    this.#secureContext = this.#context();
  }

  #context({ clientCertificate, authority }: ApiTls = {}): SecureContext {
    const { chain: cert, privateKey } = clientCertificate ?? {};
    return createSecureContext({
      ca: authority ? `${this.roots}\n${authority.certificates}` : this.roots,
      minVersion: "TLSv1.2",
      ...(cert !== undefined && { cert, key: privateKey?.reveal() }),
    });
  }

  /** Reading the roots takes longer than a handshake. */
  #contextWith(own: OwnTls): SecureContext {
    const known = this.#contexts.get(own.id);
    if (known) return known;
    const context = this.#context(own);
    this.#contexts.set(own.id, context);
    return context;
  }

  /** Directly, or through a proxy. @throws the error of the socket; `ETIMEDOUT`; `EMFILE`; `REFUSED` for an address that may not be reached */
  async plain(origin: Origin): Promise<Socket> {
    const proxy = this.#proxyFor("https", origin);
    const opening = proxy
      ? this.#inTime((signal) => openTunnel(origin, proxy, signal))
      : this.#direct(origin);
    return this.#unreserved(await opening);
  }

  /** For a request of plain http, which a proxy gets as it is. @throws as `plain` does */
  async http(origin: Origin): Promise<{ readonly socket: Socket; readonly proxy: WebProxy | undefined }> {
    const proxy = this.#proxyFor("http", origin);
    const socket = await (proxy
      ? this.#inTime((signal) => connectToProxy(proxy, signal))
      : this.#direct(origin));
    return { socket: this.#unreserved(socket), proxy };
  }

  /** @throws EMFILE before anything is sent */
  #unreserved(socket: Socket): Socket {
    if (!this.descriptors.isReserved(socket)) return socket;
    socket.destroy();
    throw Object.assign(new Error("the descriptors that are left are the daemon's own"), { code: "EMFILE" });
  }

  /** The name alone can be judged where a proxy resolves it. */
  #proxyFor(scheme: "https" | "http", origin: Origin): WebProxy | undefined {
    const { networks, proxies } = this;
    if (networks) refuse(origin.host, judgeHost(origin.host, networks, origin.port));
    return webProxyFor(scheme, origin, proxies);
  }

  async #direct({ host, port }: Origin): Promise<Socket> {
    // Judged before anything is sent: whether a port of a private network is open is nobody's business.
    const lookup: LookupFunction = (name, options, callback) => {
      this.#addressesOf(name, port).then(
        (addresses) => pinned(addresses)(name, options, callback),
        (error) => callback(error, []),
      );
    };
    const kept = { keepAlive: true, keepAliveInitialDelay: keepAliveMs, noDelay: true };
    const socket = connectTcp({ host, port, lookup, autoSelectFamily: true, ...kept });
    return await opened(socket, "connect", this.clock);
  }

  async #inTime(open: (signal: AbortSignal) => Promise<Socket>): Promise<Socket> {
    const stop = new AbortController();
    const timer = this.clock.setTimer(connectTimeoutMs, () => stop.abort(timedOut()));
    return await open(stop.signal).finally(() => timer.cancel());
  }

  async #addressesOf(name: string, port: number): Promise<readonly ResolvedAddress[]> {
    // This machine, whatever a resolver says (RFC 6761 section 6.3).
    if (/(^|\.)localhost$/.test(name)) return [{ address: "127.0.0.1", family: 4 }];
    const addresses = await lookupAll(name);
    const { networks } = this;
    if (networks)
      for (const { address } of addresses) refuse(name, judgeAddress(address, networks, name, port));
    return addresses;
  }

  /**
   * Whatever NODE_TLS_REJECT_UNAUTHORIZED says, the host must prove itself: with its certificate, or by a session of a connection on which it has.
   *
   * @param sessions of one caller: nothing of a caller is seen from another's connection
   * @param own a session stands for what this side showed, and for whom it trusted: others do not resume it
   * @throws the error of the socket or of TLS; `ETIMEDOUT`
   */
  async tls(
    origin: Origin,
    alpn: readonly string[],
    sessions?: TlsSessions,
    own?: OwnTls,
  ): Promise<TLSSocket> {
    const { host, port } = origin;
    const key = `${host} ${port} ${alpn} ${own?.id ?? ""}`;
    const nowMs = this.clock.monotonicMs();
    const known = sessions?.get(key);
    const { session, provedAtMs } =
      known && nowMs - known.provedAtMs < longestProofMs ? known : { session: undefined, provedAtMs: nowMs };
    const socket = connectTls({
      socket: await this.plain(origin),
      host,
      ...(isIP(host) === 0 && { servername: host }),
      ALPNProtocols: [...alpn],
      secureContext: own ? this.#contextWith(own) : this.#secureContext,
      rejectUnauthorized: true,
      ...(session && { session }),
    });
    const keep = (next: Buffer): void => {
      const proved = socket.isSessionReused() ? provedAtMs : nowMs;
      if (socket.authorized) sessions?.set(key, { session: next, provedAtMs: proved });
    };
    if (sessions) socket.on("session", keep);
    return await opened(socket, "secureConnect", this.clock);
  }
}

function refuse(host: string, refusal: AddressRefusal | undefined): void {
  if (refusal) throw Object.assign(new Error(`${host} ${refusal.why}`), { code: "REFUSED" });
}

async function opened<S extends Socket>(
  socket: S,
  event: "connect" | "secureConnect",
  clock: Clock,
): Promise<S> {
  const timer = clock.setTimer(connectTimeoutMs, () => socket.destroy(timedOut()));
  await ready(socket, event).finally(() => timer.cancel());
  return socket;
}

export function timedOut(): Error {
  return Object.assign(new Error("no answer"), { code: "ETIMEDOUT" });
}

/** Where systems keep the roots that they trust. */
const systemRoots = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
];

/** PEM. What programs with this environment trust today. */
export function trustedRoots(env: NodeJS.ProcessEnv): string {
  const file = [env["SSL_CERT_FILE"], ...systemRoots].find((path) => path !== undefined && existsSync(path));
  const own = file === undefined ? rootCertificates.join("\n") : readFileSync(file, "utf8");
  const further = env["NODE_EXTRA_CA_CERTS"];
  return further !== undefined && existsSync(further) ? `${own}\n${readFileSync(further, "utf8")}` : own;
}

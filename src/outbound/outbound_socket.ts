import { lookup as systemLookup } from "node:dns/promises";
import { request as sendRequest } from "node:http";
import { connect as connectTcp, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  type AddressRefusal,
  addressKind,
  canonicalHost,
  isAddress,
  judgeAddress,
  judgeUrl,
  type ProviderNetworks,
  portOf,
} from "./address_judge.js";
import { type ApiTls, secureContextOf } from "./api_tls.js";
import { TlsSession } from "./tls_sessions.js";
import type { Destination, WebProxy } from "./web_proxy.js";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** All addresses of a name; the system's resolver by default. */
export type Lookup = (host: string) => Promise<readonly ResolvedAddress[]>;

export const lookupAll: Lookup = (host) => systemLookup(host, { all: true });

/** The request must not be made to this address. Carries no address. */
export class AddressRefused extends Error {
  constructor(readonly refusal: AddressRefusal) {
    super(refusal.why);
    this.name = "AddressRefused";
  }
}

/** Where a request goes: the host as written, and the judge of each address that stands for it. */
export class OutboundTarget {
  /** Canonical: no brackets, no trailing dot. */
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  readonly isLiteral: boolean;
  /** Of connections that present no certificate and trust the system alone: a session stands for the client, and for whom it trusts. */
  readonly tlsSession = new TlsSession();
  readonly #networks: ProviderNetworks;
  /** Judged last, and found good: the networks stay as they are. */
  #good: string | undefined;

  /**
   * Judges what the URL itself says.
   *
   * @param url of scheme https or http
   * @throws AddressRefused
   */
  constructor(url: URL, networks: ProviderNetworks) {
    const refusal = judgeUrl(url, networks);
    if (refusal) throw new AddressRefused(refusal);
    this.host = canonicalHost(url.hostname) ?? url.hostname;
    this.isLiteral = isAddress(this.host);
    this.isSecure = url.protocol === "https:";
    this.port = portOf(url);
    this.#networks = networks;
  }

  /**
   * The addresses to connect to: all that the name has, or none. A name that leads to a forbidden address besides a public one is a
   * trap or a mistake, and either way not a provider.
   *
   * @throws AddressRefused, or the error of the lookup
   */
  async resolve(lookup: Lookup): Promise<readonly ResolvedAddress[]> {
    const family = this.host.includes(":") ? 6 : 4;
    if (this.isLiteral) return [{ address: this.host, family }];
    const addresses = await lookup(this.host);
    if (addresses.length === 0) throw Object.assign(new Error("no address"), { code: "ENOTFOUND" });
    for (const { address } of addresses) this.judge(address);
    return addresses;
  }

  /** Judges an address that the name led to, or that a socket is connected to. @throws AddressRefused */
  judge(address: string | undefined): void {
    if (address === undefined) throw Object.assign(new Error("not connected"), { code: "ENOTCONN" });
    if (address === this.#good) return;
    const refusal = judgeAddress(address, this.#networks, this.isLiteral ? undefined : this.host, this.port);
    if (refusal) throw new AddressRefused(refusal);
    if (!this.isSecure && addressKind(address) !== "loopback") {
      throw new AddressRefused({
        kind: "reserved",
        why: "resolves to another machine: http is for this one",
      });
    }
    this.#good = address;
  }
}

/**
 * Connects to one of `addresses` and to nothing else: the name is not resolved again, and the address of the connected socket is
 * judged before TLS begins. Through a proxy, which resolves the name itself, only the proxy's word stands for the address.
 *
 * @throws AddressRefused, or the error of the socket or of TLS; the abort leaves no socket behind
 */
export async function openSocket(
  target: OutboundTarget,
  way: readonly ResolvedAddress[] | WebProxy,
  signal: AbortSignal,
  own: ApiTls = {},
): Promise<Socket> {
  const tcp = "port" in way ? await openTunnel(target, way, signal) : connectTo(target, way);
  const close = (): void => void tcp.destroy();
  signal.addEventListener("abort", close, { once: true });
  try {
    if (!("port" in way)) {
      await ready(tcp, "connect");
      target.judge(tcp.remoteAddress);
    }
    if (!target.isSecure) return tcp;
    const isOwn = own.clientCertificate !== undefined || own.authority !== undefined;
    const session = isOwn ? undefined : target.tlsSession.current;
    const tls = connectTls({
      socket: tcp,
      host: target.host,
      ...(target.isLiteral ? {} : { servername: target.host }),
      ALPNProtocols: ["http/1.1"],
      ...(isOwn ? { secureContext: secureContextOf(own) } : { minVersion: "TLSv1.2" }),
      ...(session && { session }),
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
    });
    if (!isOwn) target.tlsSession.follow(tls);
    await ready(tls, "secureConnect");
    return tls;
  } catch (violation) {
    close();
    throw violation;
  } finally {
    if (signal.aborted) close();
  }
}

function connectTo({ host, port }: OutboundTarget, addresses: readonly ResolvedAddress[]): Socket {
  return connectTcp({ host, port, lookup: pinned(addresses), autoSelectFamily: true, noDelay: true });
}

export function pinned(addresses: readonly ResolvedAddress[]): LookupFunction {
  return (_host, options, callback) => {
    if (options.all === true) return callback(null, [...addresses]);
    const [first] = addresses;
    return callback(null, first?.address ?? "", first?.family);
  };
}

/** What became of a proxy, as `code` of the error. */
export type WebProxyFailure = "PROXY_UNREACHABLE" | "PROXY_AUTHENTICATION" | "PROXY_REFUSED";

/** Of a tunnel whose other end is gone without a word. */
const keepAliveMs = 30_000;

/** Connects to the proxy itself. @throws Error with a code; the abort leaves no socket behind */
export async function connectToProxy(
  { host, port, isSecure }: WebProxy,
  signal: AbortSignal,
): Promise<Socket> {
  const kept = { keepAlive: true, keepAliveInitialDelay: keepAliveMs, noDelay: true };
  const tcp = connectTcp({ host, port, autoSelectFamily: true, ...kept });
  const close = (): void => void tcp.destroy();
  signal.addEventListener("abort", close, { once: true });
  try {
    signal.throwIfAborted();
    await ready(tcp, "connect");
    if (!isSecure) return tcp;
    const servername = isAddress(host) ? {} : { servername: host };
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    const tls = connectTls({
      socket: tcp,
      host,
      ...servername,
      minVersion: "TLSv1.2",
      rejectUnauthorized: true,
    });
    await ready(tls, "secureConnect");
    return tls;
  } catch (cause) {
    close();
    throw failure("PROXY_UNREACHABLE", cause);
  }
}

/**
 * A connection through the proxy to the destination, whose name the proxy resolves (CONNECT, RFC 9110 section 9.3.6).
 *
 * @throws Error with a code; the abort leaves no socket behind
 */
export async function openTunnel(
  { host, port }: Destination,
  proxy: WebProxy,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = await connectToProxy(proxy, signal);
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const { authorization } = proxy;
  const close = (): void => void socket.destroy();
  signal.addEventListener("abort", close, { once: true });
  return await new Promise((resolve, reject) => {
    const refuse = (error: Error): void => {
      close();
      reject(error);
    };
    const sent = sendRequest({
      method: "CONNECT",
      path: authority,
      headers: { host: authority, ...(authorization && { "proxy-authorization": authorization.reveal() }) },
      createConnection: () => socket,
    });
    sent.once("connect", ({ statusCode = 0 }, _, head) => {
      if (statusCode === 407) return refuse(failure("PROXY_AUTHENTICATION"));
      if (statusCode < 200 || statusCode > 299) return refuse(failure("PROXY_REFUSED"));
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    sent.on("error", (cause) => refuse(failure("PROXY_UNREACHABLE", cause)));
    sent.once("close", () => reject(failure("PROXY_UNREACHABLE")));
    sent.end();
  });
}

function failure(code: WebProxyFailure, cause?: unknown): Error {
  return Object.assign(new Error("no tunnel through the proxy", { cause }), { code });
}

/** @throws the error of the socket, or ECONNRESET where it closes before */
export function ready(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve);
    // Stays: an error after this one is settled must not end the process.
    socket.on("error", reject);
    socket.once("close", () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" })));
  });
}

import { request as sendRequest } from "node:http";
import { connect as connectTcp, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ClientCertificate } from "../model/clients/client_certificate.js";
import { isAddress } from "./address_judge.js";
import type { OutboundTarget, ResolvedAddress } from "./outbound_address.js";
import type { Destination, WebProxy } from "./web_proxy.js";

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
  certificate?: ClientCertificate,
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
    const session = certificate ? undefined : target.tlsSession.current;
    const tls = connectTls({
      socket: tcp,
      host: target.host,
      ...(target.isLiteral ? {} : { servername: target.host }),
      ALPNProtocols: ["http/1.1"],
      minVersion: "TLSv1.2",
      ...(certificate && { cert: certificate.chain, key: certificate.privateKey.reveal() }),
      ...(session && { session }),
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
    });
    if (!certificate) target.tlsSession.follow(tls);
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

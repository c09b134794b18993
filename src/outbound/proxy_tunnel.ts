import { request as sendRequest } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { isAddress } from "./address_judge.js";
import { ready } from "./socket_ready.js";
import type { Destination, WebProxy } from "./web_proxy.js";

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

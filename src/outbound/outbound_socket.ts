import { connect as connectTcp, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ClientCertificate } from "../model/clients/client_certificate.js";
import type { OutboundTarget, ResolvedAddress } from "./outbound_address.js";

/**
 * Connects to one of `addresses` and to nothing else: the name is not resolved again, and the address of the connected socket is
 * judged before TLS begins. No proxy of the environment is asked.
 *
 * @throws AddressRefused, or the error of the socket or of TLS; the abort leaves no socket behind
 */
export async function openSocket(
  target: OutboundTarget,
  addresses: readonly ResolvedAddress[],
  signal: AbortSignal,
  certificate?: ClientCertificate,
): Promise<Socket> {
  const tcp = connectTcp({
    host: target.host,
    port: target.port,
    lookup: pinned(addresses),
    autoSelectFamily: true,
    noDelay: true,
  });
  const close = (): void => void tcp.destroy();
  signal.addEventListener("abort", close, { once: true });
  try {
    await ready(tcp, "connect");
    target.judge(tcp.remoteAddress);
    if (!target.isSecure) return tcp;
    const tls = connectTls({
      socket: tcp,
      host: target.host,
      ...(target.isLiteral ? {} : { servername: target.host }),
      ALPNProtocols: ["http/1.1"],
      minVersion: "TLSv1.2",
      ...(certificate && { cert: certificate.chain, key: certificate.privateKey.reveal() }),
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
    });
    await ready(tls, "secureConnect");
    return tls;
  } catch (violation) {
    close();
    throw violation;
  } finally {
    if (signal.aborted) close();
  }
}

export function pinned(addresses: readonly ResolvedAddress[]): LookupFunction {
  return (_host, options, callback) => {
    if (options.all === true) return callback(null, [...addresses]);
    const [first] = addresses;
    return callback(null, first?.address ?? "", first?.family);
  };
}

export function ready(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve);
    // Stays: an error after this one is settled must not end the process.
    socket.on("error", reject);
    socket.once("close", () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" })));
  });
}

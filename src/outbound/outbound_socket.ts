import { connect as connectTcp, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ClientCertificate } from "../model/clients/client_certificate.js";
import type { OutboundTarget, ResolvedAddress } from "./outbound_address.js";
import { openTunnel } from "./proxy_tunnel.js";
import { ready } from "./socket_ready.js";
import type { WebProxy } from "./web_proxy.js";

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

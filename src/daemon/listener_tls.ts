import type { Config } from "../config/config.js";
import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import type { ListenerName } from "../server/listeners.js";
import { ListenerTls } from "../server/tls/tls_listener.js";
import { TlsReloader } from "../server/tls/tls_reloader.js";

/** TLS as the settings say; its opener stops it. */
export interface OpenTls {
  of(listener: ListenerName): ListenerTls | undefined;
  /** When the certificate that new connections get expires; undefined without one. */
  endsMs(): number | undefined;
  stop(): void;
}

/** Reads the certificate, if there is one to be. @throws TlsError */
export async function openTls(
  { listeners: { tls } }: Config,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<OpenTls> {
  if (tls === undefined) return { of: () => undefined, endsMs: () => undefined, stop: () => undefined };
  const keeper = await TlsReloader.load({ ...tls, clock, log });
  return {
    of: (listener) => {
      if (!tls.listeners.includes(listener)) return undefined;
      // A browser would ask its person for a certificate, and a probe has none.
      const clientAuth = ["grpc", "http", "egress"].includes(listener) ? tls.clientAuth : "none";
      return new ListenerTls({ listener, keeper, clientAuth, log });
    },
    endsMs: () => keeper.pair.notAfterMs,
    stop: () => keeper.stop(),
  };
}

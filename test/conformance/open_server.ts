import { owner } from "../../src/model/access/principal.js";
import { defaultLimits } from "../../src/model/limits.js";
import type { ListenAddress } from "../../src/model/listen_address.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { ApiListener } from "../../src/server/api/api_listener.js";
import { type ClientAuth, ListenerTls } from "../../src/server/tls/tls_listener.js";
import { readPair } from "../../src/server/tls/tls_pair.js";
import type { BoundService } from "../../src/service/pipeline/bound_service.js";
import { silentLog } from "../silent_log.js";

export interface ServerTls {
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Without it clients show no certificate. */
  readonly clientCa: Buffer | undefined;
}

/** The daemon's own listener, with a service of a suite instead of the contract's. */
export async function openServer(
  service: BoundService,
  listen: ListenAddress,
  tls?: ServerTls,
  maxMessageBytes?: number,
): Promise<ApiListener> {
  const clock = new SystemClock();
  const limits = { ...defaultLimits, ...(maxMessageBytes && { maxMessageBytes }) };
  const listener = new ApiListener({
    ...{ name: "grpc", listen, setting: "NEXUS_GRPC_LISTEN", services: [service], clock },
    bounds: { limits, clock, onFull: () => undefined },
    // Who shows nothing may neither stay for long nor send much.
    authenticate: () => owner,
    // Nothing that a suite does may be unexpected.
    onUnexpected: (error, where) => {
      process.stderr.write(`unexpected at ${where}: ${(error as Error).stack}\n`);
    },
    ...(tls && { tls: listenerTls(tls) }),
  });
  await listener.open();
  return listener;
}

function listenerTls(tls: ServerTls): ListenerTls {
  const clientAuth: ClientAuth = tls.clientCa ? "require" : "none";
  const keeper = { pair: readPair(tls), renew: () => undefined };
  return new ListenerTls({ listener: "grpc", keeper, clientAuth, log: silentLog });
}

import { daemon } from "../../../model/access/access.js";
import type { Limits, ListenAddress } from "../../../model/model.js";
import type { Clock, Log } from "../../../runtime/runtime.js";
import { ApiListener, type Descriptors, type Listener, type OnUnexpected } from "../../../server/kit.js";
import type { BoundService } from "../../../service/service.js";
import { type LinkKeys, LinkTls } from "./link_tls.js";

/** What stands around the message of an agent when it is forwarded: its caller, the method, what protobuf adds. */
const envelopeBytes = 64 * 1024;

export interface FleetListenerOptions {
  readonly listen: ListenAddress;
  /** `FleetService`. */
  readonly service: BoundService;
  readonly keys: LinkKeys;
  readonly limits: Limits;
  readonly descriptors: Descriptors;
  readonly onUnexpected: OnUnexpected;
  readonly clock: Clock;
  readonly log: Log;
}

/** The listener for the other hubs: a peer that has come through its TLS holds a key of the ring, and with it all that this daemon has. */
export function fleetListener(options: FleetListenerOptions): Listener {
  const { limits, clock, service, descriptors } = options;
  // Of one hub come the calls of all its agents, over one connection.
  const { maxStreams } = limits;
  const bounds = {
    limits: {
      ...limits,
      maxMessageBytes: Math.max(limits.maxMessageBytes, limits.maxFormBytes) + envelopeBytes,
      maxStreamsPerConnection: maxStreams,
    },
    clock,
    descriptors,
    isNeeded: true,
    onFull: () => undefined,
  };
  return new ApiListener({
    ...options,
    name: "fleet",
    setting: "NEXUS_FLEET_LISTEN",
    services: [service],
    tls: new LinkTls(options),
    bounds,
    authenticate: () => daemon,
  });
}

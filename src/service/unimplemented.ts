import { NexusService } from "../gen/nexus/v1/nexus_pb.js";
import { Unimplemented } from "../model/errors.js";
import { bindService } from "./bind_service.js";
import type { BoundService } from "./bound_service.js";

/** An RPC whose proto comment says that a later release answers it. */
export function notServed(): Promise<never> {
  return Promise.reject(
    new Unimplemented("this release does not answer this RPC: see its comment in the .proto file"),
  );
}

export function nexusService(): BoundService {
  return bindService(NexusService, {
    requestConnection: notServed,
    checkConnection: notServed,
    getToken: notServed,
    refreshConnection: notServed,
  });
}

import { AuditService } from "../gen/nexus/v1/audit_pb.js";
import { Unimplemented } from "../model/errors.js";
import { bindService } from "./bind_service.js";
import type { BoundService } from "./bound_service.js";

/** An RPC whose proto comment says that a later release answers it. */
export function notServed(): Promise<never> {
  return Promise.reject(
    new Unimplemented("this release does not answer this RPC: see its comment in the .proto file"),
  );
}

export function auditService(): BoundService {
  return bindService(AuditService, { listAuditEvents: notServed });
}

import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { AuditReader } from "../../domain/operations/operations.js";
import {
  type AuditEvent,
  AuditEventSchema,
  AuditService,
  ListAuditEventsResponseSchema,
  VerifyAuditLogResponseSchema,
} from "../../gen/nexus/v1/audit_pb.js";
import { InvalidArgument } from "../../model/errors.js";
import { decodePageToken, encodePageToken } from "../messages/page_token.js";
import { defineService, type ServiceDefinition } from "../pipeline/service_definition.js";

/** Page size when the request says 0. */
const defaultPageSize = 50;

type Listed = ReturnType<AuditReader["list"]>["events"][number];

export function auditService(options: { readonly audit: AuditReader }): ServiceDefinition {
  const { audit } = options;
  return defineService(AuditService, {
    async listAuditEvents(request) {
      const before = decodePageToken("audit", request.pageToken, (text) => /^[1-9]\d{0,18}$/.test(text));
      const page = audit.list({
        limit: request.pageSize === 0 ? defaultPageSize : request.pageSize,
        beforeSequence: before === undefined ? undefined : BigInt(before),
        connectionId: request.connectionId || undefined,
        type: request.eventType || undefined,
        sinceMs: request.since && timestampMs(request.since),
        principal: request.principal || undefined,
        providerId: request.providerId || undefined,
        afterSequence: request.afterSequence,
        untilMs: request.until && timestampMs(request.until),
        agent: request.agent || undefined,
        withoutDaemon: request.withoutDaemon,
      });
      return create(ListAuditEventsResponseSchema, {
        events: page.events.map(eventMessage),
        nextPageToken: encodePageToken("audit", page.nextBefore?.toString()),
      });
    },

    async verifyAuditLog(request, context) {
      const { checkpointSequence: sequence, checkpointHash: hash } = request;
      if ((sequence === 0n) !== (hash === "")) {
        const field = sequence === 0n ? "checkpoint_sequence" : "checkpoint_hash";
        throw new InvalidArgument([{ field, description: "a checkpoint has a sequence and a hash" }]);
      }
      const verdict = await audit.verify(sequence === 0n ? undefined : { sequence, hash }, context.signal);
      const { checked, violation, head } = verdict;
      return create(VerifyAuditLogResponseSchema, {
        checked,
        firstBadSequence: violation?.sequence ?? 0n,
        reason: violation?.reason ?? "",
        headSequence: head.sequence,
        headHash: Buffer.from(head.hash).toString("hex"),
        anchorSequence: head.anchorSequence,
      });
    },
  });
}

function eventMessage({ sequence, event, hash }: Listed): AuditEvent {
  return create(AuditEventSchema, {
    sequence,
    time: timestampFromMs(event.timeMs),
    eventType: event.type,
    principal: event.principal,
    connectionId: event.connectionId ?? "",
    providerId: event.providerId ?? "",
    reason: event.reason ?? "",
    origin: event.origin ?? "",
    hash,
    count: BigInt(event.count ?? 0),
    revision: event.revision ?? 0n,
    via: [...(event.via ?? [])],
    agent: event.agent ?? "",
    session: event.session ?? "",
    userId: event.userId ?? "",
    rule: event.rule ?? "",
    approver: event.approver ?? "",
    traceId: event.traceId ?? "",
    shadow: event.shadow ?? "",
  });
}

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HeldRequest } from "../../../domain/access/access.js";
import type { HoldRequest, HoldRequestSchema } from "../../../gen/nexus/fleet/v1/fleet_pb.js";
import type { Extent } from "../../../model/access/access.js";

/** A request that a person is asked about, for the hub that leads; without its caller. */
export function holdMessage(held: HeldRequest): MessageInitShape<typeof HoldRequestSchema> {
  const { connection, request, rule, policyDigest, use } = held;
  const { headers, unclearHeaders: _, body, ...line } = request;
  return {
    ...{ connectionId: connection.connectionId, ...line, policyDigest },
    ...(headers && { showsHeaders: true, headers: Object.fromEntries(headers) }),
    ...(body && { bodySize: BigInt(body.size), bodySha256: Buffer.from(body.digest, "hex") }),
    ...(body?.bytes && { body: Buffer.from(body.bytes) }),
    ...{ ruleLine: rule.line, because: rule.because, extents: [...rule.extent] },
    ...{ rule: use?.rule ?? "", traceId: use?.traceId ?? "", holdMs: rule.holdMs ?? 0 },
    approvers: rule.approvers ?? 0,
  };
}

/** What the other hub was shown, and its rule: another digest here would be another request. */
export function heldFrom(message: HoldRequest): Omit<HeldRequest, "principal" | "connection" | "signal"> {
  const { method, host, target, session, showsHeaders, headers, bodySize, bodySha256, body } = message;
  const shownBody = bodySize !== undefined && {
    size: Number(bodySize),
    digest: Buffer.from(bodySha256).toString("hex"),
    bytes: body.length > 0 ? body : undefined,
  };
  const {
    ruleLine: line,
    because,
    extents,
    policyDigest,
    rule,
    traceId,
    repeats,
    isPlain,
    holdMs,
    approvers,
  } = message;
  const extent = extents as Extent[];
  return {
    request: {
      ...{ method, host, target, session, body: shownBody || undefined },
      ...(repeats && { repeats }),
      ...(isPlain && { isPlain }),
      headers: showsHeaders ? new Map(Object.entries(headers)) : undefined,
    },
    rule: {
      ...{ providers: undefined, when: undefined, verdict: "ask", asks: new Set(), because, extent, line },
      ...(holdMs > 0 && { holdMs }),
      ...(approvers > 0 && { approvers }),
    },
    policyDigest,
    use: { ...(session !== undefined && { session }), rule, ...(traceId !== "" && { traceId }) },
  };
}

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HeldRequest, LedRequest, TokenPurpose } from "../../../domain/access/access.js";
import type { HoldRequest, HoldRequestSchema } from "../../../gen/nexus/fleet/v1/fleet_pb.js";
import type { DescribedRequest, Extent } from "../../../model/access/access.js";

/** A request that a person is asked about, for the hub that leads; without its caller. */
export function holdMessage(held: HeldRequest): MessageInitShape<typeof HoldRequestSchema> {
  const { connection, request, rule, policyDigest, use } = held;
  return {
    ...{ connectionId: connection.connectionId, ...shown(request), policyDigest },
    ...{ ruleLine: rule.line, because: rule.because, extents: [...rule.extent] },
    ...{ rule: use?.rule ?? "", traceId: use?.traceId ?? "", holdMs: rule.holdMs ?? 0 },
    approvers: rule.approvers ?? 0,
  };
}

/** A request over which the hub that leads decides by its own rules; without its caller. */
export function ledMessage(asked: LedRequest): MessageInitShape<typeof HoldRequestSchema> {
  const { connectionId, policyDigest, traceId = "", request } = asked;
  const about = { connectionId, policyDigest, traceId, decides: true };
  if (!request) return { ...about, showsNothing: true };
  return { ...about, ...shown(request) };
}

function shown({ headers, unclearHeaders = [], body, ...line }: DescribedRequest) {
  return {
    ...line,
    unclearHeaders: [...unclearHeaders],
    ...(headers && { showsHeaders: true, headers: Object.fromEntries(headers) }),
    ...(body && { bodySize: BigInt(body.size), bodySha256: Buffer.from(body.digest, "hex") }),
    ...(body?.bytes && { body: Buffer.from(body.bytes), bodyIsEmpty: body.bytes.length === 0 }),
  } satisfies MessageInitShape<typeof HoldRequestSchema>;
}

/** What the other hub was shown. */
export function askedFrom(message: HoldRequest): Omit<TokenPurpose, "signal"> {
  const { showsNothing, traceId } = message;
  return {
    request: showsNothing ? undefined : requestFrom(message),
    // Of the parent, its hub knows the rest.
    ...(traceId !== "" && { trace: { traceparent: `00-${traceId}-` } }),
  };
}

/** What the other hub was shown, and its rule: another digest here would be another request. */
export function heldFrom(message: HoldRequest): Omit<HeldRequest, "principal" | "connection" | "signal"> {
  const {
    session,
    ruleLine: line,
    because,
    extents,
    policyDigest,
    rule,
    traceId,
    holdMs,
    approvers,
  } = message;
  const extent = extents as Extent[];
  return {
    request: requestFrom(message),
    rule: {
      ...{ providers: undefined, when: undefined, verdict: "ask", asks: new Set(), because, extent, line },
      ...(holdMs > 0 && { holdMs }),
      ...(approvers > 0 && { approvers }),
    },
    policyDigest,
    use: { ...(session !== undefined && { session }), rule, ...(traceId !== "" && { traceId }) },
  };
}

function requestFrom(message: HoldRequest): DescribedRequest {
  const { method, host, target, session, showsHeaders, headers, bodySize, bodySha256, body } = message;
  const { repeats, isPlain, unclearHeaders, bodyIsEmpty } = message;
  const shownBody = bodySize !== undefined && {
    size: Number(bodySize),
    digest: Buffer.from(bodySha256).toString("hex"),
    bytes: body.length > 0 || bodyIsEmpty ? body : undefined,
  };
  return {
    ...{ method, host, target, session, body: shownBody || undefined },
    ...(repeats && { repeats }),
    ...(isPlain && { isPlain }),
    ...(unclearHeaders.length > 0 && { unclearHeaders }),
    headers: showsHeaders ? new Map(Object.entries(headers)) : undefined,
  };
}

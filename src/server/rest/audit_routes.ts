import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type AuditEvent, AuditEventSchema, AuditService } from "../../gen/nexus/v1/audit_pb.js";
import { InvalidArgument } from "../../model/errors.js";
import type { JsonObject, JsonValue } from "../../model/json.js";
import { parseRfc3339 } from "../../model/rfc3339.js";
import type { Call } from "../../service/pipeline/rpc_call.js";
import { alias, answer, idOf, type QueryParameter, type RestRoute, routeOf } from "./route.js";

const defaultLimit = 50;
const maxLimit = 1000;
/** Of nine digits: no number of a client that pages. */
const largestLimit = 999_999_999;

const query: Readonly<Record<string, QueryParameter>> = {
  event_type: { description: "Only events of this type.", schema: { type: "string" } },
  since: {
    description: "Only events at or after this time (RFC 3339).",
    schema: { type: "string", format: "date-time" },
  },
  limit: {
    description: `Page size; what is larger than ${maxLimit} is taken as that.`,
    schema: { type: "integer", minimum: 1, maximum: largestLimit, default: defaultLimit },
  },
  connection_id: {
    description: "Only events of this connection.",
    schema: { type: "string", format: "uuid" },
  },
  page_token: {
    description: "The `next_page_token` of the page before.",
    schema: { type: "string" },
  },
};

const list = routeOf(AuditService.method.listAuditEvents, {
  operationId: "listAuditEvents",
  summary: "Lists audit events, the newest first",
  tag: "audit",
  query,
  success: { status: 200, schema: "AuditPage" },
  errors: [],
  async handle(request, call) {
    const { events, nextPageToken } = await listEvents(call, request.query);
    return answer({ events: events.map(eventJson), next_page_token: nextPageToken });
  },
});

/** As the Nexus broker answers it: a bare list of its rows. The token of the next page is in a header. */
const brokerList = alias(list, {
  success: {
    status: 200,
    schema: "AuditRows",
    headers: { "X-Next-Page-Token": "The `page_token` of the next page; absent on the last one." },
  },
  async handle(request, call) {
    const { events, nextPageToken } = await listEvents(call, request.query);
    const headers: Record<string, string> =
      nextPageToken === "" ? {} : { "x-next-page-token": nextPageToken };
    return { ...answer(events.map(brokerRow)), headers };
  },
});

export const auditRoutes: readonly RestRoute[] = [list, brokerList];

/** A page of the RPC may hold fewer events than requested while more follow: it is filled up from the next. */
async function listEvents(call: Call, wanted: URLSearchParams) {
  const limit = limitOf(wanted.get("limit") ?? "");
  const since = sinceOf(wanted.get("since") ?? "");
  const events: AuditEvent[] = [];
  let nextPageToken = wanted.get("page_token") ?? "";
  do {
    const page = await call(AuditService.method.listAuditEvents, {
      pageSize: limit - events.length,
      pageToken: nextPageToken,
      eventType: wanted.get("event_type") ?? "",
      connectionId: idOf(wanted.get("connection_id") ?? ""),
      ...(since ? { since } : {}),
    });
    events.push(...page.events);
    nextPageToken = page.nextPageToken;
  } while (events.length < limit && nextPageToken !== "");
  return { events, nextPageToken };
}

function limitOf(text: string): number {
  if (text === "") return defaultLimit;
  if (!/^\d+$/.test(text) || Number(text) < 1 || Number(text) > largestLimit) {
    throw new InvalidArgument([{ field: "limit", description: `must be a number from 1 to ${maxLimit}` }]);
  }
  return Math.min(Number(text), maxLimit);
}

function sinceOf(text: string): Timestamp | undefined {
  if (text === "") return undefined;
  // A `+` that was not encoded arrives as a space.
  const written = text.replace(/ (\d\d:\d\d)$/, "+$1");
  const timeMs = parseRfc3339(written);
  if (timeMs === undefined) {
    throw new InvalidArgument([{ field: "since", description: "must be a time as RFC 3339 writes it" }]);
  }
  return timestampFromDate(new Date(timeMs));
}

/** Every field by its name in the proto, numbers as numbers. */
function eventJson(event: AuditEvent): JsonObject {
  const fields: Readonly<Record<string, unknown>> = { ...event };
  return Object.fromEntries(
    AuditEventSchema.fields.flatMap((field): [string, JsonValue][] => {
      const value = fields[field.localName];
      if (typeof value === "bigint") return [[field.name, Number(value)]];
      if (typeof value === "string") return [[field.name, value]];
      return field.name === "time" && event.time ? [["time", timestampDate(event.time).toISOString()]] : [];
    }),
  );
}

/** A row of the Nexus broker; what is not known is absent. It has no user agent: the log keeps none. */
function brokerRow(event: AuditEvent): JsonObject {
  const { time, event_type, connection_id, origin, sequence, hash: _, ...data } = eventJson(event);
  return {
    id: String(sequence ?? ""),
    event_type: event_type ?? "",
    created_at: time ?? "",
    event_data: JSON.stringify(data),
    ...(connection_id === "" || connection_id === undefined ? {} : { connection_id }),
    ...(origin === "" || origin === undefined ? {} : { ip_address: origin }),
  };
}

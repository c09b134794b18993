import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type AuditEvent, AuditEventSchema, AuditService } from "../../gen/nexus/v1/audit_pb.js";
import { InvalidArgument } from "../../model/errors.js";
import type { JsonObject, JsonValue } from "../../model/json.js";
import { parseRfc3339 } from "../../model/rfc3339.js";
import type { Call } from "./call.js";
import { idOf } from "./input.js";
import { alias, answer, type QueryParameter, type Route } from "./route.js";

const defaultLimit = 50;
const maxLimit = 1000;

const query: Readonly<Record<string, QueryParameter>> = {
  event_type: { description: "Only events of this type.", schema: { type: "string" } },
  since: {
    description: "Only events at or after this time (RFC 3339).",
    schema: { type: "string", format: "date-time" },
  },
  limit: {
    description: "Page size; what is larger is taken as the maximum.",
    schema: { type: "integer", minimum: 1, maximum: maxLimit, default: defaultLimit },
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

const list: Route = {
  method: "GET",
  path: "/v1/audit",
  operationId: "listAuditEvents",
  summary: "Lists audit events, the newest first",
  tag: "audit",
  query,
  success: { status: 200, schema: "AuditPage" },
  errors: [501],
  async handle(request, call) {
    const { events, nextPageToken } = await listEvents(call, request.query);
    return answer({ events, next_page_token: nextPageToken });
  },
};

/** As the existing broker answers it: a bare list. The token of the next page is in a header. */
const bareList: Route = alias(list, "/audit", {
  success: { status: 200, schema: "AuditEvents" },
  async handle(request, call) {
    const { events, nextPageToken } = await listEvents(call, request.query);
    const headers: Record<string, string> =
      nextPageToken === "" ? {} : { "x-next-page-token": nextPageToken };
    return { ...answer(events), headers };
  },
});

export const auditRoutes: readonly Route[] = [list, bareList];

/** A page of the RPC may hold fewer events than asked for while more follow: it is filled up from the next. */
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
  return { events: events.map(eventJson), nextPageToken };
}

function limitOf(text: string): number {
  if (text === "") return defaultLimit;
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0) {
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

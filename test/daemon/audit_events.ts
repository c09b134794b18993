import type { AuditEvent } from "../../src/gen/nexus/v1/audit_pb.js";
import type { Clients } from "./harness.js";

/** Every event, the oldest first. */
export async function auditEvents(
  { audit }: Pick<Clients, "audit">,
  filter: { connectionId?: string; eventType?: string; principal?: string; providerId?: string } = {},
): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  let pageToken = "";
  do {
    const page = await audit.listAuditEvents({ ...filter, pageSize: 1000, pageToken });
    events.push(...page.events);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return events.reverse();
}

/** Asks again and again until an event of the type is there. */
export async function untilEvent(clients: Pick<Clients, "audit">, eventType: string): Promise<AuditEvent> {
  for (;;) {
    const event = (await auditEvents(clients, { eventType })).at(-1);
    if (event) return event;
  }
}

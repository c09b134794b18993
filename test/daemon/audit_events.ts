import type { AuditEvent } from "../../src/gen/nexus/v1/audit_pb.js";
import { Store } from "../../src/store/store.js";
import type { Clients, TestDaemon } from "./harness.js";

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

/** Puts a read of `key:ci` on record, while the daemon is away, as a fleet does that was asked at a spoke and at a hub. */
export async function recordThroughFleet(daemon: TestDaemon): Promise<void> {
  const { clock, place } = daemon;
  await daemon.restart(async () => {
    const store = Store.open({ folder: place.config.dataDir, nowMs: clock.nowMs() });
    const via = ["jwt:spoke", "10.0.0.2:7443"];
    const read = { type: "token_retrieved", principal: "key:ci", origin: "10.1.1.1:4711 for owner" } as const;
    await store.record((tx) => tx.appendAudit({ ...read, timeMs: clock.nowMs(), via }));
    await store.close();
  });
}

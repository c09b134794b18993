import { describe, expect, it } from "vitest";
import { DeniedAccessAudit } from "../../../src/domain/access/denied_access_audit.js";
import type { Principal } from "../../../src/model/access/principal.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { nowMs } from "../../samples.js";
import { silentLog } from "../../silent_log.js";
import { openStore } from "../../store/temporary_store.js";

const ci: Principal = { name: "key:ci", kind: "key", origin: "127.0.0.1:5" };

describe("deniedAccess", () => {
  it("are recorded once a minute for each principal and action, and counted between", async () => {
    const store = openStore();
    const clock = new ManualClock(nowMs);
    const readAudit = new DeniedAccessAudit({ store, clock, log: silentLog });
    const recorded = () => {
      const { events } = store.listAuditEvents({ limit: 100 });
      return events.reverse().map(({ event }) => [event.principal, event.reason, event.count ?? 0]);
    };
    for (let call = 0; call < 10; call++) await readAudit.denied(ci, "token.read", `id-${call}`);
    await readAudit.denied(ci, "audit.read");
    await readAudit.denied({ ...ci, name: "key:other" }, "token.read");
    const first = [
      ["key:ci", "token.read", 0],
      ["key:ci", "audit.read", 0],
      ["key:other", "token.read", 0],
    ];
    expect(recorded()).toEqual(first);
    const [{ event } = { event: undefined }] = store.listAuditEvents({ limit: 100 }).events.reverse();
    expect(event).toMatchObject({ type: "access.denied", origin: ci.origin, connectionId: "id-0" });
    clock.advance(60_000);
    await readAudit.denied(ci, "token.read");
    expect(recorded()).toEqual([...first, ["key:ci", "token.read", 10]]);
    await readAudit.denied(ci, "token.read");
    await readAudit.flush();
    await readAudit.flush();
    expect(recorded()).toEqual([...first, ["key:ci", "token.read", 10], ["key:ci", "token.read", 1]]);
  });
});

import { describe, expect, it } from "vitest";
import { CountedAudit } from "../../../src/domain/access/counted_audit.js";
import { by } from "../../../src/model/access/audit_event.js";
import type { Principal } from "../../../src/model/access/principal.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { nowMs } from "../../samples.js";
import { silentLog } from "../../silent_log.js";
import { openStore } from "../../store/temporary_store.js";

const ci: Principal = { name: "key:ci", kind: "key", origin: "127.0.0.1:5" };

class World {
  readonly store = openStore();
  readonly clock = new ManualClock(nowMs);
  readonly audit = new CountedAudit({ store: this.store, clock: this.clock, log: silentLog, maxKinds: 100 });

  denied(principal: Principal, reason: string, connectionId?: string): Promise<void> {
    const event = { type: "access.denied", ...by(principal), reason, connectionId } as const;
    return this.audit.record(`${reason} ${principal.name}`, () => event);
  }

  get recorded() {
    const { events } = this.store.listAuditEvents({ limit: 100 });
    return events.reverse().map(({ event }) => event);
  }

  get counts() {
    return this.recorded.map(({ principal, reason, count }) => [principal, reason, count ?? 1]);
  }

  /** Waits for what nobody waits for. */
  async settled(): Promise<void> {
    await this.store.commit(() => undefined);
  }
}

describe("CountedAudit", () => {
  const test = perTest(() => new World());

  it("records the first of each kind at once, and the others of its minute as one", async () => {
    for (let call = 0; call < 10; call++) await test.denied(ci, "token.read", `id-${call}`);
    await test.denied(ci, "audit.read");
    await test.denied({ ...ci, name: "key:other" }, "token.read");
    const first = [
      ["key:ci", "token.read", 1],
      ["key:ci", "audit.read", 1],
      ["key:other", "token.read", 1],
    ];
    expect(test.counts).toEqual(first);
    const [event] = test.recorded;
    expect(event).toMatchObject({ type: "access.denied", origin: ci.origin, connectionId: "id-0" });
    test.clock.advance(60_000);
    await test.settled();
    expect(test.counts).toEqual([...first, ["key:ci", "token.read", 9]]);
    test.clock.advance(600_000);
    await test.settled();
    expect(test.counts).toHaveLength(4);
  });

  it("counts for a whole minute after each event", async () => {
    await test.denied(ci, "token.read");
    await test.denied(ci, "token.read");
    test.clock.advance(50_000);
    await test.denied(ci, "audit.read");
    await test.denied(ci, "audit.read");
    test.clock.advance(10_000);
    await test.denied(ci, "token.read");
    await test.settled();
    expect(test.counts.slice(2)).toEqual([["key:ci", "token.read", 1]]);
    test.clock.advance(60_000);
    await test.settled();
    expect(test.counts.slice(3)).toEqual([
      ["key:ci", "token.read", 1],
      ["key:ci", "audit.read", 1],
    ]);
  });

  it("writes what it counted at the end of the daemon, once", async () => {
    for (let call = 0; call < 3; call++) await test.denied(ci, "token.read");
    await test.audit.flush();
    await test.audit.flush();
    expect(test.counts).toEqual([
      ["key:ci", "token.read", 1],
      ["key:ci", "token.read", 2],
    ]);
  });

  it("records again when the clock was set back", async () => {
    await test.denied(ci, "token.read");
    test.clock.jump(-3_600_000);
    await test.denied(ci, "token.read");
    expect(test.counts).toHaveLength(2);
  });

  it("rejects nothing when the store takes no more", async () => {
    const record = () => Promise.reject(new Error("the disk is full"));
    const audit = new CountedAudit({ store: { record }, clock: test.clock, log: silentLog });
    const event = { type: "access.denied", principal: "key:ci" } as const;
    await expect(audit.record("any", () => event)).resolves.toBeUndefined();
  });
});

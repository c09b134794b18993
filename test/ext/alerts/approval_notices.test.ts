import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ApprovalNotices } from "../../../src/ext/alerts/approval_notices.js";
import type { Delivery, NotificationMessage } from "../../../src/ext/alerts/receiver.js";
import { Changes } from "../../../src/runtime/changes.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { silentLog } from "../../silent_log.js";

const startMs = 1_800_000_000_000;
const failed: Delivery = {
  kind: "failed",
  reason: "http_500",
  retryAfterMs: undefined,
  isUnreachable: false,
};

class World {
  readonly clock = new ManualClock(startMs);
  readonly changes = new Changes();
  readonly sent: NotificationMessage[] = [];
  readonly outcomes: string[] = [];
  hasLinks = true;
  wants = (_type: string): boolean => true;
  send: () => Promise<Delivery> = async () => ({ kind: "taken" });

  open(): void {
    const receiver = {
      name: "ops",
      wants: (type: string) => this.wants(type),
      send: (message: NotificationMessage) => {
        this.sent.push(message);
        return this.send();
      },
    };
    const { clock, changes, hasLinks } = this;
    const onOutcome = (outcome: string) => void this.outcomes.push(outcome);
    new ApprovalNotices({ clock, changes, hasLinks, log: silentLog, receivers: () => [receiver], onOutcome });
  }

  hold(): AbortController {
    const over = new AbortController();
    this.changes.emit("requestHeld", {
      ...{ caller: "key:claude", connectionId: "c-1", userId: "ada", provider: { id: "p", name: "github" } },
      ...{ expiresAtMs: startMs + 180_000, url: "https://console.example/approvals/x.y", ended: over.signal },
    });
    return over;
  }

  async pass(ms: number): Promise<void> {
    await setImmediate();
    this.clock.advance(ms);
    await setImmediate();
  }
}

describe("a request that waits for a person", () => {
  const world = perTest(() => new World());

  it("is reported once, with the link to its page and nothing of itself", async () => {
    world.open();
    world.hold();
    await world.pass(1_000);
    await world.pass(170_000);
    expect(world.sent.map(({ body }) => JSON.parse(body))).toEqual([
      {
        type: "approval.waiting",
        timestamp: "2027-01-15T08:00:00.000Z",
        data: {
          ...{ connection_id: "c-1", user_id: "ada", provider_id: "p", provider: "github" },
          ...{ ends_at: "2027-01-15T08:03:00.000Z", link: "https://console.example/approvals/x.y" },
          caller: "key:claude",
        },
      },
    ]);
    expect(world.outcomes).toEqual(["taken"]);
  });

  it("is reported without a link where links are off", async () => {
    world.hasLinks = false;
    world.open();
    world.hold();
    await world.pass(1_000);
    expect(JSON.parse(world.sent[0]?.body ?? "").data).not.toHaveProperty("link");
  });

  it("is not reported when it ends within a second, nor to a receiver of other events", async () => {
    world.open();
    const short = world.hold();
    await world.pass(999);
    short.abort();
    await world.pass(5_000);
    world.wants = (type) => type !== "approval.waiting";
    world.hold();
    await world.pass(5_000);
    expect(world.sent).toEqual([]);
  });

  it("is reported again, as the same message, while it waits and is not taken", async () => {
    world.send = async () => failed;
    world.open();
    const over = world.hold();
    await world.pass(1_000);
    await world.pass(5_000);
    expect(world.sent.length).toBe(2);
    expect(new Set(world.sent.map(({ id }) => id)).size).toBe(1);
    over.abort();
    await world.pass(60_000);
    expect(world.sent.length).toBe(2);
    expect(world.outcomes).toEqual(["failed", "failed"]);
  });

  it("waits for its turn at a receiver, and is left out when it has ended by then", async () => {
    let take: (delivery: Delivery) => void = () => undefined;
    world.send = () => new Promise((resolve) => (take = resolve));
    world.open();
    const [, second] = [world.hold(), world.hold(), world.hold()];
    await world.pass(1_000);
    expect(world.sent.length).toBe(1);
    second?.abort();
    take({ kind: "taken" });
    await world.pass(0);
    expect(world.sent.length).toBe(2);
    take({ kind: "taken" });
    await world.pass(0);
    expect([world.sent.length, world.outcomes]).toEqual([2, ["taken", "taken"]]);
  });
});

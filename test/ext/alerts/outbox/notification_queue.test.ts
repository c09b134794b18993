import { describe, expect, it } from "vitest";
import type { PendingNotification } from "../../../../src/ext/alerts/outbox/notification.js";
import { outboxIn, outboxOf } from "../../../../src/ext/alerts/outbox/notification_queue.js";
import { alertTables } from "../../../../src/ext/alerts/outbox/tables.js";
import { Engine, startMs } from "../../../domain/engine.js";
import { perTest } from "../../../lifetimes.js";

const notification = (receiver: string, connectionId: string): PendingNotification => ({
  ...{ id: "msg_1", type: "connection.active", receiver, connectionId, providerId: "p", providerName: "p" },
  ...{ userId: "ada", label: "", reason: "", endsAtMs: undefined, createdAtMs: startMs, attempts: 0 },
});

describe("the outbox", () => {
  const engine = perTest(() => new Engine(undefined, undefined, { tables: alertTables }));

  it("holds so many for each receiver, however many wait for another", async () => {
    const { store } = engine;
    const fill = (receiver: string, connectionId: string, count: number) =>
      store.commit((tx) => {
        let taken = 0;
        for (let index = 0; index < count; index++) {
          if (outboxOf(tx).append(notification(receiver, connectionId), 5n)) taken++;
        }
        return taken;
      });
    expect(await fill("dead", "c1", 8)).toBe(5);
    expect(await fill("ops", "c1", 2)).toBe(2);
    expect(outboxIn(store).count).toBe(7);

    const line = { receiver: "dead", subject: "c1", nextAttemptMs: startMs };
    await store.commit((tx) => outboxOf(tx).removeFirst(line, startMs));
    expect(await fill("dead", "c2", 2)).toBe(1);
  });

  it("counts none below nothing, of those that wait since before they were counted by receiver", async () => {
    const { store } = engine;
    await store.commit((tx) => outboxOf(tx).append(notification("ops", "c1")));
    await store.commit((tx) => {
      const line = { receiver: "ops", subject: "c1", nextAttemptMs: startMs };
      outboxOf(tx).removeFirst(line, startMs);
      outboxOf(tx).removeFirst(line, startMs);
    });
    expect(outboxIn(store).count).toBe(0);
  });
});

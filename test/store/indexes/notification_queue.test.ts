import { describe, expect, it } from "vitest";
import type { PendingNotification } from "../../../src/model/notifications/notification.js";
import { Engine, startMs } from "../../domain/engine.js";
import { perTest } from "../../lifetimes.js";

const notification = (receiver: string, connectionId: string): PendingNotification => ({
  ...{ id: "msg_1", type: "connection.active", receiver, connectionId, providerId: "p", providerName: "p" },
  ...{ userId: "ada", label: "", reason: "", endsAtMs: undefined, createdAtMs: startMs, attempts: 0 },
});

describe("the outbox", () => {
  const engine = perTest(() => new Engine());

  it("holds so many for each receiver, however many wait for another", async () => {
    const { store } = engine;
    const fill = (receiver: string, connectionId: string, count: number) =>
      store.commit((tx) => {
        let taken = 0;
        for (let index = 0; index < count; index++) {
          if (tx.notifications.append(notification(receiver, connectionId), 5n)) taken++;
        }
        return taken;
      });
    expect(await fill("dead", "c1", 8)).toBe(5);
    expect(await fill("ops", "c1", 2)).toBe(2);
    expect(store.notifications.count).toBe(7);

    const line = { receiver: "dead", subject: "c1", nextAttemptMs: startMs };
    await store.commit((tx) => tx.notifications.removeFirst(line, startMs));
    expect(await fill("dead", "c2", 2)).toBe(1);
    await store.commit((tx) => {
      while (tx.notifications.clear(4));
    });
    expect([store.notifications.count, store.notifications.due(10)]).toEqual([0, []]);
    expect(await fill("dead", "c1", 1)).toBe(1);
  });

  it("counts none below nothing, of those that wait since before they were counted by receiver", async () => {
    const { store } = engine;
    await store.commit((tx) => tx.notifications.append(notification("ops", "c1")));
    await store.commit((tx) => {
      const line = { receiver: "ops", subject: "c1", nextAttemptMs: startMs };
      tx.notifications.removeFirst(line, startMs);
      tx.notifications.removeFirst(line, startMs);
    });
    expect(store.notifications.count).toBe(0);
  });
});

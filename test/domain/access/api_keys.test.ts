import { describe, expect, it } from "vitest";
import { ApiKeys } from "../../../src/domain/access/api_keys.js";
import { admin } from "../../../src/model/access/principal.js";
import { Changes } from "../../../src/runtime/changes.js";
import { ManualClock } from "../../../src/runtime/manual_clock.js";
import { silentLog } from "../../silent_log.js";
import { openStore } from "../../store/temporary_store.js";

const startMs = Date.UTC(2026, 10, 24, 12, 10);
const agent = {
  name: "ci",
  role: "agent",
  restriction: { userIds: ["ada"] },
  expiresAtMs: undefined,
} as const;

describe("API keys", () => {
  const world = () => {
    const store = openStore();
    const clock = new ManualClock(startMs);
    const open = (): ApiKeys => new ApiKeys({ store, changes: new Changes(), clock, log: silentLog });
    return { store, clock, open, keys: open() };
  };

  it("are known after a restart, revoked and expired ones as such", async () => {
    const { keys, open, clock } = world();
    const living = await keys.create(agent, admin);
    const expiring = await keys.create({ ...agent, name: "soon", expiresAtMs: startMs + 1_000 }, admin);
    const revoked = await keys.create({ ...agent, name: "gone" }, admin);
    await keys.revoke({ id: revoked.record.id }, admin);
    for (const opened of [keys, open()]) {
      expect(opened.verify(living.key.reveal())).toEqual({ name: "key:ci", kind: "key" });
      expect(opened.verify(revoked.key.reveal())).toBeUndefined();
      expect(opened.find("ci")).toMatchObject({ role: "agent", restriction: { userIds: ["ada"] } });
    }
    expect(keys.verify(expiring.key.reveal())).toEqual({
      name: "key:soon",
      kind: "key",
      expiresAtMs: startMs + 1_000,
    });
    clock.advance(1_000);
    expect(keys.verify(expiring.key.reveal())).toBeUndefined();
  });

  it("give one name once, however many ask for it at the same time", async () => {
    const { keys, store } = world();
    const made = await Promise.allSettled(Array.from({ length: 5 }, () => keys.create(agent, admin)));
    expect(made.filter(({ status }) => status === "fulfilled").length).toBe(1);
    expect(store.listApiKeys().length).toBe(1);
  });

  it("note their use once an hour, not with every call, and never before they were made", async () => {
    const { keys, store, clock } = world();
    const { key, record } = await keys.create(agent, admin);
    const lastUse = async (): Promise<number | undefined> => {
      await store.commit(() => undefined);
      return store.listApiKeys().find(({ id }) => id === record.id)?.lastUsedAtMs;
    };
    expect(await lastUse()).toBeUndefined();
    keys.verify(key.reveal());
    expect(await lastUse()).toBe(record.createdAtMs);
    clock.advance(49 * 60_000);
    keys.verify(key.reveal());
    expect(await lastUse()).toBe(record.createdAtMs);
    clock.advance(60_000);
    keys.verify(key.reveal());
    expect(await lastUse()).toBe(Date.UTC(2026, 10, 24, 13));
  });

  it("stay revoked when their use is noted at the same moment", async () => {
    const { keys, store } = world();
    const { key, record } = await keys.create(agent, admin);
    const revoking = keys.revoke({ name: "ci" }, admin);
    keys.verify(key.reveal());
    await revoking;
    await store.commit(() => undefined);
    expect(store.listApiKeys().find(({ id }) => id === record.id)?.revokedAtMs).toBe(startMs);
    expect(keys.verify(key.reveal())).toBeUndefined();
  });
});

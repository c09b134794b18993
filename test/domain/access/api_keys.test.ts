import { describe, expect, it, vi } from "vitest";
import { ApiKeys } from "../../../src/domain/access/api_keys.js";
import { admin, owner } from "../../../src/model/access/principal.js";
import { Changes } from "../../../src/runtime/changes.js";
import type { Secret } from "../../../src/runtime/secret.js";
import { ManualClock } from "../../fakes/manual_clock.js";
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
    const changes = new Changes();
    const open = (): ApiKeys => new ApiKeys({ store, changes, clock, log: silentLog });
    return { store, clock, changes, open, keys: open() };
  };

  it("are known after a restart, revoked and expired ones as such", async () => {
    const { keys, open, clock } = world();
    const living = await keys.create(agent, admin);
    const expiring = await keys.create({ ...agent, name: "soon", expiresAtMs: startMs + 1_000 }, admin);
    const revoked = await keys.create({ ...agent, name: "gone" }, admin);
    const { revokedBy } = await keys.revoke({ id: revoked.record.id }, admin);
    expect([revokedBy, (await keys.revoke({ name: "gone" }, owner)).revokedBy]).toEqual(["admin", "admin"]);
    for (const opened of [keys, open()]) {
      expect(opened.verify(living.key.reveal())).toEqual({ name: "key:ci", kind: "key" });
      expect(opened.verify(revoked.key.reveal())).toBeUndefined();
      expect(opened.find("ci")).toMatchObject({ role: "agent", restriction: { userIds: ["ada"] } });
      expect(opened.find("nobody")).toBeUndefined();
      const listed = (afterName: string | undefined, limit: number, includeRevoked: boolean) =>
        opened.list({ afterName, limit, includeRevoked }).map(({ name }) => name);
      expect(listed(undefined, 9, false)).toEqual(["ci", "soon"]);
      expect([listed(undefined, 9, true), listed("ci", 1, true)]).toEqual([["ci", "gone", "soon"], ["gone"]]);
    }
    const soon = { name: "key:soon", kind: "key", expiresAtMs: startMs + 1_000 };
    expect(keys.verify(expiring.key.reveal())).toEqual(soon);
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
    const recorded = vi.spyOn(store, "record");
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
    expect(recorded).toHaveBeenCalledTimes(2);
  });

  it("get a new secret under their name, the old one kept for a time, or ended with what uses it", async () => {
    const { keys, clock, changes } = world();
    const ended: string[] = [];
    changes.on("principalEnded", (name) => void ended.push(name));
    const first = await keys.create(agent, admin);
    const second = await keys.rotate({ name: "ci" }, 60_000, admin);
    const { id, restriction } = first.record;
    expect(second.record).toMatchObject({ id, name: "ci", restriction });
    const names = (...made: { readonly key: Secret }[]) =>
      made.map(({ key }) => keys.verify(key.reveal())?.name ?? "nobody");
    expect(names(first, second)).toEqual(["key:ci", "key:ci"]);
    const third = await keys.rotate({ id }, 60_000, admin);
    expect(names(first, second, third)).toEqual(["nobody", "key:ci", "key:ci"]);
    clock.advance(60_000);
    expect(names(second, third)).toEqual(["nobody", "key:ci"]);
    expect(ended).toEqual([]);
    const fourth = await keys.rotate({ name: "ci" }, 0, admin);
    expect(names(third, fourth)).toEqual(["nobody", "key:ci"]);
    expect(ended).toEqual(["key:ci"]);
    await keys.revoke({ name: "ci" }, admin);
    await expect(keys.rotate({ name: "ci" }, 0, admin)).rejects.toThrow("not found");
    expect(names(fourth)).toEqual(["nobody"]);
  });

  it("tell until when an old secret works, and what was opened with it", async () => {
    const { keys, changes } = world();
    const rotated: unknown[] = [];
    changes.on("keyRotated", (...what) => void rotated.push(what));
    const first = await keys.create(agent, admin);
    const second = await keys.rotate({ name: "ci" }, 60_000, admin);
    expect(rotated).toEqual([["key:ci", startMs + 60_000]]);
    expect(keys.verify(first.key.reveal())?.expiresAtMs).toBe(startMs + 60_000);
    expect(keys.verify(second.key.reveal())?.expiresAtMs).toBeUndefined();
    const ending = await keys.create({ ...agent, name: "soon", expiresAtMs: startMs + 1_000 }, admin);
    await keys.rotate({ name: "soon" }, 60_000, admin);
    expect(keys.verify(ending.key.reveal())?.expiresAtMs).toBe(startMs + 1_000);
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

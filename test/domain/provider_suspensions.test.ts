import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ProviderProfile } from "../../src/model/provider_profile.js";
import { GrantFailure } from "../../src/oauth/failure.js";
import { Engine, hourMs, tokenSet } from "./engine.js";

const refusal = new GrantFailure({ kind: "client", oauthError: "invalid_client", httpStatus: 401 });
const size = 5;

describe("a provider that refuses the client", () => {
  let engine: Engine;
  let profile: ProviderProfile;
  let ids: string[];
  beforeEach(async () => {
    engine = new Engine();
    engine.scheduler.start();
    profile = await engine.provider("op");
    ids = [];
    for (let count = 0; count < size; count++) ids.push((await engine.connection(profile)).id);
  });
  afterEach(async () => {
    await engine.close();
  });
  const reasons = (): (string | undefined)[] => ids.map((id) => engine.get(id).problem?.reason);
  const untilAll = async (reason: string | undefined): Promise<void> => {
    for (const id of ids) await engine.until(id, ({ problem }) => problem?.reason === reason);
  };
  /** All are sent once before the first refusal is known, then none. */
  const suspend = async (): Promise<void> => {
    engine.clock.advance(56 * 60_000);
    await engine.untilSent(size);
    for (const request of engine.sent) request.fail(refusal);
    await untilAll("misconfigured");
  };

  it("keeps the tokens and says so", async () => {
    await suspend();
    for (const id of ids) {
      expect(engine.get(id)).toMatchObject({ status: "active", refreshIntent: undefined });
      expect(engine.reader.view(id)?.token?.revision).toBe(1n);
    }
    expect(engine.store.getSuspension(profile.id)).toMatchObject({ failures: 1, profileVersion: 1n });
    expect(await engine.refresher.refresh(ids[0] ?? "")).toBe("suspended");
    expect(engine.sent).toHaveLength(size);
  });

  it("is asked by one probe at a time, less and less often, by another connection each time", async () => {
    await suspend();
    for (let probe = 1; probe <= 4; probe++) {
      engine.clock.advance(30_000 * 2 ** (probe - 1));
      await engine.untilSent(size + probe);
      engine.sent[size + probe - 1]?.fail(refusal);
      while (engine.store.getSuspension(profile.id)?.failures !== probe + 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    expect(engine.sent).toHaveLength(size + 4);
    expect(new Set(engine.sent.slice(size).map(({ refreshToken }) => refreshToken)).size).toBe(4);
  });

  it("is used again after a probe that succeeds", async () => {
    await suspend();
    engine.clock.advance(60_000);
    await engine.untilSent(size + 1);
    engine.sent[size]?.answer({ tokenSet: tokenSet() });
    await engine.untilSent(2 * size);
    for (const request of engine.sent.slice(size)) request.answer({ tokenSet: tokenSet() });
    for (const id of ids) await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
    expect(reasons()).toEqual(ids.map(() => undefined));
    expect(engine.store.listSuspensions()).toEqual([]);
  });

  it("is asked at once after it accepted the client for a consent, by one probe", async () => {
    await suspend();
    engine.scheduler.clientAccepted(profile.id);
    await engine.untilSent(size + 1);
    engine.sent[size]?.fail(refusal);
    while (engine.store.getSuspension(profile.id)?.failures !== 2) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(engine.sent).toHaveLength(size + 1);
    engine.scheduler.clientAccepted(profile.id);
    await engine.untilSent(size + 2);
    engine.sent[size + 1]?.answer({ tokenSet: tokenSet() });
    await engine.untilSent(2 * size + 1);
    for (const request of engine.sent.slice(size)) request.answer({ tokenSet: tokenSet() });
    for (const id of ids) await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
    expect(engine.store.listSuspensions()).toEqual([]);
  });

  it("turns its connections to attention when their tokens die, and mending the profile wakes them", async () => {
    await suspend();
    await engine.store.commit((tx) =>
      tx.putSuspension({ ...suspensionOf(), retryAtMs: engine.clock.nowMs() + hourMs }),
    );
    engine.clock.advance(5 * 60_000);
    for (const id of ids) await engine.until(id, ({ status }) => status === "attention");
    expect(reasons()).toEqual(ids.map(() => "misconfigured"));
    await engine.store.commit((tx) => tx.putProvider({ ...profile, version: 2n }));
    engine.scheduler.profileChanged(profile.id);
    await engine.untilSent(2 * size);
    for (const request of engine.sent.slice(size)) request.answer({ tokenSet: tokenSet() });
    for (const id of ids) await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
    expect(ids.map((id) => engine.get(id).status)).toEqual(ids.map(() => "active"));
  });

  it("finishes at the next tick a waking that a crash cut off", async () => {
    await suspend();
    await engine.store.commit((tx) => tx.putSuspension({ ...suspensionOf(), resuming: true }));
    engine.clock.advance(30_000);
    await engine.untilSent(2 * size);
    for (const request of engine.sent.slice(size)) request.answer({ tokenSet: tokenSet() });
    for (const id of ids) await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
  });

  it("gives its connections up to the deletion of its profile", async () => {
    await suspend();
    await engine.store.commit((tx) => tx.deleteProvider(profile.id));
    engine.scheduler.profileChanged(profile.id);
    await untilAll("provider_deleted");
    expect(engine.sent).toHaveLength(size);
  });

  function suspensionOf() {
    const suspension = engine.store.getSuspension(profile.id);
    if (!suspension) throw new Error("not suspended");
    return suspension;
  }
});

import { beforeEach, describe, expect, it } from "vitest";
import type { Connection } from "../../../src/model/connections/connection.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { perTest } from "../../lifetimes.js";
import { Engine, hourMs, tokenSet } from "../engine.js";

describe("RefreshScheduler", () => {
  const engine = perTest(() => new Engine());
  beforeEach(() => {
    engine.scheduler.start();
  });
  const answerAll = (): void => {
    for (const request of engine.sent) request.answer({ tokenSet: tokenSet() });
  };

  it("refreshes within the window, not before it", async () => {
    const { id, refreshNotBeforeMs } = await engine.connected();
    const waitMs = (refreshNotBeforeMs ?? 0) - engine.clock.nowMs();
    engine.clock.advance(waitMs - 1);
    expect(engine.sent).toHaveLength(0);
    engine.clock.advance(1);
    await engine.untilSent(1);
    answerAll();
    await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
  });

  it("keeps one timer, however many connections wait", async () => {
    const profile = await engine.provider("op");
    for (let count = 0; count < 20; count++) await engine.connection(profile);
    expect(engine.clock.pending).toBe(1);
  });

  it("tries again by itself after a failure, and leaves off when it succeeds", async () => {
    const { id } = await engine.connected();
    engine.clock.advance(56 * 60_000);
    for (let round = 1; round <= 3; round++) {
      (await engine.untilSent(round)).fail(new GrantFailure({ kind: "transient" }));
      const { problem } = await engine.until(id, ({ failedRefreshes }) => failedRefreshes === round);
      engine.clock.advance((problem?.retryAtMs ?? 0) - engine.clock.nowMs());
    }
    await engine.untilSent(4);
    answerAll();
    await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
    expect(engine.get(id)).toMatchObject({ problem: undefined, failedRefreshes: 0 });
  });

  it("does not let a provider that hangs delay another", async () => {
    const slow = await engine.provider("slow");
    for (let count = 0; count < 300; count++) await engine.connection(slow);
    const quick = await engine.connection(await engine.provider("quick"));
    engine.clock.advance(hourMs - 60_000);
    await engine.untilSent(13);
    const request = engine.sent.find(({ provider }) => provider === "quick");
    expect(request).toBeDefined();
    request?.answer({ tokenSet: tokenSet() });
    await engine.until(quick.id, ({ credentialRevision }) => credentialRevision === 2n);
    expect(engine.sent.filter(({ provider }) => provider === "slow")).toHaveLength(12);
  });

  it("goes on when a suspension cannot be read: its provider is asked", async () => {
    const { providerId } = await engine.connected();
    engine.damage("suspensions", providerId);
    engine.clock.advance(hourMs - 60_000);
    (await engine.untilSent(1)).fail(new GrantFailure({ kind: "client" }));
    await expect.poll(() => engine.store.getSuspension(providerId)).toBeDefined();
  });

  it("refreshes as many at a time as the profile says, and as it says by now", async () => {
    const profile = await engine.provider("op", { maxConcurrentRequests: 64 });
    for (let count = 0; count < 100; count++) await engine.connection(profile);
    engine.clock.advance(hourMs - 60_000);
    await engine.untilSent(48);
    await engine.store.commit((tx) => tx.putProvider({ ...profile, maxConcurrentRequests: 0 }));
    for (const request of engine.sent.slice(0, 48)) request.answer({ tokenSet: tokenSet() });
    await engine.untilSent(60);
    await engine.store.commit(() => undefined);
    expect(engine.sent).toHaveLength(60);
  });

  it("works off more than it may have under way", async () => {
    const profile = await engine.provider("op");
    const ids: string[] = [];
    for (let count = 0; count < 100; count++) ids.push((await engine.connection(profile)).id);
    engine.clock.advance(hourMs - 60_000);
    for (let answered = 0; answered < 100; answered++) {
      (await engine.untilSent(answered + 1)).answer({ tokenSet: tokenSet() });
    }
    for (const id of ids) await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
    expect(engine.sent).toHaveLength(100);
  });

  it("clears a token that expired while refreshing failed, and goes on trying", async () => {
    const { id } = await engine.connected();
    engine.clock.advance(56 * 60_000);
    (await engine.untilSent(1)).fail(new GrantFailure({ kind: "transient", retryAfterMs: hourMs }));
    await engine.until(id, ({ failedRefreshes }) => failedRefreshes === 1);
    const before = engine.store.revision;
    engine.clock.advance(4 * 60_000);
    await engine.until(id, () => engine.store.revision > before);
    expect(engine.reader.view(id)?.token).toBeUndefined();
    expect(engine.get(id).status).toBe("active");
  });

  it("asks for a person when a token without a refresh token expires", async () => {
    const { id } = await engine.connection(
      await engine.provider("op"),
      tokenSet({ refreshToken: undefined }),
    );
    engine.clock.advance(hourMs);
    await engine.until(id, ({ status }) => status === "attention");
    expect(engine.get(id).problem?.reason).toBe("no_refresh_token");
  });

  it("leaves a token without an expiry alone", async () => {
    const first = tokenSet({ refreshToken: undefined, expiresInMs: undefined });
    const { id } = await engine.connected(first);
    engine.clock.advance(1000 * hourMs);
    expect(engine.reader.view(id)?.token?.expiresAtMs).toBeUndefined();
    expect(engine.store.nextDueMs()).toBeUndefined();
  });

  it("notices within half a minute that the clock was set forward", async () => {
    await engine.connected();
    engine.clock.jump(24 * hourMs);
    expect(engine.sent).toHaveLength(0);
    engine.clock.advance(30_000);
    await engine.untilSent(1);
    expect(engine.sent).toHaveLength(1);
  });

  it("does not refresh a token that lives longer than a timer can wait at once", async () => {
    await engine.connected(tokenSet({ expiresInMs: 1000 * 24 * hourMs }));
    engine.clock.advance(hourMs);
    expect(engine.sent).toHaveLength(0);
  });

  it("does not wait a day when the clock is set back by one", async () => {
    const { id } = await engine.connected();
    engine.clock.advance(60_000);
    engine.clock.jump(-24 * hourMs);
    engine.clock.advance(30_000);
    await engine.until(id, ({ expiresAtMs }) => (expiresAtMs ?? 0) < engine.clock.nowMs() + hourMs);
    engine.clock.advance(55 * 60_000);
    await engine.untilSent(1);
    expect(engine.get(id).expiresAtMs).toBeGreaterThan(engine.clock.nowMs());
  });

  it("notices that also when something else becomes due meanwhile", async () => {
    const profile = await engine.provider("op");
    const { id } = await engine.connection(profile);
    engine.clock.jump(-24 * hourMs);
    engine.clock.advance(20_000);
    await engine.connection(profile);
    engine.clock.advance(10_000);
    await engine.until(id, ({ expiresAtMs }) => (expiresAtMs ?? 0) < engine.clock.nowMs() + hourMs);
  });

  it("finds at its start that it was set back before the last changes", async () => {
    const profile = await engine.provider("op");
    const { id } = await engine.connection(profile);
    engine.clock.jump(-24 * hourMs);
    const { id: laterId, expiresAtMs } = await engine.connection(profile);
    engine.clock.advance(20_000);
    await engine.scheduler.stop();
    engine.scheduler.start();
    await engine.until(id, ({ expiresAtMs }) => (expiresAtMs ?? 0) <= engine.clock.nowMs() + hourMs);
    expect(engine.get(laterId).expiresAtMs).toBe(expiresAtMs);
  });

  it.each([
    { name: "by as much as it was set back", jumpMs: 24 * hourMs, downMs: 5 * 60_000, later: 2 },
    { name: "behind hundreds of changes", jumpMs: 24 * hourMs, downMs: 0, later: 600 },
  ])("finds at its start that it was set back before a crash, $name", async ({ jumpMs, downMs, later }) => {
    const profile = await engine.provider("op");
    const { id, expiresAtMs = 0 } = await engine.connection(profile);
    engine.clock.jump(-jumpMs);
    engine.clock.advance(5_000);
    const latest: Connection[] = [];
    for (let count = 0; count < later; count++) latest.push(await engine.connection(profile));
    // Of work that found nothing to do, which keeps its time.
    const { id: oldId } = latest.pop() as Connection;
    const updatedAtMs = engine.clock.nowMs() - 48 * hourMs;
    await engine.store.commit((tx) => tx.putConnection({ ...engine.get(oldId), updatedAtMs }));
    // As at a crash: nobody looks at the clock any more.
    await engine.scheduler.stop();
    engine.clock.advance(downMs);
    engine.scheduler.start();
    await engine.until(id, (connection) => (connection.expiresAtMs ?? 0) < expiresAtMs);
    const movedMs = expiresAtMs - (engine.get(id).expiresAtMs ?? 0);
    expect(jumpMs - movedMs).toBeLessThanOrEqual(10_000);
    expect(movedMs).toBeLessThanOrEqual(jumpMs);
    for (const { id: laterId, expiresAtMs } of latest)
      expect(engine.get(laterId).expiresAtMs).toBe(expiresAtMs);
  });

  it("takes changes that were committed late for no jump", async () => {
    const profile = await engine.provider("op");
    const { id, expiresAtMs } = await engine.connection(profile);
    const late = await engine.connection(profile);
    const updatedAtMs = engine.clock.nowMs() - 150_000;
    await engine.store.commit((tx) => tx.putConnection({ ...engine.get(late.id), updatedAtMs }));
    await engine.scheduler.stop();
    engine.scheduler.start();
    // Waits for what the start does.
    await engine.scheduler.stop();
    expect(engine.get(id).expiresAtMs).toBe(expiresAtMs);
  });

  it("keeps a refresh token alive that would die before the access token", async () => {
    const first = tokenSet({ expiresInMs: undefined, refreshExpiresInMs: 10 * hourMs });
    const { id, refreshExpiresAtMs } = await engine.connected(first);
    expect(refreshExpiresAtMs).toBe(engine.clock.nowMs() + 10 * hourMs);
    engine.clock.advance(7 * hourMs);
    expect(engine.sent).toHaveLength(0);
    engine.clock.advance(hourMs);
    (await engine.untilSent(1)).answer({ tokenSet: tokenSet({ refreshExpiresInMs: 10 * hourMs }) });
    const { refreshExpiresAtMs: laterMs } = await engine.until(
      id,
      ({ credentialRevision }) => credentialRevision === 2n,
    );
    expect(laterMs).toBeGreaterThan(refreshExpiresAtMs ?? 0);
  });

  it("tells watchers that a token died while its refresh was under way", async () => {
    const { id } = await engine.connected();
    engine.clock.advance(56 * 60_000);
    await engine.untilSent(1);
    const before = engine.store.revision;
    engine.clock.advance(4 * 60_000);
    await engine.until(id, () => engine.store.revision > before);
    expect(engine.reader.view(id)?.token).toBeUndefined();
    answerAll();
    await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
  });

  it("is stuck when due work does not move although there is room, and says so", async () => {
    const { refreshNotBeforeMs } = await engine.connected();
    engine.clock.advance((refreshNotBeforeMs ?? 0) - engine.clock.nowMs());
    await engine.untilSent(1);
    expect(engine.scheduler.health()).toBe(true);
    engine.clock.advance(61_000);
    expect(engine.scheduler.health()).toMatch(/has not moved for 6\d s/);
    answerAll();
  });

  it("is not stuck behind a provider whose places are taken, nor right after a sleep", async () => {
    const profile = await engine.provider("op");
    for (let count = 0; count < 20; count++) await engine.connection(profile);
    engine.clock.jump(24 * hourMs);
    expect(engine.scheduler.health()).toBe(true);
    engine.clock.advance(30_000);
    expect(engine.scheduler.health()).toBe(true);
    await engine.untilSent(12);
    engine.clock.advance(100_000);
    expect(engine.scheduler.health()).toBe(true);
  });

  it("does not try in a circle what leaves no trace", async () => {
    const { id } = await engine.connected();
    engine.clock.advance(56 * 60_000);
    for (let round = 1; round <= 3; round++) {
      (await engine.untilSent(round)).fail(new Error("an error of ours"));
      await new Promise((resolve) => setImmediate(resolve));
      expect(engine.sent).toHaveLength(round);
      engine.clock.advance(2 ** round * 1000);
      if (round === 2) break;
    }
    await engine.until(id, ({ status }) => status === "attention");
    expect(engine.get(id).problem?.reason).toBe("outcome_unknown");
  });

  it("starts nothing after it was stopped, and waits for what is under way", async () => {
    const profile = await engine.provider("op");
    const { id } = await engine.connection(profile);
    engine.clock.advance(56 * 60_000);
    await engine.untilSent(1);
    const stopped = engine.scheduler.stop();
    await engine.connection(profile, tokenSet({ expiresInMs: 1 }));
    engine.clock.advance(hourMs);
    answerAll();
    await stopped;
    expect(engine.sent).toHaveLength(1);
    expect(engine.get(id).credentialRevision).toBe(2n);
  });
});

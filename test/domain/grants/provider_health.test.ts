import { beforeEach, describe, expect, it } from "vitest";
import { afterRefusal } from "../../../src/domain/grants/provider_health.js";
import type { Refusals } from "../../../src/model/connections/connection.js";
import type { ProviderProfile } from "../../../src/model/providers/provider_profile.js";
import type { Suspension } from "../../../src/model/providers/suspension.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { perTest } from "../../lifetimes.js";
import { Engine, hourMs, tokenSet } from "../engine.js";

const refusal = new GrantFailure({ kind: "client", oauthError: "invalid_client", httpStatus: 401 });
const size = 5;

describe("a provider that refuses the client", () => {
  const engine = perTest(() => new Engine());
  let profile: ProviderProfile;
  let ids: string[];
  beforeEach(async () => {
    engine.scheduler.start();
    profile = await engine.provider("op");
    ids = [];
    for (let count = 0; count < size; count++) ids.push((await engine.connection(profile)).id);
  });
  const reasons = (): (string | undefined)[] => ids.map((id) => engine.get(id).problem?.reason);
  const untilAll = async (reason: string | undefined): Promise<void> => {
    for (const id of ids) await engine.until(id, ({ problem }) => problem?.reason === reason);
  };
  /** By so many requests in all. */
  const allRefreshed = async (count: number): Promise<void> => {
    await engine.untilSent(count);
    for (const request of engine.sent.slice(size)) request.answer({ tokenSet: tokenSet() });
    for (const id of ids) await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
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
      (await engine.untilSent(size + probe)).fail(refusal);
      await expect.poll(() => engine.store.getSuspension(profile.id)?.failures).toBe(probe + 1);
    }
    expect(engine.sent).toHaveLength(size + 4);
    expect(new Set(engine.sent.slice(size).map(({ refreshToken }) => refreshToken)).size).toBe(4);
  });

  it("is used again after a probe that succeeds", async () => {
    await suspend();
    engine.clock.advance(60_000);
    (await engine.untilSent(size + 1)).answer({ tokenSet: tokenSet() });
    await allRefreshed(2 * size);
    expect(reasons()).toEqual(ids.map(() => undefined));
    expect(engine.store.listSuspensions()).toEqual([]);
  });

  it("is asked at once after it accepted the client for a consent, by one probe", async () => {
    await suspend();
    engine.changes.emit("clientAccepted", profile.id);
    (await engine.untilSent(size + 1)).fail(refusal);
    await expect.poll(() => engine.store.getSuspension(profile.id)?.failures).toBe(2);
    expect(engine.sent).toHaveLength(size + 1);
    engine.changes.emit("clientAccepted", profile.id);
    await engine.untilSent(size + 2);
    engine.sent[size + 1]?.answer({ tokenSet: tokenSet() });
    await allRefreshed(2 * size + 1);
    expect(engine.store.listSuspensions()).toEqual([]);
  });

  it("turns its connections to attention when their tokens die, and fixing the profile wakes them", async () => {
    await suspend();
    await engine.store.commit((tx) =>
      tx.putSuspension({ ...suspensionOf(), retryAtMs: engine.clock.nowMs() + hourMs }),
    );
    engine.clock.advance(5 * 60_000);
    for (const id of ids) await engine.until(id, ({ status }) => status === "attention");
    expect(reasons()).toEqual(ids.map(() => "misconfigured"));
    await engine.store.commit((tx) => tx.putProvider({ ...profile, version: 2n }));
    engine.changes.emit("provider", profile.id);
    await allRefreshed(2 * size);
    expect(ids.map((id) => engine.get(id).status)).toEqual(ids.map(() => "active"));
  });

  it("finishes at the next tick a waking that a crash cut off", async () => {
    await suspend();
    await engine.store.commit((tx) => tx.putSuspension({ ...suspensionOf(), resuming: true }));
    engine.clock.advance(30_000);
    await allRefreshed(2 * size);
    expect(engine.store.getSuspension(profile.id)).toBeUndefined();
  });

  it("gives its connections up to the deletion of its profile", async () => {
    await suspend();
    await engine.store.commit((tx) => tx.deleteProvider(profile.id));
    engine.changes.emit("provider", profile.id);
    await untilAll("provider_deleted");
    expect(engine.sent).toHaveLength(size);
  });

  function suspensionOf() {
    const suspension = engine.store.getSuspension(profile.id);
    if (!suspension) throw new Error("not suspended");
    return suspension;
  }
});

describe("a provider that blames the client for one dead refresh token, as Gitea does", () => {
  const blame = new GrantFailure({ kind: "client", oauthError: "unauthorized_client", httpStatus: 400 });
  const engine = perTest(() => new Engine());
  let profile: ProviderProfile;
  let dead: string;
  let healthy: string[];
  const isDead = new Set<string>();
  let answered = 0;
  beforeEach(async () => {
    answered = 0;
    engine.scheduler.start();
    profile = await engine.provider("gitea");
    isDead.clear();
    const first = tokenSet();
    isDead.add(first.refreshToken?.reveal() ?? "");
    dead = (await engine.connection(profile, first)).id;
    healthy = [];
    for (let count = 0; count < 3; count++) healthy.push((await engine.connection(profile)).id);
  });

  /** Answers what was sent until nothing more comes: what was begun is on disk when an empty commit behind it is. */
  const settle = async (expiresInMs: number): Promise<void> => {
    for (let still = 0; still < 3; still++) {
      await engine.store.commit(() => undefined);
      for (; answered < engine.sent.length; answered++) {
        const request = engine.sent[answered];
        if (isDead.has(request?.refreshToken ?? "")) request?.fail(blame);
        else request?.answer({ tokenSet: tokenSet({ expiresInMs }) });
      }
      const { running, waiting } = engine.scheduler.load;
      if (running + waiting > 0) still = -1;
    }
  };
  /** Lets time pass in small steps. */
  const pass = async (forMs: number, stepMs: number, lifetimeMs: number, look: () => void): Promise<void> => {
    for (let passedMs = 0; passedMs < forMs; passedMs += stepMs) {
      engine.clock.advance(stepMs);
      await settle(lifetimeMs);
      look();
    }
  };
  const sentOfDead = (): number => engine.sent.filter(({ refreshToken }) => isDead.has(refreshToken)).length;

  it.each([
    ["30 s", 30_000, 5_000, 10 * 60_000],
    ["1 h", hourMs, 5 * 60_000, 6 * hourMs],
  ])(
    "costs the others nothing, and ends in reauth_required, with tokens of %s",
    async (_name, lifetimeMs, stepMs, forMs) => {
      answered = 0;
      engine.clock.advance(56 * 60_000);
      await settle(lifetimeMs);
      expect(engine.get(dead)).toMatchObject({ status: "active", problem: { reason: "misconfigured" } });
      await pass(forMs, stepMs, lifetimeMs, () => {
        expect(engine.scheduler.suspendedProviders).toBe(0);
        for (const id of healthy) {
          expect(engine.reader.view(id)?.token).toBeDefined();
          expect(engine.get(id).problem).toBeUndefined();
        }
      });
      expect(engine.get(dead)).toMatchObject({ status: "attention", problem: { reason: "reauth_required" } });
      expect(sentOfDead()).toBeLessThan(20);
      expect(engine.store.listSuspensions()).toEqual([]);
      expect(engine.scheduler.failingProviders()).toEqual([]);
    },
  );

  it("waits for a success between two refusals before it gives a grant up", async () => {
    for (const id of healthy) await engine.store.commit((tx) => tx.deleteConnection(id));
    engine.clock.advance(56 * 60_000);
    await settle(hourMs);
    await pass(8 * hourMs, 10 * 60_000, hourMs, () => {
      expect(engine.get(dead).problem?.reason).toBe("misconfigured");
      expect(engine.scheduler.suspendedProviders).toBe(0);
    });
    expect(engine.get(dead).status).toBe("attention");
    expect(sentOfDead()).toBeLessThan(30);
    expect(engine.scheduler.failingProviders()).toMatchObject([
      { reason: "misconfigured", isSuspended: false },
    ]);
    // The profile is fixed: it is asked at once.
    const before = sentOfDead();
    isDead.clear();
    await engine.store.commit((tx) => tx.putProvider({ ...profile, version: 2n }));
    engine.changes.emit("provider", profile.id);
    await settle(hourMs);
    expect(before).toBeGreaterThan(4);
    expect(engine.get(dead)).toMatchObject({ status: "active", problem: undefined, credentialRevision: 2n });
  });

  it("is suspended when another connection is refused before any is accepted", async () => {
    const [second = ""] = healthy;
    const stored = engine.vault.openCredential(engine.get(second), credentialOf(second));
    isDead.add(stored.refreshToken?.reveal() ?? "");
    for (const id of healthy.slice(1)) await engine.store.commit((tx) => tx.deleteConnection(id));
    engine.clock.advance(56 * 60_000);
    await settle(hourMs);
    expect(engine.scheduler.suspendedProviders).toBe(1);
  });

  it("ends in outcome_unknown after an answer that was lost, without a third request", async () => {
    void engine.refresher.refresh(dead);
    await engine.untilSent(1);
    engine.sent[answered++]?.fail(new GrantFailure({ kind: "ambiguous" }));
    await pass(60_000, 5_000, hourMs, () => undefined);
    expect(engine.get(dead)).toMatchObject({ status: "attention", problem: { reason: "outcome_unknown" } });
    expect(sentOfDead()).toBe(2);
  });

  function credentialOf(id: string) {
    const stored = engine.store.getCredential(id);
    if (!stored) throw new Error("no credential");
    return stored;
  }
});

it("takes two refused connections, and none accepted between them, to speak of all", () => {
  const alone = (times: number): Refusals => ({ alone: times }) as Refusals;
  const going = (unconfirmed: boolean): Suspension =>
    ({ unconfirmed, probeConnectionId: "one" }) as Suspension;
  expect(afterRefusal(undefined, "one", alone(0))).toBe("of_the_first");
  expect(afterRefusal(undefined, "one", alone(1))).toBe("of_one");
  expect(afterRefusal(going(true), "one", alone(0))).toBe("of_one");
  expect(afterRefusal(going(true), "two", alone(0))).toBe("of_all");
  expect(afterRefusal(going(true), "two", alone(1))).toBe("of_one");
  expect(afterRefusal(going(false), "two", alone(1))).toBe("of_all");
});

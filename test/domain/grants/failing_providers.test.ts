import { beforeEach, describe, expect, it } from "vitest";
import { StatusReader } from "../../../src/domain/operations/status_reader.js";
import { Subscribers } from "../../../src/domain/reading/watch/subscribers.js";
import type { DaemonStatus } from "../../../src/model/connections/daemon_status.js";
import type { ProviderProfile } from "../../../src/model/providers/provider_profile.js";
import { GrantFailure, type GrantFailureFields } from "../../../src/oauth/failure.js";
import { Changes } from "../../../src/runtime/changes.js";
import { perTest } from "../../lifetimes.js";
import { Engine, hourMs, startMs, tokenSet } from "../engine.js";

const windowMs = 56 * 60_000;

describe("the status of the engine", () => {
  const engine = perTest(() => new Engine());
  let profile: ProviderProfile;
  let ids: string[];
  let reader: StatusReader;
  beforeEach(async () => {
    engine.scheduler.start();
    profile = await engine.provider("op");
    ids = [(await engine.connection(profile)).id, (await engine.connection(profile)).id];
    const { store, scheduler, clock } = engine;
    reader = new StatusReader({
      store,
      engine: scheduler,
      subscribers: new Subscribers({ changes: new Changes() }),
      clock,
      version: "1",
    });
  });
  const status = (): DaemonStatus => reader.read(10);
  /** Both are refreshed, and end as `fields` say. */
  const failBoth = async (fields: GrantFailureFields): Promise<void> => {
    engine.clock.advance(windowMs);
    await engine.untilSent(2);
    for (const request of engine.sent) request.fail(new GrantFailure(fields));
    for (const id of ids) await engine.until(id, ({ problem }) => problem !== undefined);
  };

  it("plans the refreshes in their order, and only those", async () => {
    expect(status()).toMatchObject({ state: "ready", failingProviders: [] });
    const { connectionId } = await pendingRequest();
    expect(engine.store.due(Number.POSITIVE_INFINITY, 10)[0]?.connectionId).toBe(connectionId);
    const { nextRefreshes } = status();
    expect(nextRefreshes.map((refresh) => refresh.connectionId).sort()).toEqual([...ids].sort());
    expect(nextRefreshes[0]).toMatchObject({ providerName: "op", failedRefreshes: 0 });
    expect(nextRefreshes[0]?.dueAtMs).toBeGreaterThan(startMs + hourMs / 2);
    expect(reader.read(1).nextRefreshes).toEqual(nextRefreshes.slice(0, 1));
  });

  /** A request for consent that runs out before any refresh. */
  async function pendingRequest(): Promise<{ connectionId: string }> {
    const { id } = await engine.connection(profile);
    const connection = engine.get(id);
    const requestExpiresAtMs = startMs + 60_000;
    await engine.store.commit((tx) =>
      tx.putConnection({
        ...connection,
        status: "attention",
        requestExpiresAtMs,
        dueAtMs: requestExpiresAtMs,
      }),
    );
    return { connectionId: id };
  }

  it("finds a refresh behind 255 other entries of the queue, and looks no further", async () => {
    const crowd = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await pendingRequest();
    };
    await crowd(255);
    expect(status().nextRefreshes).toHaveLength(1);
    await crowd(1);
    expect(status().nextRefreshes).toEqual([]);
  }, 60_000);

  it.each([
    ["transient", { kind: "transient", httpStatus: 503 }, /503/],
    ["ambiguous", { kind: "ambiguous" }, /no answer/],
    ["rejected", { kind: "rejected", reason: "malformed_response" }, /malformed/],
  ] as const)("names a provider whose refreshes fail: %s", async (reason, fields, message) => {
    await failBoth(fields);
    const { state, failingProviders, failingProviderCount } = status();
    expect([state, failingProviderCount]).toEqual(["attention", 1]);
    expect(failingProviders).toMatchObject([
      { providerId: profile.id, providerName: "op", reason, failures: 2, connections: 2 },
    ]);
    expect(failingProviders[0]).toMatchObject({ isSuspended: false, sinceMs: startMs + windowMs });
    expect(failingProviders[0]?.message).toMatch(message);
  });

  it("forgets it at the first success", async () => {
    await failBoth({ kind: "transient" });
    engine.clock.advance(60_000);
    await engine.untilSent(3);
    expect(status().refreshesRunning).toBeGreaterThan(0);
    for (const request of engine.sent.slice(2)) request.answer({ tokenSet: tokenSet() });
    await engine.until(ids[0] ?? "", ({ credentialRevision }) => credentialRevision === 2n);
    expect(status()).toMatchObject({ state: "ready", failingProviderCount: 0 });
  });

  it("does not call a provider failing after one failure", async () => {
    engine.clock.advance(windowMs);
    await engine.untilSent(2);
    engine.sent[0]?.fail(new GrantFailure({ kind: "transient" }));
    await expect.poll(() => ids.some((id) => engine.get(id).problem)).toBe(true);
    await expect.poll(() => status().refreshesRunning).toBe(1);
    expect(status()).toMatchObject({ failingProviderCount: 0, refreshesRunning: 1 });
  });

  it("does not call a provider failing that refuses grants", async () => {
    await failBoth({ kind: "invalid_grant", httpStatus: 400 });
    expect(status()).toMatchObject({ state: "attention", failingProviderCount: 0 });
    expect(status().connections).toMatchObject({ attention: 2, active: 0 });
  });

  it("calls a suspended provider failing, until its profile is fixed", async () => {
    await failBoth({ kind: "client", oauthError: "invalid_client", httpStatus: 401 });
    const [failing] = status().failingProviders;
    expect(failing).toMatchObject({ reason: "misconfigured", isSuspended: true, failures: 1 });
    expect(failing?.retryAtMs).toBeGreaterThan(engine.clock.nowMs());
    expect(failing?.lastFailedAtMs).toBe(engine.clock.nowMs());
    await engine.store.commit((tx) => tx.putProvider({ ...profile, version: 2n }));
    expect(status().failingProviders).toEqual([]);
  });

  /** A consent whose code is answered so. */
  const failConsent = async (fields: GrantFailureFields): Promise<void> => {
    engine.exchangeCode = () => Promise.reject(new GrantFailure(fields));
    const { state } = await engine.request();
    await engine.finish(state);
  };

  it("names a provider that refuses the client of a consent, until one succeeds or its profile changes", async () => {
    const refused: GrantFailureFields = { kind: "client", oauthError: "invalid_client", httpStatus: 401 };
    await failConsent(refused);
    const failing = { reason: "misconfigured", isConsent: true, isSuspended: false, failures: 1 };
    expect(status()).toMatchObject({
      state: "attention",
      failingProviders: [{ providerName: "op", ...failing }],
    });
    expect(status().failingProviders[0]?.message).toMatch(/^The provider refused the client id/);
    await engine.consent(tokenSet());
    expect(status()).toMatchObject({ state: "ready", failingProviders: [] });
    await failConsent(refused);
    engine.changes.emit("provider", profile.id);
    expect(status().failingProviders).toEqual([]);
  });

  it("does not call a provider failing where a person said no", async () => {
    const { state } = await engine.request();
    const started = await engine.completer.start(state);
    if (started.kind !== "redirect") throw new Error(started.kind);
    const query = new URLSearchParams({ state, error: "access_denied" });
    const path = "/auth/callback/op";
    const answer = await engine.completer.finish(query, () => started.binding.value, undefined, path);
    expect(answer).toMatchObject({ kind: "refused", reason: "access_denied" });
    expect(status().failingProviders).toEqual([]);
  });

  it("forgets a provider that is deleted", async () => {
    await failBoth({ kind: "transient" });
    await engine.store.commit((tx) => tx.deleteProvider(profile.id));
    expect(status().failingProviders).toEqual([]);
  });
});

import { describe, expect, it } from "vitest";
import type { AcquireRequest } from "../../../../src/domain/reading/acquire/token_acquirer.js";
import { at, owner } from "../../../../src/model/access/principal.js";
import {
  FailedPrecondition,
  InvalidArgument,
  NotLeader,
  type WaitedFor,
} from "../../../../src/model/errors.js";
import type { ProviderProfile } from "../../../../src/model/providers/provider_profile.js";
import { perTest } from "../../../lifetimes.js";
import { Engine, hourMs, tokenSet } from "../../engine.js";

const minuteMs = 60_000;

class Acquiring extends Engine {
  /** `leads: false`: it is a hub that follows, and what it may not do it leaves to another. */
  constructor(readonly member = { leads: true }) {
    super(undefined, undefined, { member });
  }

  static async withProvider(): Promise<Acquiring> {
    const world = new Acquiring();
    await world.provider("op");
    return world;
  }

  acquire(
    change: Partial<AcquireRequest> = {},
    signal = new AbortController().signal,
    waitedFor?: WaitedFor,
  ) {
    const name = { providerName: "op", userId: "ada", label: "" };
    const request = {
      name,
      scopes: [],
      minTtlMs: 0,
      returnUrl: undefined,
      waitMs: 0,
      device: false,
      ...change,
    };
    return this.acquirer.acquire(request, { principal: at(owner, "unix"), signal, waitedFor });
  }

  /** Holds the answer to the codes that come from now on, until it is told to give `tokens`. */
  holdExchange(tokens = tokenSet()) {
    let answer: () => void = () => undefined;
    const answered = new Promise<typeof tokens>((resolve) => {
      answer = () => resolve(tokens);
    });
    const sent = new Promise<void>((resolve) => {
      this.exchangeCode = () => {
        resolve();
        return answered;
      };
    });
    return { sent, answer };
  }

  /** The person opens the link, and says no at the provider. */
  async deny(authUrl: string): Promise<void> {
    const state = new URL(authUrl).searchParams.get("state") ?? "";
    const started = await this.completer.start(state);
    if (started.kind !== "redirect") throw new Error(started.kind);
    const denied = new URLSearchParams({ state, error: "access_denied" });
    await this.completer.finish(denied, () => started.binding.value, undefined, "/auth/callback/op");
  }

  async link(change: Partial<AcquireRequest> = {}) {
    const acquired = await this.acquire(change);
    if (acquired.kind !== "consent") throw new Error(`a ${acquired.kind}`);
    return { ...acquired.link, reason: acquired.reason };
  }
}

describe("TokenAcquirer", () => {
  const world = perTest(() => Acquiring.withProvider());
  const stateOf = (authUrl: string): string => new URL(authUrl).searchParams.get("state") ?? "";

  it("answers a token that was read before without a promise", async () => {
    await world.consent(tokenSet());
    expect((await world.acquire()).kind).toBe("token");
    expect(world.acquire()).toMatchObject({ kind: "token", token: { revision: 1n } });
  });

  it("takes a scope that the consent asked for as had, whatever the provider calls it, and asks for all of them again", async () => {
    const { connectionId } = await world.consent(tokenSet({ scopes: ["user"] }), { scopes: ["read:user"] });
    for (const scopes of [["read:user"], ["user"], []]) {
      expect(await world.acquire({ scopes })).toMatchObject({
        kind: "token",
        token: { grantedScopes: ["user"] },
      });
    }
    const up = await world.link({ scopes: ["repo"] });
    expect(up).toMatchObject({ connectionId, reason: "scopes_missing" });
    expect(world.get(connectionId).requestedScopes).toEqual(["read:user", "repo"]);
    world.exchangeCode = () => Promise.resolve(tokenSet({ scopes: ["user", "repo"] }));
    await world.finish(stateOf(up.authUrl));
    expect(await world.acquire({ scopes: ["repo", "read:user"] })).toMatchObject({ kind: "token" });
  });

  it("does not take a scope as had that a person refused", async () => {
    const { connectionId } = await world.consent(tokenSet({ scopes: ["read"] }), { scopes: ["read"] });
    const up = await world.link({ scopes: ["write"] });
    await world.deny(up.authUrl);
    const again = await world.link({ scopes: ["write"] });
    expect(again).toMatchObject({ connectionId, reason: "access_denied" });
    expect(again.authUrl).not.toBe(up.authUrl);
    expect((await world.acquire()).kind).toBe("token");
  });

  describe("after a person said no", () => {
    const cases: readonly (readonly [string, readonly string[], (world: Acquiring) => Promise<unknown>])[] = [
      ["not_connected", [], () => Promise.resolve()],
      ["scopes_missing", ["write"], (engine) => engine.consent(tokenSet())],
      [
        "no_refresh_token",
        [],
        async (engine) => {
          await engine.consent(tokenSet({ refreshToken: undefined }));
          engine.clock.advance(hourMs);
        },
      ],
      [
        "reauth_required",
        [],
        async (engine) => {
          const connection = engine.get((await engine.consent(tokenSet())).connectionId);
          const problem = { reason: "reauth_required", sinceMs: 1, retryAtMs: undefined } as const;
          const change = { status: "attention", problem } as const;
          await engine.store.commit((tx) => tx.putConnection({ ...connection, ...change }));
        },
      ],
    ];

    it.each(cases)("says so to all who ask, where it was %s", async (reason, scopes, bring) => {
      await bring(world);
      const shown = await world.link({ scopes });
      expect(shown.reason).toBe(reason);
      const waiting = [world.link({ scopes, waitMs: 60_000 }), world.link({ scopes, waitMs: 60_000 })];
      await world.deny(shown.authUrl);
      const links = [...(await Promise.all(waiting)), await world.link({ scopes })];
      expect(links.map((link) => link.reason)).toEqual(Array(3).fill("access_denied"));
      expect(new Set(links.map((link) => link.authUrl)).size).toBe(1);
      expect(links[0]).toMatchObject({ connectionId: shown.connectionId });
      expect(links[0]?.authUrl).not.toBe(shown.authUrl);
    });

    it.each(cases)("forgets it after ten minutes, where it was %s", async (reason, scopes, bring) => {
      await bring(world);
      await world.deny((await world.link({ scopes })).authUrl);
      world.clock.advance(10 * minuteMs - 1);
      expect((await world.link({ scopes })).reason).toBe("access_denied");
      world.clock.advance(1);
      expect((await world.link({ scopes })).reason).toBe(reason);
    });

    it("does not say so of a link that an edit of its profile ended", async () => {
      const profile = world.store.findProviderByName("op") as ProviderProfile;
      await world.deny((await world.link()).authUrl);
      const shown = await world.link();
      expect(shown.reason).toBe("access_denied");
      await world.store.commit((tx) => tx.putProvider({ ...profile, version: profile.version + 1n }));
      const next = await world.link();
      expect(next.authUrl).not.toBe(shown.authUrl);
      expect(next.reason).not.toBe("access_denied");
    });

    it("does not say so of a link whose consent came to nothing", async () => {
      await world.deny((await world.link()).authUrl);
      const shown = await world.link();
      const exchange = world.holdExchange();
      void world.finish(stateOf(shown.authUrl));
      await exchange.sent;
      const waiting = world.link();
      await expect.poll(() => world.subscribers.size).toBe(1);
      world.clock.advance(140_000);
      expect((await waiting).authUrl).not.toBe(shown.authUrl);
      expect((await waiting).reason).not.toBe("access_denied");
    });

    it("forgets it with another request, and with the consent", async () => {
      await world.consent(tokenSet({ scopes: ["read"] }), { scopes: ["read"] });
      await world.deny((await world.link({ scopes: ["write"] })).authUrl);
      expect((await world.link({ scopes: ["write"] })).reason).toBe("access_denied");
      const wider = await world.link({ scopes: ["write", "admin"] });
      expect(await world.link({ scopes: ["write"] })).toMatchObject({
        authUrl: wider.authUrl,
        reason: "scopes_missing",
      });
      await world.deny(wider.authUrl);
      const next = await world.link({ scopes: ["write"] });
      expect(next.reason).toBe("access_denied");
      world.exchangeCode = () => Promise.resolve(tokenSet({ scopes: ["write"] }));
      await world.finish(stateOf(next.authUrl));
      expect((await world.acquire({ scopes: ["write"] })).kind).toBe("token");
      expect((await world.link({ scopes: ["other"] })).reason).toBe("scopes_missing");
    });
  });

  it("answers one link for a token that died without a way to another", async () => {
    const { connectionId } = await world.consent(tokenSet({ refreshToken: undefined }));
    world.clock.advance(hourMs);
    const links = await Promise.all([world.link(), world.link(), world.link()]);
    expect(new Set(links.map(({ authUrl }) => authUrl)).size).toBe(1);
    expect(links[0]).toMatchObject({ connectionId, reason: "no_refresh_token" });
  });

  it("asks no person where the provider refuses the client", async () => {
    const connection = world.get((await world.consent(tokenSet())).connectionId);
    const problem = { reason: "misconfigured", sinceMs: 1, retryAtMs: undefined } as const;
    await world.store.commit((tx) => tx.putConnection({ ...connection, status: "attention", problem }));
    const refused = await (async () => world.acquire())().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(FailedPrecondition);
    expect(refused).toMatchObject({ reason: "PROVIDER_MISCONFIGURED" });
  });

  it("makes no other link while the code of a step-up is exchanged", async () => {
    await world.consent(tokenSet({ scopes: ["read"] }), { scopes: ["read"] });
    expect((await world.acquire()).kind).toBe("token");
    const up = await world.link({ scopes: ["write"] });
    const exchange = world.holdExchange(tokenSet({ scopes: ["read", "write"] }));
    const finished = world.finish(stateOf(up.authUrl));
    await exchange.sent;
    const waiting = world.acquire({ scopes: ["write"] });
    expect((await world.acquire()).kind).toBe("token");
    exchange.answer();
    expect((await finished).kind).toBe("done");
    expect(await waiting).toMatchObject({ kind: "token", token: { revision: 2n } });
    expect(world.subscribers.size).toBe(0);
  });

  it("makes one link for all who waited for an exchange that came to nothing", async () => {
    const { authUrl } = await world.link();
    const exchange = world.holdExchange();
    void world.finish(stateOf(authUrl));
    await exchange.sent;
    const waiting = [world.link(), world.link(), world.link()];
    await expect.poll(() => world.subscribers.size).toBe(3);
    world.clock.advance(140_000);
    const links = await Promise.all(waiting);
    expect(new Set(links.map((link) => link.authUrl)).size).toBe(1);
    expect(links[0]?.authUrl).not.toBe(authUrl);
    expect(await world.link()).toMatchObject({ authUrl: links[0]?.authUrl });
  });

  it("answers the token of a consent that ends while it reads a dead one", async () => {
    const { connectionId } = await world.consent(tokenSet({ refreshToken: undefined }));
    world.clock.advance(hourMs);
    const { authUrl } = await world.link();
    world.clock.advance(61_000);
    const exchange = world.holdExchange();
    const finished = world.finish(stateOf(authUrl));
    await exchange.sent;
    const reading = world.acquire();
    exchange.answer();
    expect((await finished).kind).toBe("done");
    expect(await reading).toMatchObject({ kind: "token", token: { revision: 2n } });
    expect(world.get(connectionId).pendingStateHash).toBeUndefined();
  });

  it("makes a new connection when the old one is revoked while it makes a link", async () => {
    const { connectionId } = await world.consent(tokenSet());
    const revoking = world.connections.revoke(connectionId, owner);
    const direct = world.request({ connectionId }).catch((error: unknown) => error);
    const up = world.link({ scopes: ["write"] });
    await revoking;
    expect(await direct).toMatchObject({ reason: "CONNECTION_REVOKED" });
    expect(world.get(connectionId)).toMatchObject({ status: "revoked", pendingStateHash: undefined });
    expect((await up).connectionId).not.toBe(connectionId);
  });

  it("finds the connection that was requested under its name while it made one", async () => {
    const name = { providerName: "op", userId: "ada", label: "work" };
    const requested = world.request({ label: "work" });
    const found = world.link({ name });
    expect((await found).connectionId).toBe((await requested).connectionId);
  });

  it.each([
    ["failed", 1],
    ["expired", 1],
    ["revoked", 2],
  ] as const)("makes one link for all who ask for a connection that is %s", async (status, count) => {
    const { connectionId } = await world.link();
    const before = world.get(connectionId);
    const ended = { pendingStateHash: undefined, requestExpiresAtMs: undefined };
    await world.store.commit((tx) => tx.putConnection({ ...before, ...ended, status }));
    const links = await Promise.all(Array.from({ length: 20 }, () => world.link()));
    expect(new Set(links.map(({ authUrl }) => authUrl)).size).toBe(1);
    expect(links[0]?.connectionId === connectionId).toBe(count === 1);
    expect(world.store.listConnections({ limit: 10 })).toHaveLength(count);
  });

  describe("a profile with default scopes", () => {
    const defaults = ["openid", "offline_access"];
    const asks = async (change: Partial<AcquireRequest>) => {
      const { connectionId } = await world.link(change);
      return world.get(connectionId).requestedScopes;
    };
    const named = (scopes: readonly string[]) => world.provider("scoped", { scopes: [...scopes] });
    const name = { providerName: "scoped", userId: "ada", label: "" };

    it.each([
      ["none", {}, defaults],
      ["others", { scopes: ["repo"] }, [...defaults, "repo"]],
      ["one of the defaults", { scopes: ["openid", "repo"] }, [...defaults, "repo"]],
      ["no others", { scopes: ["repo"], onlyScopes: true }, ["repo"]],
    ])(
      "is asked for them by a caller that wants %s, and by the next link too",
      async (_, change, expected) => {
        await named(defaults);
        expect(await asks({ name, ...change })).toEqual(expected);
        world.clock.advance(11 * minuteMs);
        expect(await asks({ name, ...change })).toEqual(expected);
      },
    );

    it("is asked for them where a caller with less asked first", async () => {
      await named(defaults);
      await asks({ name, scopes: ["repo"], onlyScopes: true });
      expect([...(await asks({ name, scopes: ["gist"] }))].sort()).toEqual(
        [...defaults, "repo", "gist"].sort(),
      );
    });

    it("is not asked for more later, where the user consented to less", async () => {
      await named(defaults);
      const link = await world.link({ name, scopes: ["repo"], onlyScopes: true });
      world.exchangeCode = () => Promise.resolve(tokenSet({ scopes: ["repo"] }));
      await world.finish(stateOf(link.authUrl), undefined, "/auth/callback/scoped");
      expect(await asks({ name, scopes: ["gist"] })).toEqual(["repo", "gist"]);
    });

    it("makes too many together with those of the caller", async () => {
      await named(Array.from({ length: 60 }, (_, index) => `d${index}`));
      const scopes = Array.from({ length: 41 }, (_, index) => `s${index}`);
      const refused = await (async () => world.acquire({ name, scopes }))().catch((error: unknown) => error);
      expect(String(refused)).toContain(
        "must not make more than 100 with the profile's defaults: these make 101",
      );
      expect(await asks({ name, scopes, onlyScopes: true })).toEqual(scopes);
    });
  });

  it("asks for no more than 100 scopes in all, and says so before anything is changed", async () => {
    const { connectionId } = await world.consent(tokenSet(), { scopes: ["a", "b"] });
    const many = Array.from({ length: 97 }, (_, index) => `s${index}`);
    await world.link({ scopes: many });
    const full = await world.link({ scopes: ["c"] });
    const before = world.get(connectionId);
    const refused = await (async () => world.acquire({ scopes: ["d"] }))().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(InvalidArgument);
    expect(String(refused)).toContain("scopes: must not make more than 100 with those that");
    expect(world.get(connectionId)).toEqual(before);
    expect((await world.link({ scopes: ["c", "s3"] })).authUrl).toBe(full.authUrl);
    expect((await world.acquire()).kind).toBe("token");
  });

  it("leaves a request its place that an application must confirm, whatever else it is asked for", async () => {
    const returnUrl = "https://app.example/done";
    const first = await world.request({ requireConfirmation: true, returnUrl });
    const key = world.get(first.connectionId).pendingStateHash ?? "";
    const pending = world.store.getAuthorization(key);
    const up = await world.link({ scopes: ["write"], returnUrl: "https://app.example/agent" });
    expect(up).toMatchObject({ connectionId: first.connectionId, authUrl: first.authUrl });
    expect(world.store.getAuthorization(key)).toEqual(pending);
    const finished = await world.finish(first.state);
    if (finished.kind !== "return") throw new Error(finished.kind);
    const waits = world.acquire({ scopes: ["write"], waitMs: 60_000 });
    await expect.poll(() => world.subscribers.size).toBe(1);
    const code = new URL(finished.location).searchParams.get("completion_code") ?? "";
    await world.confirmer.confirm(first.connectionId, code, owner);
    expect(await waits).toMatchObject({ kind: "consent", reason: "scopes_missing", isNew: true });
  });

  it("answers a link that it makes at once, though the one that its caller was shown has just been refused", async () => {
    const shown = await world.link();
    await world.deny(shown.authUrl);
    const next = await world.link({ waitMs: 60_000 });
    expect(next).toMatchObject({ connectionId: shown.connectionId, reason: "access_denied" });
    expect(next.authUrl).not.toBe(shown.authUrl);
    const waiting = world.link({ waitMs: 60_000 });
    await expect.poll(() => world.subscribers.size).toBe(1);
    world.clock.advance(60_000);
    expect((await waiting).authUrl).toBe(next.authUrl);
  });

  it("lets all who wait go when the person is done, and each when it leaves", async () => {
    const { authUrl } = await world.link();
    const controller = new AbortController();
    const left = world.acquire({ waitMs: 60_000 }, controller.signal);
    const waiting = Array.from({ length: 100 }, () => world.acquire({ waitMs: 60_000 }));
    await expect.poll(() => world.subscribers.size).toBe(101);
    controller.abort();
    expect((await left).kind).toBe("consent");
    await world.finish(stateOf(authUrl));
    expect(new Set((await Promise.all(waiting)).map(({ kind }) => kind))).toEqual(new Set(["token"]));
    expect(world.subscribers.size).toBe(0);
  });
});

describe("TokenAcquirer of a fleet", () => {
  const world = perTest(() => Acquiring.withProvider());
  const stateOf = (authUrl: string): string => new URL(authUrl).searchParams.get("state") ?? "";
  const wait = { waitMs: 60_000 };
  const failure = (acquired: ReturnType<Acquiring["acquire"]>) =>
    Promise.resolve(acquired).catch((error: unknown) => error);

  it("makes no link at a hub that follows", async () => {
    world.member.leads = false;
    expect(await failure(world.acquire(wait))).toEqual(new NotLeader());
    expect(world.store.listConnections({ limit: 1 })).toEqual([]);
  });

  it("says that its caller has waited when another link is to take the place of a refused one", async () => {
    const { authUrl } = await world.link();
    world.member.leads = false;
    const waiting = failure(world.acquire(wait));
    await expect.poll(() => world.subscribers.size).toBe(1);
    await world.deny(authUrl);
    expect(await waiting).toEqual(new NotLeader("person"));
  });

  it("lets nobody wait for a person who has waited at another hub, and all for an exchange", async () => {
    const first = await world.acquire(wait, undefined, "person");
    expect(first).toMatchObject({ kind: "consent", reason: "not_connected" });
    if (first.kind !== "consent") return;
    const exchange = world.holdExchange();
    void world.finish(stateOf(first.link.authUrl));
    await exchange.sent;
    const waiting = world.acquire(wait, undefined, "person");
    await expect.poll(() => world.subscribers.size).toBe(1);
    world.clock.advance(140_000);
    const again = await waiting;
    expect(again).toMatchObject({ kind: "consent", link: { connectionId: first.link.connectionId } });
    expect(again).not.toMatchObject({ link: { authUrl: first.link.authUrl } });
  });

  it("says that its caller has waited for the exchange, and at the leader waits for no other one", async () => {
    const { authUrl, connectionId } = await world.link();
    const exchange = world.holdExchange();
    void world.finish(stateOf(authUrl));
    await exchange.sent;
    world.member.leads = false;
    const waiting = failure(world.acquire());
    await expect.poll(() => world.subscribers.size).toBe(1);
    world.clock.advance(140_000);
    expect(await waiting).toEqual(new NotLeader("exchange"));
    world.member.leads = true;
    const asked = await Promise.all([1, 2].map(() => world.acquire(wait, undefined, "exchange")));
    const urls = asked.map((acquired) => acquired.kind === "consent" && acquired.link.authUrl);
    expect(asked[0]).toMatchObject({ kind: "consent", link: { connectionId } });
    expect(urls).toEqual([urls[0], urls[0]]);
    expect(urls[0]).not.toBe(authUrl);
  });

  it("keeps a consent whose code is exchanged when a caller comes that has waited at another hub", async () => {
    const { authUrl } = await world.link();
    const exchange = world.holdExchange();
    const finished = world.finish(stateOf(authUrl));
    await exchange.sent;
    const waiting = world.acquire(wait, undefined, "person");
    exchange.answer();
    expect((await finished).kind).toBe("done");
    expect(await waiting).toMatchObject({ kind: "token" });
  });
});

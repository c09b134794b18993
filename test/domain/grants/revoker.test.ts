import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RevocationQueue } from "../../../src/domain/grants/revocation_queue.js";
import { Revoker } from "../../../src/domain/grants/revoker.js";
import type { RevocationRequest } from "../../../src/domain/token_endpoint/token_endpoint_client.js";
import { Unavailable } from "../../../src/model/errors.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import type { ProviderProfile } from "../../../src/model/providers/provider_profile.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import type { RevocationOutcome } from "../../../src/oauth/grants/revocation.js";
import { Changes } from "../../../src/runtime/changes.js";
import { perTest } from "../../lifetimes.js";
import { silentLog } from "../../silent_log.js";
import { Engine, tokenSet } from "../engine.js";

const dayMs = 86_400_000;
const revocationUrl = "https://op.example/revoke";

interface Asked {
  readonly request: RevocationRequest;
  answer(outcome: RevocationOutcome): void;
}

describe("Revoker", () => {
  const engine = perTest(() => new Engine());
  const changes = new Changes();
  const queue = perTest(() => new RevocationQueue({ vault: engine.vault, clock: engine.clock, changes }));
  let revoker: Revoker;
  let profile: ProviderProfile;
  let asked: Asked[];
  let resolves: boolean;
  let onAsked: (() => void) | undefined;

  function makeRevoker(): Revoker {
    const { store, vault, clock } = engine;
    return new Revoker({
      store,
      vault,
      clock,
      changes,
      log: silentLog,
      random: () => 0.5,
      servers: {
        resolve: async (given) => {
          if (!resolves) throw new Unavailable("no document");
          return manualAuthorizationServer(given);
        },
      },
      grants: {
        revoke: (request) =>
          new Promise((resolve) => {
            asked.push({ request, answer: resolve });
            request.signal?.addEventListener("abort", () =>
              resolve({ kind: "retry", reason: "aborted", retryAfterMs: undefined }),
            );
            onAsked?.();
          }),
      },
    });
  }

  beforeEach(async () => {
    asked = [];
    resolves = true;
    profile = await engine.provider("op", { oauth2: { ...plainOAuth2, revocationUrl } });
    revoker = makeRevoker();
    revoker.start();
  });
  afterEach(async () => {
    changes.removeAllListeners();
    await revoker.stop();
  });

  const connectionId = "11111111-1111-4111-8111-111111111111";
  const enqueue = async (providerId = profile.id, credential = tokenSet()) => {
    await engine.store.commit((tx) =>
      queue.enqueue(tx, { connectionId, providerId, revision: 3n }, credential),
    );
  };
  const untilAsked = async (count: number): Promise<Asked> => {
    while (asked.length < count) {
      await new Promise<void>((resolve) => {
        onAsked = resolve;
      });
    }
    return asked[count - 1] as Asked;
  };
  /** Resolves when the commits that an answer causes are done. */
  const settled = async (pass: () => boolean) => {
    while (!pass()) await engine.store.commit(() => undefined);
  };
  const queued = () => engine.store.revocations.due(100);
  const events = () =>
    engine.store.listAuditEvents({ limit: 100 }).events.map(({ event }) => [event.type, event.reason]);

  it("asks the provider for the refresh token, and says so when it is dead", async () => {
    const credential = tokenSet();
    await enqueue(profile.id, credential);
    const { request, answer } = await untilAsked(1);
    expect(request).toMatchObject({ endpoint: revocationUrl, tokenTypeHint: "refresh_token" });
    expect(request.token.reveal()).toBe(credential.refreshToken?.reveal());
    answer({ kind: "revoked" });
    await settled(() => queued().length === 0);
    expect(events()).toEqual([["revoked_at_provider", undefined]]);
  });

  it("looks at its queue when a token in it is durable, and not at every change of a connection", async () => {
    const looks = vi.spyOn(engine.store.revocations, "due");
    const place = { connectionId, providerId: profile.id, revision: 3n };
    await engine.store.commit((tx) => {
      queue.enqueue(tx, place, tokenSet());
      // Another commit is announced before this one is durable.
      changes.emit("connections", []);
      expect(looks).not.toHaveBeenCalled();
    });
    expect(looks).toHaveBeenCalledOnce();
    await untilAsked(1);
    looks.mockClear();
    changes.emit("connections", []);
    expect(looks).not.toHaveBeenCalled();
  });

  it("falls back to the access token", async () => {
    const credential = tokenSet({ refreshToken: undefined });
    await enqueue(profile.id, credential);
    const { request } = await untilAsked(1);
    expect(request.tokenTypeHint).toBe("access_token");
    expect(request.token.reveal()).toBe(credential.accessToken.reveal());
  });

  it("tries again with growing pauses, not before the provider wants, and gives up after a week", async () => {
    await enqueue();
    const retry = (retryAfterMs?: number): RevocationOutcome => ({
      kind: "retry",
      reason: "status_503",
      retryAfterMs,
    });
    (await untilAsked(1)).answer(retry(90_000));
    await settled(() => (queued()[0]?.nextAttemptMs ?? 0) > engine.clock.nowMs());
    engine.clock.advance(89_000);
    expect(asked).toHaveLength(1);
    engine.clock.advance(1_000);
    (await untilAsked(2)).answer(retry());
    await settled(() => (queued()[0]?.nextAttemptMs ?? 0) > engine.clock.nowMs());
    expect((queued()[0]?.nextAttemptMs ?? 0) - engine.clock.nowMs()).toBe(5_000);
    engine.clock.advance(7 * dayMs);
    (await untilAsked(3)).answer(retry());
    await settled(() => queued().length === 0);
    expect(events()).toEqual([["revocation_given_up", "status_503"]]);
  });

  it("asks each provider in turn: one that hangs holds up no other, however much waits for it", async () => {
    for (let count = 0; count < 100; count++) await enqueue();
    await untilAsked(4);
    const others = ["second", "third"].map((name) =>
      engine.provider(name, { oauth2: { ...plainOAuth2, revocationUrl: `https://${name}.example/revoke` } }),
    );
    for (const other of await Promise.all(others)) {
      engine.clock.advance(1_000);
      await enqueue(other.id);
    }
    expect((await untilAsked(5)).request.endpoint).toBe("https://second.example/revoke");
    expect((await untilAsked(6)).request.endpoint).toBe("https://third.example/revoke");
    asked[5]?.answer({ kind: "revoked" });
    await settled(() => events().length === 1);
    expect(asked).toHaveLength(6);
    asked[0]?.answer({ kind: "revoked" });
    expect((await untilAsked(7)).request.endpoint).toBe(revocationUrl);
  });

  it("leaves room for a provider while others have all that they may", async () => {
    const profiles = ["b", "c", "d"].map((name) =>
      engine.provider(name, { oauth2: { ...plainOAuth2, revocationUrl } }),
    );
    const hanging = [profile, ...(await Promise.all(profiles))];
    for (const { id } of hanging) for (let count = 0; count < 10; count++) await enqueue(id);
    await untilAsked(16);
    const late = await engine.provider("late", {
      oauth2: { ...plainOAuth2, revocationUrl: "https://late.example/revoke" },
    });
    engine.clock.advance(1_000);
    await enqueue(late.id);
    asked[0]?.answer({ kind: "retry", reason: "timeout", retryAfterMs: undefined });
    expect((await untilAsked(17)).request.endpoint).toBe("https://late.example/revoke");
  });

  const busy: RevocationOutcome = { kind: "retry", reason: "status_503", retryAfterMs: 600_000 };

  it("gives an access token up when it is dead, and does not send it again", async () => {
    await enqueue(profile.id, tokenSet({ refreshToken: undefined, expiresInMs: 30_000 }));
    (await untilAsked(1)).answer(busy);
    await settled(() => (queued()[0]?.nextAttemptMs ?? 0) > engine.clock.nowMs());
    engine.clock.advance(29_999);
    expect(queued()).toHaveLength(1);
    engine.clock.advance(1);
    await settled(() => queued().length === 0);
    expect(events()).toEqual([["revocation_given_up", "token_expired"]]);
    expect(asked).toHaveLength(1);
  });

  it("does not send an access token that died while the daemon was down, nor queue one that is dead", async () => {
    await revoker.stop();
    await enqueue(profile.id, tokenSet({ refreshToken: undefined, expiresInMs: 30_000 }));
    await enqueue(profile.id, tokenSet({ refreshToken: undefined, expiresInMs: 0 }));
    expect(queued()).toHaveLength(1);
    engine.clock.advance(30_000);
    revoker = makeRevoker();
    revoker.start();
    await settled(() => queued().length === 0);
    expect(events()).toEqual([["revocation_given_up", "token_expired"]]);
    expect(asked).toHaveLength(0);
  });

  it("goes on for a refresh token after its access token has died", async () => {
    await enqueue(profile.id, tokenSet({ expiresInMs: 30_000, refreshExpiresInMs: 30_000 }));
    (await untilAsked(1)).answer(busy);
    await settled(() => (queued()[0]?.nextAttemptMs ?? 0) > engine.clock.nowMs());
    engine.clock.advance(600_000);
    (await untilAsked(2)).answer({ kind: "revoked" });
    await settled(() => queued().length === 0);
    expect(events()).toEqual([["revoked_at_provider", undefined]]);
  });

  it("lets whoever ends a connection wait for the answer, 2 s at most", async () => {
    const id = "11111111-1111-4111-8111-111111111111";
    await revoker.attempted(id);
    await enqueue();
    const { answer } = await untilAsked(1);
    let isOver = false;
    const first = revoker.attempted(id).then(() => {
      isOver = true;
    });
    engine.clock.advance(1_999);
    await settled(() => true);
    expect(isOver).toBe(false);
    engine.clock.advance(1);
    await first;
    const second = revoker.attempted(id);
    answer({ kind: "revoked" });
    await second;
    expect(queued()).toEqual([]);
  });

  it("takes a refusal for an end", async () => {
    await enqueue();
    (await untilAsked(1)).answer({ kind: "refused", reason: "unsupported_token_type" });
    await settled(() => queued().length === 0);
    expect(events()).toEqual([["revocation_given_up", "unsupported_token_type"]]);
  });

  it("waits for a discovery document, and goes on after a restart", async () => {
    resolves = false;
    await enqueue();
    await settled(() => (queued()[0]?.nextAttemptMs ?? 0) > engine.clock.nowMs());
    await revoker.stop();
    resolves = true;
    revoker = makeRevoker();
    revoker.start();
    engine.clock.advance(60_000);
    (await untilAsked(1)).answer({ kind: "revoked" });
    await settled(() => queued().length === 0);
    expect(events()).toEqual([["revoked_at_provider", undefined]]);
  });

  it("keeps in the queue what is cut off by a stop", async () => {
    await enqueue();
    await untilAsked(1);
    const before = queued();
    await revoker.stop();
    expect(queued()).toEqual(before);
  });

  it("asks one provider a few at a time, and others meanwhile", async () => {
    const other = await engine.provider("other", { oauth2: { ...plainOAuth2, revocationUrl } });
    for (let i = 0; i < 6; i++) await enqueue();
    await enqueue(other.id);
    await untilAsked(5);
    const names = asked.map(({ request }) => request.profile.name);
    expect(names).toEqual(["op", "op", "op", "op", "other"]);
    for (const { answer } of asked) answer({ kind: "revoked" });
    for (const { answer } of [await untilAsked(6), await untilAsked(7)]) answer({ kind: "revoked" });
    await settled(() => queued().length === 0);
  });

  it("queues nothing where nobody can be asked, and ends when the profile goes", async () => {
    const without = await engine.provider("without");
    await enqueue(without.id);
    await enqueue("22222222-2222-4222-8222-222222222222");
    expect(queued()).toEqual([]);
    await revoker.stop();
    await enqueue();
    await engine.store.commit((tx) => tx.deleteProvider(profile.id));
    revoker = makeRevoker();
    revoker.start();
    await settled(() => queued().length === 0);
    expect(events()).toEqual([["revocation_given_up", "provider_deleted"]]);
  });

  it.each([
    ["the provider revokes it", { kind: "revoked" }, "done"],
    ["the provider refuses", { kind: "refused", reason: "unsupported_token_type" }, "not_possible"],
  ] as const)("writes what came of it on the connection: %s", async (_, outcome, word) => {
    const connection = await engine.connection(profile);
    await engine.store.commit((tx) => {
      const providerRevocation = queue.enqueueStored(tx, connection);
      expect(providerRevocation).toBe("pending");
      tx.putConnection({ ...connection, status: "revoked", providerRevocation });
    });
    revoker.wake();
    (await untilAsked(1)).answer(outcome);
    await settled(() => queued().length === 0);
    expect(engine.store.getConnection(connection.id)).toMatchObject({
      status: "revoked",
      providerRevocation: word,
    });
  });

  it("writes on the connection that its access token died first", async () => {
    const connection = await engine.connection(
      profile,
      tokenSet({ refreshToken: undefined, expiresInMs: 30_000 }),
    );
    await engine.store.commit((tx) => {
      const providerRevocation = queue.enqueueStored(tx, connection);
      tx.deleteCredential(connection.id);
      tx.putConnection({ ...connection, status: "revoked", providerRevocation });
    });
    revoker.wake();
    (await untilAsked(1)).answer(busy);
    await settled(() => (queued()[0]?.nextAttemptMs ?? 0) > engine.clock.nowMs());
    engine.clock.advance(30_000);
    await settled(() => queued().length === 0);
    expect(engine.store.getConnection(connection.id)?.providerRevocation).toBe("not_needed");
  });

  it("tells tokens that cannot be revoked from what needs no revocation", async () => {
    const noEndpoint = await engine.provider("no-endpoint");
    const without = await engine.connection(noEndpoint);
    await engine.store.commit((tx) => {
      expect(queue.enqueueStored(tx, without)).toBe("not_possible");
      tx.deleteCredential(without.id);
      expect(queue.enqueueStored(tx, without)).toBe("not_needed");
    });
  });

  it("queues what a connection holds, sealed for its new place", async () => {
    const connection = await engine.connection(profile);
    await engine.store.commit((tx) => {
      queue.enqueueStored(tx, connection);
      tx.deleteConnection(connection.id);
    });
    const revocation = engine.store.revocations.get(queued()[0]?.id ?? "");
    expect(revocation).toMatchObject({ connectionId: connection.id, revision: 1n });
    revoker.wake();
    (await untilAsked(1)).answer({ kind: "revoked" });
    await settled(() => queued().length === 0);
  });
});

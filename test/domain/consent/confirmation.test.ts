import { beforeEach, describe, expect, it } from "vitest";
import { revocationPlace } from "../../../src/domain/connections/credential_vault.js";
import { admin, owner, type Principal } from "../../../src/model/access/principal.js";
import type { TokenSet } from "../../../src/model/credentials/credential.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import { perTest } from "../../lifetimes.js";
import { Engine, hourMs, tokenSet } from "../engine.js";

const returnUrl = "https://app.example/back";

describe("a consent that waits for its confirmation", () => {
  const engine = perTest(() => new Engine());
  beforeEach(async () => {
    engine.scheduler.start();
    await engine.provider("op", {
      oauth2: { ...plainOAuth2, revocationUrl: "https://op.example/revoke" },
    });
  });

  /** A consent that the provider answers with `tokens`. */
  const consent = async (tokens: TokenSet, connectionId?: string, requireConfirmation = true) => {
    const consented = await engine.consent(tokens, { returnUrl, connectionId, requireConfirmation });
    const { connectionId: id, result } = consented;
    if (result.kind !== "return") throw new Error(result.kind);
    return { id, code: new URL(result.location).searchParams.get("completion_code") ?? "" };
  };
  const revoked = () => {
    const { store, vault } = engine;
    return store.revocations
      .due(10)
      .flatMap(({ id }) => store.revocations.get(id) ?? [])
      .map((entry) => vault.openToken(revocationPlace(entry.id, entry), entry.sealed).reveal());
  };
  const untilOver = (id: string) => {
    engine.clock.advance(10 * 60_000);
    return engine.until(id, (connection) => connection.awaitingConfirmation !== true);
  };

  it("counts lifetimes from when the token came, not from the confirmation", async () => {
    const { id, code } = await consent(tokenSet({ expiresInMs: hourMs, refreshExpiresInMs: 2 * hourMs }));
    const receivedAtMs = engine.clock.nowMs();
    engine.clock.advance(5 * 60_000);
    await engine.confirmer.confirm(id, code, owner);
    expect(engine.get(id)).toMatchObject({
      expiresAtMs: receivedAtMs + hourMs,
      refreshExpiresAtMs: receivedAtMs + 2 * hourMs,
    });
  });

  it("keeps everything that the provider said", async () => {
    const tokens = tokenSet({ scopes: ["a"], subject: "ada@op", metadata: { team: "t" } });
    const { id, code } = await consent(tokens);
    await engine.confirmer.confirm(id, code, owner);
    expect(engine.get(id)).toMatchObject({
      grantedScopes: ["a"],
      subject: "ada@op",
      metadata: { team: "t" },
      refreshable: true,
    });
    expect(engine.refreshTokenOf(id)).toBe(tokens.refreshToken?.reveal());
    expect(engine.credentialOf(id)?.accessToken.reveal()).toBe(tokens.accessToken.reveal());
  });

  it("leaves the refreshing of an active connection alone", async () => {
    const { id } = await consent(tokenSet(), undefined, false);
    engine.clock.advance(hourMs - 8 * 60_000);
    await consent(tokenSet(), id);
    engine.clock.advance(7 * 60_000);
    (await engine.untilSent(1)).answer({ tokenSet: tokenSet() });
    await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
    expect(engine.get(id)).toMatchObject({ status: "active", awaitingConfirmation: true });
  });

  it.each([
    ["another account", "bob@op", 1],
    ["an account that nobody knows", undefined, 1],
    ["the account that the connection holds already", "ada@op", 0],
  ])("that nobody confirms is revoked when it is of %s", async (_name, subject, count) => {
    const { id } = await consent(tokenSet({ subject: "ada@op" }), undefined, false);
    const second = tokenSet({ subject });
    await consent(second, id);
    await untilOver(id);
    expect(engine.get(id)).toMatchObject({ status: "active", credentialRevision: 1n, problem: undefined });
    expect(revoked()).toEqual(count === 0 ? [] : [second.refreshToken?.reveal()]);
  });

  it("is nobody's but the requester's", async () => {
    const { id, code } = await consent(tokenSet());
    await expect(engine.confirmer.confirm(id, code, admin)).rejects.toThrow("is not yours");
    await engine.confirmer.confirm(id, code, owner);
    expect(engine.get(id).status).toBe("active");
  });

  it("is nobody's but that caller's of a spoke for whom it was requested", async () => {
    const [ada, bob] = ["key:ada", "key:bob"].map((name): Principal => {
      const onBehalfOf = { name, restrictions: [] };
      return { name: "cert:spoke", kind: "certificate", onBehalfOf };
    }) as [Principal, Principal];
    engine.exchangeCode = () => Promise.resolve(tokenSet());
    const { state, connectionId } = await engine.request({ returnUrl, requireConfirmation: true }, ada);
    const result = await engine.finish(state);
    if (result.kind !== "return") throw new Error(result.kind);
    const code = new URL(result.location).searchParams.get("completion_code") ?? "";
    for (const other of [bob, { ...ada, onBehalfOf: undefined } as never, owner])
      await expect(engine.confirmer.confirm(connectionId, code, other)).rejects.toThrow("is not yours");
    await engine.confirmer.confirm(connectionId, code, ada);
    expect(engine.get(connectionId).status).toBe("active");
  });

  it("is confirmed once by any number of callers", async () => {
    const { id, code } = await consent(tokenSet());
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => engine.confirmer.confirm(id, code, owner)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(engine.get(id).credentialRevision).toBe(1n);
  });

  it("is not erased by a wrong code, nor confirmed after its time", async () => {
    const { id, code } = await consent(tokenSet());
    await expect(engine.confirmer.confirm(id, `${code}x`, owner)).rejects.toThrow("4 of 5");
    await untilOver(id);
    await expect(engine.confirmer.confirm(id, code, owner)).rejects.toThrow("expired");
    expect(engine.get(id)).toMatchObject({
      status: "expired",
      problem: { reason: "confirmation_expired" },
      requestExpiresAtMs: undefined,
      pendingStateHash: undefined,
    });
  });

  describe("keeps its place", () => {
    const refused = { reason: "CONNECTION_PENDING" };
    const ask = (principal: Principal, requireConfirmation: boolean, connectionId?: string) => {
      const provider = connectionId === undefined ? { name: "op" } : undefined;
      const asked = { userId: "ada", provider, scopes: [], returnUrl, connectionId, requireConfirmation };
      return engine.requests.request(asked, principal);
    };
    const others: readonly (readonly [string, Principal, boolean])[] = [
      ["without a confirmation", owner, false],
      ["with one of its own", owner, true],
      ["without one by the caller that demanded it", admin, false],
    ];

    it.each(others)("before a request %s", async (_name, principal, requireConfirmation) => {
      const { connectionId, state } = await ask(admin, true);
      await expect(ask(principal, requireConfirmation, connectionId)).rejects.toMatchObject(refused);
      const finished = await engine.finish(state);
      if (finished.kind !== "return") throw new Error(finished.kind);
      await expect(ask(principal, requireConfirmation, connectionId)).rejects.toMatchObject(refused);
      const code = new URL(finished.location).searchParams.get("completion_code") ?? "";
      await engine.confirmer.confirm(connectionId, code, admin);
      expect(engine.get(connectionId).status).toBe("active");
      expect((await ask(principal, requireConfirmation, connectionId)).connectionId).toBe(connectionId);
    });

    it.each(others)("while its code is exchanged, before one %s", async (_name, principal, confirms) => {
      const { connectionId, state } = await ask(admin, true);
      let exchange: () => void = () => undefined;
      const asked = new Promise<void>((resolve) => {
        engine.exchangeCode = () => {
          resolve();
          return new Promise((answer) => {
            exchange = () => answer(tokenSet());
          });
        };
      });
      const finished = engine.finish(state);
      await asked;
      const other = await ask(principal, confirms, connectionId);
      exchange();
      const result = await finished;
      if (result.kind !== "return") throw new Error(result.kind);
      expect(await engine.completer.start(other.state)).toEqual({ kind: "unknown_request" });
      const code = new URL(result.location).searchParams.get("completion_code") ?? "";
      await engine.confirmer.confirm(connectionId, code, admin);
      expect(engine.get(connectionId).status).toBe("active");
    });

    it("until its caller demands another one, nobody came, or the profile is edited", async () => {
      const first = await ask(admin, true);
      const second = await ask(admin, true, first.connectionId);
      expect(await engine.completer.start(first.state)).toEqual({ kind: "unknown_request" });
      expect((await engine.completer.start(second.state)).kind).toBe("redirect");
      engine.clock.advance(10 * 60_000);
      const third = await ask(owner, true, first.connectionId);
      const profile = engine.store.findProviderByName("op");
      if (!profile) throw new Error("no provider");
      await engine.store.commit((tx) => tx.putProvider({ ...profile, version: profile.version + 1n }));
      expect((await ask(admin, false, third.connectionId)).connectionId).toBe(first.connectionId);
    });
  });
});

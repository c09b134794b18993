import { describe, expect, it } from "vitest";
import { CredentialReader, TokenCache } from "../../../src/domain/connections/credential_reader.js";
import { newId } from "../../../src/model/ids.js";
import { Secret } from "../../../src/runtime/secret.js";
import { perTest } from "../../lifetimes.js";
import { Engine, hourMs, startMs, tokenSet } from "../engine.js";
import { profileOf } from "../static_profile.js";

describe("CredentialReader", () => {
  const engine = perTest(() => new Engine());
  /** A reader with a cache, and how often the store was asked for a connection. */
  const cachedReader = () => {
    const { store, vault, clock, changes } = engine;
    const counted = { reads: 0 };
    const getConnection = store.getConnection.bind(store);
    store.getConnection = (id) => {
      counted.reads++;
      return getConnection(id);
    };
    return { counted, reader: new CredentialReader({ store, vault, clock, cache: new TokenCache(changes) }) };
  };

  it("answers an OAuth token as its strategy names it, without the refresh token", async () => {
    const idToken = new Secret("id-token");
    const set = tokenSet({ scopes: ["read"], idToken });
    const { id } = await engine.connected(set);
    const view = engine.reader.view(id);
    expect(view).toMatchObject({ connection: { id, status: "active" }, problem: undefined });
    expect(view?.token).toEqual({
      strategy: expect.objectContaining({ kind: "oauth2" }),
      credentials: { access_token: set.accessToken.reveal() },
      tokenType: "Bearer",
      idToken: "id-token",
      expiresAtMs: startMs + hourMs,
      refreshNotBeforeMs: engine.get(id).refreshNotBeforeMs,
      grantedScopes: ["read"],
      revision: 1n,
    });
    expect(engine.get(id).refreshNotBeforeMs).toBeLessThan(startMs + hourMs);
  });

  it("says no time of refresh where there is no refresh token", async () => {
    const { id } = await engine.connected(tokenSet({ refreshToken: undefined }));
    expect(engine.reader.view(id)?.token?.refreshNotBeforeMs).toBeUndefined();
  });

  it("answers the fields of a static credential, each as it was stored", async () => {
    const profile = await engine.provider("acme", profileOf());
    const { id } = await engine.connection(await engine.provider("op"));
    const fields = { api_key: new Secret("k-1"), region: new Secret("eu") };
    const connection = { ...engine.get(id), providerId: profile.id, expiresAtMs: undefined };
    await engine.store.commit((tx) => {
      tx.putConnection(connection);
      tx.putCredential(id, engine.vault.sealFields(connection, connection.credentialRevision, fields));
    });
    expect(engine.reader.view(id)?.token).toMatchObject({
      strategy: { kind: "header", headerName: "X-Key" },
      credentials: { api_key: "k-1", region: "eu" },
      tokenType: undefined,
      idToken: undefined,
      expiresAtMs: undefined,
    });
  });

  it("takes the strategy of the profile, and the connection's own when the profile is gone", async () => {
    const profile = await engine.provider("op");
    const { id } = await engine.connection(profile);
    const headerOf = () => {
      const strategy = engine.reader.view(id)?.token?.strategy;
      return strategy?.kind === "oauth2" ? strategy.headerName : undefined;
    };
    const strategy = { ...profile.strategy, headerName: "X-Token" } as typeof profile.strategy;
    await engine.store.commit((tx) => tx.putProvider({ ...profile, strategy }));
    expect(headerOf()).toBe("X-Token");
    await engine.store.commit((tx) => tx.deleteProvider(profile.id));
    engine.changes.emit("provider", profile.id);
    expect(headerOf()).toBe("Authorization");
  });

  it("takes the connection's own strategy while the profile cannot be read", async () => {
    const { id, providerId } = await engine.connected();
    const token = engine.reader.view(id)?.token;
    expect(token).toBeDefined();
    engine.damage("providers", providerId);
    expect(engine.reader.view(id)).toMatchObject({ token, problem: undefined });
  });

  it("answers no token that has expired, to the millisecond", async () => {
    const { id } = await engine.connected();
    engine.clock.advance(hourMs - 1);
    expect(engine.reader.view(id)?.token).toBeDefined();
    engine.clock.advance(1);
    expect(engine.reader.view(id)).toMatchObject({ connection: { id }, token: undefined });
  });

  it("answers nothing for what is not there, and the problem of what has no token", async () => {
    expect(engine.reader.view(newId())).toBeUndefined();
    const { id } = await engine.connected();
    const problem = { reason: "reauth_required", sinceMs: startMs, retryAtMs: undefined } as const;
    await engine.store.commit((tx) =>
      tx.putConnection({ ...engine.get(id), status: "attention", problem, expiresAtMs: undefined }),
    );
    expect(engine.reader.view(id)).toMatchObject({ token: undefined, problem });
  });

  it.each([
    ["is missing", undefined],
    ["belongs to another connection", "other"],
  ])("calls it data loss when the credential of an active connection %s", async (_name, other) => {
    const { id } = await engine.connected();
    const stranger = other && (await engine.connection(await engine.provider(other)));
    const foreign = stranger && engine.store.getCredential(stranger.id);
    await engine.store.commit((tx) => (foreign ? tx.putCredential(id, foreign) : tx.deleteCredential(id)));
    engine.clock.advance(5);
    expect(engine.reader.view(id)).toMatchObject({
      connection: { status: "active" },
      token: undefined,
      problem: { reason: "data_loss", sinceMs: startMs + 5 },
    });
  });

  it("opens a credential once, until its connection changes", async () => {
    const { id } = await engine.connected();
    const { reader, counted } = cachedReader();
    expect(reader.cached(id)).toBeUndefined();
    const view = reader.view(id);
    expect([reader.view(id), reader.cached(id), counted.reads]).toEqual([view, view, 1]);
    expect(reader.view(id)).toBe(view);
    await engine.refreshed(id, { tokenSet: tokenSet() });
    counted.reads = 0;
    expect(reader.cached(id)).toBeUndefined();
    expect(reader.view(id)?.token?.revision).toBe(2n);
    expect([reader.view(id)?.token?.revision, counted.reads]).toEqual([2n, 1]);
  });

  it("serves no cached token after it has expired, and caches nothing that has none", async () => {
    const { id } = await engine.connected();
    const { reader, counted } = cachedReader();
    reader.view(id);
    engine.clock.advance(hourMs);
    expect(reader.cached(id)).toBeUndefined();
    expect([reader.view(id)?.token, reader.view(id)?.token, counted.reads]).toEqual([
      undefined,
      undefined,
      3,
    ]);
  });
});

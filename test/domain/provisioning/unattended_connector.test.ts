import { describe, expect, test } from "vitest";
import type { ConnectionRequest } from "../../../src/domain/consent/consent.js";
import { owner } from "../../../src/model/access/principal.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import type { ProviderProfile } from "../../../src/model/providers/provider_profile.js";
import { GrantFailure, type GrantFailureFields } from "../../../src/oauth/failure.js";
import { perTest } from "../../lifetimes.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { Engine, hourMs, type SentRefresh, tokenSet } from "../engine.js";

class Machine extends Engine {
  async machine(change: Partial<ProviderProfile> = {}): Promise<ProviderProfile> {
    const client = { tokenEndpointAuthMethod: "client_secret_post" } as const;
    const profile = { grantType: "client_credentials", authUrl: "", scopes: ["read"], ...client } as const;
    return await this.provider("op", { ...profile, ...change });
  }

  connect(change: Partial<ConnectionRequest> = {}): Promise<Connection> {
    const provider = { name: "op" };
    const all = { userId: "ada", provider, scopes: [], returnUrl: undefined, connectionId: undefined };
    const request = { ...all, ...change };
    const profile = this.unattended.profileFor(request);
    if (!profile) throw new Error("a person is needed");
    return this.unattended.connect(request, profile, owner);
  }

  /** A connection whose first token was minted. */
  async minted(change: Partial<ConnectionRequest> = {}): Promise<Connection> {
    const count = this.sent.length;
    const connected = this.connect(change);
    const sent = await this.untilSent(count + 1);
    sent.answer(minted(sent));
    return await connected;
  }

  async refused(fields: GrantFailureFields, change: Partial<ConnectionRequest> = {}) {
    const count = this.sent.length;
    const connected = this.connect(change).then(
      () => new Error("connected"),
      (error: unknown) => error,
    );
    (await this.untilSent(count + 1)).fail(new GrantFailure(fields));
    return await connected;
  }
}

function minted({ scopes }: SentRefresh) {
  return { tokenSet: tokenSet({ refreshToken: undefined, requestedScopes: scopes }) };
}

const rejections: [string, GrantFailureFields][] = [
  ["the client", { kind: "client", oauthError: "invalid_client", httpStatus: 401 }],
  ["a scope", { kind: "client", oauthError: "invalid_scope", httpStatus: 400 }],
  ["the grant", { kind: "invalid_grant", oauthError: "invalid_grant", httpStatus: 400 }],
  ["without a word", { kind: "transient", httpStatus: 403, isRefusal: true }],
  ["by a client secret that is lost", { kind: "client" }],
];
const passing: [string, GrantFailureFields][] = [
  ["is overloaded", { kind: "transient", httpStatus: 503 }],
  ["loses the answer", { kind: "ambiguous" }],
  ["stands behind a gateway that lost it", { kind: "ambiguous", httpStatus: 504 }],
  ["answers what cannot be used", { kind: "rejected", reason: "malformed_response" }],
];

describe("UnattendedConnector", () => {
  const engine = perTest(() => new Machine());

  test("mints once, and answers an active connection that the daemon renews without a refresh token", async () => {
    await engine.machine();
    const connection = await engine.minted();

    expect(connection).toMatchObject({
      status: "active",
      credentialRevision: 1n,
      refreshable: true,
      requestedScopes: ["read"],
      consentedScopes: ["read"],
      grantedScopes: ["read"],
    });
    expect(engine.sent).toHaveLength(1);
    expect(engine.refreshTokenOf(connection.id)).toBeUndefined();
    expect(engine.events(connection.id).map(({ type }) => type)).toEqual([
      "token_refreshed",
      "connection.requested",
    ]);
  });

  test("mints anew in the refresh window, with the scopes of the request", async () => {
    await engine.machine();
    const { id } = await engine.minted({ scopes: ["write", "read"] });
    engine.scheduler.start();
    engine.clock.advance(hourMs);
    const again = await engine.untilSent(2);
    expect(again).toMatchObject({ refreshToken: "", scopes: ["write", "read"] });
    again.answer(minted(again));
    expect(await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n)).toMatchObject({
      status: "active",
      problem: undefined,
    });
  });

  test("takes the connection of the name, and makes another when it was revoked", async () => {
    await engine.machine();
    const { id } = await engine.minted();
    expect(await engine.minted()).toMatchObject({ id, credentialRevision: 2n });
    expect((await engine.minted({ label: "other" })).id).not.toBe(id);
    await engine.connections.revoke(id, owner);
    expect((await engine.minted()).id).not.toBe(id);
    await expect(engine.connect({ connectionId: id })).rejects.toMatchObject({
      reason: "CONNECTION_REVOKED",
    });
  });

  test.each(rejections)(
    "says that the profile is misconfigured when the provider refuses %s",
    async (_, fields) => {
      await engine.machine();
      const error = await engine.refused(fields);
      expect(error).toMatchObject({ kind: "failed_precondition", reason: "PROVIDER_MISCONFIGURED" });
      if (fields.oauthError) expect(String(error)).toContain(fields.oauthError);

      const [connection] = engine.store.listConnections({ limit: 2 });
      expect(connection).toMatchObject({ status: "attention", problem: { reason: "misconfigured" } });
      // Nobody can consent: however often it is refused, it waits for the profile.
      for (let times = 0; times < 6; times++) {
        await engine.refused(fields, { connectionId: connection?.id });
        expect(engine.get(connection?.id ?? "").problem?.reason).toBe("misconfigured");
      }
      expect(await engine.minted()).toMatchObject({
        id: connection?.id,
        status: "active",
        problem: undefined,
      });
    },
  );

  test("says what to check when the provider refuses a client that signs", async () => {
    await engine.machine({ tokenEndpointAuthMethod: "private_key_jwt" });
    const refusal = { kind: "client", oauthError: "invalid_client", httpStatus: 401 } as const;
    const error = String(await engine.refused(refusal));
    expect(error).toContain("invalid_client");
    expect(error).toContain("client_assertion_audience of the profile's oauth2_options");
  });

  test.each(passing)("is tried again by itself when the provider %s, however often", async (_, fields) => {
    await engine.machine();
    expect(await engine.refused(fields)).toMatchObject({ kind: "unavailable" });
    const [connection] = engine.store.listConnections({ limit: 2 });
    const id = connection?.id ?? "";
    engine.scheduler.start();
    for (let times = 2; times < 6; times++) {
      expect(engine.get(id)).toMatchObject({ status: "active", problem: { reason: "refresh_failing" } });
      engine.clock.advance(hourMs);
      (await engine.untilSent(times)).fail(new GrantFailure(fields));
      await engine.until(id, ({ failedRefreshes }) => failedRefreshes === times);
    }
    engine.clock.advance(24 * hourMs);
    const sent = await engine.untilSent(6);
    sent.answer(minted(sent));
    await engine.until(id, ({ credentialRevision }) => credentialRevision === 1n);
  });

  test("keeps the scopes that the provider granted when it refuses others", async () => {
    await engine.machine();
    const { id } = await engine.minted();
    const invalidScope = { kind: "client", oauthError: "invalid_scope", httpStatus: 400 } as const;
    await engine.refused(invalidScope, { scopes: ["everything"] });
    expect(engine.get(id)).toMatchObject({
      status: "active",
      requestedScopes: ["read"],
      credentialRevision: 1n,
    });
    engine.scheduler.start();
    engine.clock.advance(hourMs);
    expect(await engine.untilSent(3)).toMatchObject({ scopes: ["read"] });
  });

  test("asks again when the mint that it shares had named other scopes", async () => {
    await engine.machine();
    const { id } = await engine.minted();
    const first = engine.connect();
    const shared = await engine.untilSent(2);
    const second = engine.connect({ connectionId: id, scopes: ["write"] });
    await engine.until(id, ({ requestedScopes }) => requestedScopes[0] === "write");
    shared.answer(minted(shared));
    const again = await engine.untilSent(3);
    expect(again.scopes).toEqual(["write"]);
    again.answer(minted(again));
    expect(await second).toMatchObject({ consentedScopes: ["write"] });
    await first;
  });

  test("ends a token that belongs to a client that the profile no longer names, and mints another", async () => {
    const { id: providerId } = await engine.machine({ tokenEndpointAuthMethod: "client_secret_post" });
    const { id } = await engine.minted();
    await engine.store.commit((tx) => {
      const profile = tx.getProvider(providerId);
      if (!profile) throw new Error("no profile");
      const secret = engine.vault.sealClientSecret(
        { id: providerId, version: profile.version },
        tokenSet().accessToken,
      );
      tx.putProvider({ ...profile, clientSecret: secret });
    });
    engine.scheduler.start();
    const settings = { clientId: "another" };
    const { partedConnections } = await engine.providers.update(providerId, { settings }, undefined, owner);
    expect(partedConnections).toBe(0);
    expect(engine.reader.view(id)?.token).toBeUndefined();
    const sent = await engine.untilSent(2);
    sent.answer(minted(sent));
    expect(await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n)).toMatchObject({
      status: "active",
    });
  });

  test("asks once for the scopes that an API said are missing", async () => {
    await engine.machine();
    const { id } = await engine.minted();
    const stepUp = { scopes: ["write"], attempts: 1, lastAtMs: engine.clock.nowMs(), wanted: true };
    await engine.minted({ connectionId: id, scopes: ["read", "write"], stepUp });
    expect(engine.get(id)).toMatchObject({
      stepUp: { wanted: false, attempts: 1 },
      requestedScopes: ["read", "write"],
    });
  });

  test("refuses another grant type for a profile that is there", async () => {
    const { id } = await engine.machine({ tokenEndpointAuthMethod: "client_secret_post" });
    const settings = { grantType: "authorization_code" } as const;
    await expect(engine.providers.update(id, { settings }, undefined, owner)).rejects.toMatchObject({
      violations: [{ field: "provider.grant_type" }],
    });
  });

  test("mints after a crash what was asked for before it, without doubt about what was sent", async () => {
    const folder = temporaryFolder();
    const before = new Machine(folder);
    await before.machine();
    const lost = before.connect().catch((error: unknown) => error);
    await before.untilSent(1);
    await before.close();
    await lost;

    const after = new Machine(folder);
    try {
      const [connection] = after.store.listConnections({ limit: 2 });
      const id = connection?.id ?? "";
      expect(connection).toMatchObject({ refreshIntent: { credentialRevision: 0n, sends: 1 } });
      after.scheduler.start();
      after.clock.advance(30_000);
      const sent = await after.untilSent(1);
      sent.answer(minted(sent));
      const minting = await after.until(id, ({ credentialRevision }) => credentialRevision === 1n);
      expect(minting).toMatchObject({ status: "active", refreshIntent: undefined });
    } finally {
      await after.close();
    }
  });

  test("needs a user id and a provider that needs no person", async () => {
    await engine.machine();
    await expect(engine.connect({ userId: "" })).rejects.toMatchObject({
      violations: [{ field: "user_id" }],
    });
    await engine.provider("people", {});
    expect(() => engine.connect({ provider: { name: "people" } })).toThrow("a person is needed");
  });
});

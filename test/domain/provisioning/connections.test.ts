import { beforeEach, describe, expect, it } from "vitest";
import { admin, owner } from "../../../src/model/access/principal.js";
import { FailedPrecondition, InvalidArgument, NotFound } from "../../../src/model/errors.js";
import { newId } from "../../../src/model/ids.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import type { ProviderProfile } from "../../../src/model/providers/provider_profile.js";
import { perTest } from "../../lifetimes.js";
import { Engine, startMs, tokenSet } from "../engine.js";

describe("Connections", () => {
  const engine = perTest(() => new Engine());
  let profile: ProviderProfile;
  beforeEach(async () => {
    const revocationUrl = "https://op.example/revoke";
    profile = await engine.provider("op", { scopes: ["read"], oauth2: { ...plainOAuth2, revocationUrl } });
  });
  const types = (id: string) => engine.events(id).map(({ type, principal }) => [type, principal]);
  const pendingState = (id: string) => engine.get(id).pendingStateHash ?? "none";

  describe("requested", () => {
    it("are pending, on record, and lead to the page that begins the consent", async () => {
      const requested = await engine.request();
      const { connectionId: id, state, authUrl } = requested;
      expect(authUrl).toBe(`http://localhost:8080/auth/start?state=${state}`);
      expect(requested).toMatchObject({ scopes: ["read"], providerId: profile.id });
      expect(requested.expiresAtMs).toBe(engine.get(id).requestExpiresAtMs);
      expect(engine.get(id)).toMatchObject({ status: "pending", userId: "ada", requestedScopes: ["read"] });
      expect(engine.store.getAuthorization(pendingState(id))).toMatchObject({
        connectionId: id,
        redirectUri: "http://localhost:8080/auth/callback/op",
        requestedBy: "owner",
      });
      expect(types(id)).toEqual([["connection.requested", "owner"]]);
    });

    it("again keep their id and their token, and let the state of before go", async () => {
      const { id } = await engine.connection(profile);
      const first = await engine.request({ connectionId: id });
      const stale = pendingState(id);
      const second = await engine.request({ connectionId: id, scopes: ["write"] });
      expect(second).toMatchObject({ connectionId: id, scopes: ["write"] });
      expect(second.state).not.toBe(first.state);
      expect(engine.store.getAuthorization(stale)).toBeUndefined();
      expect(engine.get(id)).toMatchObject({ status: "active", credentialRevision: 1n });
      expect(engine.reader.view(id)?.token?.revision).toBe(1n);
    });

    it.each([
      ["no user", { userId: "" }, InvalidArgument, "user_id"],
      ["no provider", { provider: undefined }, InvalidArgument, "provider"],
      ["an unknown name", { provider: { name: "nobody" } }, NotFound, "provider"],
      ["an unknown id", { provider: { id: newId() } }, NotFound, "provider"],
      ["an unknown connection", { connectionId: newId() }, NotFound, "connection"],
      ["a script to return to", { returnUrl: "javascript:alert(1)" }, InvalidArgument, "return_url"],
      ["a return URL elsewhere", { returnUrl: "https://evil.example/" }, InvalidArgument, "return_url"],
      ["a confirmation without a way back", { requireConfirmation: true }, InvalidArgument, "return_url"],
    ])("with %s are refused, and nothing is stored", async (_name, request, kind, says) => {
      const before = engine.store.settledRevision;
      const refused = engine.request(request);
      await expect(refused).rejects.toThrow(kind);
      await expect(refused).rejects.toThrow(says);
      expect(engine.store.settledRevision).toBe(before);
    });

    it.each([
      ["user", { userId: "eve" }],
      ["provider", { provider: { name: "other" } }],
    ])("again for another %s are refused", async (_name, request) => {
      await engine.provider("other");
      const { id } = await engine.connection(profile);
      await expect(engine.request({ connectionId: id, ...request })).rejects.toThrow(InvalidArgument);
      expect(engine.get(id).pendingStateHash).toBeUndefined();
    });

    it("again go to the profile that was registered anew under the name, or say that there is none", async () => {
      const { id } = await engine.connection(profile);
      await engine.store.commit((tx) => tx.deleteProvider(profile.id));
      const orphaned = engine.request({ connectionId: id, provider: undefined });
      await expect(orphaned).rejects.toMatchObject({ reason: "PROVIDER_DELETED" });
      const anew = await engine.provider("op");
      const { providerId } = await engine.request({ connectionId: id, provider: undefined });
      expect(providerId).toBe(anew.id);
    });
  });

  describe("revoked", () => {
    it("lose their token and keep their record, and the provider is to be told", async () => {
      const { id } = await engine.connection(profile);
      const revoked = await engine.connections.revoke(id, owner);
      expect(revoked).toMatchObject({ id, status: "revoked", providerRevocation: "pending" });
      expect(revoked).toMatchObject({ refreshable: false, expiresAtMs: undefined, updatedAtMs: startMs });
      expect(engine.store.getCredential(id)).toBeUndefined();
      expect(engine.store.revocations.due(2)).toHaveLength(1);
      expect(types(id)[0]).toEqual(["connection.revoked", "owner"]);
      await expect(engine.request({ connectionId: id })).rejects.toThrow(FailedPrecondition);
    });

    it("stay as they are when they are revoked again", async () => {
      const { id } = await engine.connection(profile);
      const first = await engine.connections.revoke(id, owner);
      const events = engine.events(id);
      engine.clock.advance(1_000);
      expect(await engine.connections.revoke(id, admin)).toEqual(first);
      expect(engine.events(id)).toEqual(events);
      expect(engine.store.revocations.due(2)).toHaveLength(1);
    });

    it("before a person consented end the consent, and there is nothing to revoke", async () => {
      const { connectionId: id, state } = await engine.request();
      const revoked = await engine.connections.revoke(id, owner);
      expect(revoked).toMatchObject({ status: "revoked", providerRevocation: "not_needed" });
      expect(revoked.pendingStateHash).toBeUndefined();
      await expect(engine.finish(state)).rejects.toThrow();
      expect(engine.store.revocations.due(2)).toEqual([]);
    });

    it("while they are refreshed drop the answer", async () => {
      const { id } = await engine.connection(profile);
      const refreshed = engine.refresher.refresh(id);
      const request = await engine.untilSent(1);
      await engine.connections.revoke(id, owner);
      request.answer({ tokenSet: tokenSet() });
      expect(await refreshed).toBe("superseded");
      expect(engine.get(id)).toMatchObject({ status: "revoked", credentialRevision: 1n });
      expect(engine.store.getCredential(id)).toBeUndefined();
    });
  });

  describe("deleted", () => {
    it("are gone with their token, whose provider is to be told, and leave their record in the audit", async () => {
      const { id } = await engine.connection(profile);
      expect(engine.connections.get(id).status).toBe("active");
      await engine.connections.delete(id, admin);
      expect(() => engine.connections.get(id)).toThrow(NotFound);
      expect(engine.store.getCredential(id)).toBeUndefined();
      expect(engine.store.revocations.due(2)).toHaveLength(1);
      expect(types(id)[0]).toEqual(["connection.deleted", "admin"]);
    });

    it("while a person is asked end the consent", async () => {
      const { connectionId: id } = await engine.request();
      const stateHash = pendingState(id);
      await engine.connections.delete(id, owner);
      expect(engine.store.getAuthorization(stateHash)).toBeUndefined();
    });
  });

  it.each(["revoke", "delete"] as const)("cannot %s what is not there", async (verb) => {
    await expect(engine.connections[verb](newId(), owner)).rejects.toThrow(NotFound);
  });
});

import { beforeEach, describe, expect, it } from "vitest";
import { GrantMoved, TokenEndpointClient } from "../../../src/domain/token_endpoint/token_endpoint_client.js";
import { problemSentence } from "../../../src/model/connections/connection.js";
import { grantBinding } from "../../../src/model/connections/grant_binding.js";
import type { ClientRegistration } from "../../../src/model/credentials/client_registration.js";
import type { Credential } from "../../../src/model/credentials/credential.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import type { ProviderProfile, ProviderSettings } from "../../../src/model/providers/provider_profile.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { Secret } from "../../../src/runtime/secret.js";
import { coreSources } from "../../fakes/core_sources.js";
import { perTest } from "../../lifetimes.js";
import { Engine, tokenSet } from "../engine.js";

const engine = perTest(() => new Engine());
let profile: ProviderProfile;
const owner = { name: "owner" };

beforeEach(async () => {
  profile = await engine.provider("op", { issuer: "https://op.example" });
});

const edit = (settings: Partial<ProviderSettings>) =>
  engine.providers.update(profile.id, { settings }, undefined, owner as never);
const otherEndpoint = { tokenUrl: "https://evil.example/token" };
const home = { tokenUrl: "https://op.example/token" };

describe("an edit that leads elsewhere", () => {
  it.each<[name: string, settings: Partial<ProviderSettings>]>([
    ["token URL", otherEndpoint],
    ["token URL, the path alone", { tokenUrl: "https://op.example/other" }],
    ["issuer", { issuer: "https://evil.example" }],
    ["client", { clientId: "another" }],
    ["refresh URL", { oauth2: { ...plainOAuth2, refreshUrl: "https://evil.example/r" } }],
    [
      "revocation URL at another origin",
      { oauth2: { ...plainOAuth2, revocationUrl: "https://evil.example/r" } },
    ],
    ["token URL, beside discovery", { enableDiscovery: true, ...otherEndpoint }],
    ["discovery", { enableDiscovery: true, issuer: "https://evil.example", authUrl: "", tokenUrl: "" }],
  ])("%s: parts the connections, and says how many", async (_name, settings) => {
    const [one, two] = [await engine.connection(profile), await engine.connection(profile)];
    const other = await engine.connection(await engine.provider("other"));
    const { partedConnections } = await edit(settings);
    expect(partedConnections).toBe(2);
    for (const { id } of [one, two]) {
      expect(engine.get(id)).toMatchObject({ status: "attention", problem: { reason: "reauth_required" } });
      expect(await engine.refresher.refresh(id)).toBe("not_refreshable");
      expect(engine.reader.view(id)?.token).toBeUndefined();
    }
    expect(engine.get(other.id).status).toBe("active");
    expect(engine.sent).toHaveLength(0);
  });

  it.each<[name: string, settings: Partial<ProviderSettings>]>([
    ["description", { description: "x" }],
    ["scopes", { scopes: ["write"] }],
    ["authorization URL", { authUrl: "https://op.example/other" }],
    ["JWKS", { jwksUrl: "https://op.example/jwks" }],
    ["API", { apiBaseUrl: "https://api.example" }],
    ["the same in other letters", { tokenUrl: "https://OP.example:443/token" }],
    ["revocation URL at home", { oauth2: { ...plainOAuth2, revocationUrl: "https://op.example/revoke" } }],
  ])("is not one of the %s: nothing happens", async (_name, settings) => {
    const { id } = await engine.connection(profile);
    const before = engine.get(id);
    expect((await edit(settings)).partedConnections).toBe(0);
    expect(engine.get(id)).toEqual(before);
    expect(await engine.refreshed(id, { tokenSet: tokenSet() })).toBe("refreshed");
  });

  it("is healed by setting it back, and by nothing less", async () => {
    const { id } = await engine.connection(profile);
    const refreshToken = engine.refreshTokenOf(id);
    await edit(otherEndpoint);
    await edit({ tokenUrl: "https://third.example/token" });
    expect(engine.get(id).status).toBe("attention");
    await edit(home);
    expect(engine.get(id)).toMatchObject({ status: "active", problem: undefined });
    expect(await engine.refreshed(id, { tokenSet: tokenSet() })).toBe("refreshed");
    expect(engine.sent[0]?.refreshToken).toBe(refreshToken);
  });

  it("does not bring back what was lost for another reason", async () => {
    const { id } = await engine.connection(profile);
    expect(await engine.refreshed(id, { kind: "invalid_grant" })).toBe("attention");
    expect((await edit(otherEndpoint)).partedConnections).toBe(0);
    await edit(home);
    expect(engine.get(id).status).toBe("attention");
  });

  it("says whether the profile may be set back, or nexusd registered another client by itself", async () => {
    const said = async (change: Parameters<typeof engine.providers.update>[1]): Promise<string> => {
      const { id } = await engine.connection(profile);
      ({ profile } = await engine.providers.update(profile.id, change, undefined, owner as never));
      const { problem } = engine.get(id);
      return problem === undefined ? "" : problemSentence(problem);
    };
    expect(await said({ settings: { clientId: "another" } })).toContain(
      "or the profile must be changed back.",
    );
    const registration: ClientRegistration = {
      kind: "dynamic",
      issuer: profile.issuer,
      registeredAtMs: 1,
      secretExpiresAtMs: undefined,
      configurationUrl: undefined,
      accessToken: undefined,
    };
    const healed = await said({ settings: { clientId: "registered" }, registration });
    expect(healed).toContain("nexusd registered this client by itself");
    expect(healed).not.toContain("changed back");
  });

  it("leaves a record of each connection in the audit log", async () => {
    const { id } = await engine.connection(profile);
    await edit(otherEndpoint);
    await edit(home);
    const { events } = engine.store.listAuditEvents({ limit: 10, connectionId: id });
    expect(events.map(({ event }) => event.type)).toEqual(["grant_returned", "grant_detached"]);
  });
});

describe("a refresh that is under way", () => {
  it("when the profile is led elsewhere keeps its answer, for when the profile is set back", async () => {
    const { id } = await engine.connection(profile);
    const refreshing = engine.refresher.refresh(id);
    await engine.untilSent(1);
    await edit(otherEndpoint);
    const rotated = tokenSet();
    engine.sent[0]?.answer({ tokenSet: rotated });
    await refreshing;
    expect(engine.get(id)).toMatchObject({
      status: "attention",
      problem: { reason: "reauth_required", movedFrom: grantBinding(profile) },
      credentialRevision: 2n,
    });
    expect(engine.refreshTokenOf(id)).toBe(rotated.refreshToken?.reveal());

    await edit(home);
    expect(engine.get(id).status).toBe("active");
    expect(await engine.refreshed(id, { tokenSet: tokenSet() })).toBe("refreshed");
    expect(engine.sent[1]?.refreshToken).toBe(rotated.refreshToken?.reveal());
  });

  it("whose answer is lost keeps its mark, so that the token is tried once more and no oftener", async () => {
    const { id } = await engine.connection(profile);
    const refreshing = engine.refresher.refresh(id);
    await engine.untilSent(1);
    await edit(otherEndpoint);
    engine.sent[0]?.fail(new GrantFailure({ kind: "ambiguous" }));
    expect(await refreshing).toBe("superseded");
    await edit(home);
    expect(engine.get(id).refreshIntent).toMatchObject({ sends: 1 });
    expect(await engine.refreshed(id, { kind: "invalid_grant" })).toBe("attention");
    expect(engine.get(id).problem?.reason).toBe("outcome_unknown");
  });
});

describe("a credential is bound to whom it was given", () => {
  it("and not sent by the engine when the profile differs, however that came about", async () => {
    const { id } = await engine.connection(profile);
    // Not by the registry: as if somebody had written into the store.
    await engine.store.commit((tx) => tx.putProvider({ ...profile, ...otherEndpoint, version: 2n }));
    expect(await engine.refresher.refresh(id)).toBe("attention");
    expect(engine.sent).toHaveLength(0);
    expect(engine.get(id).problem).toMatchObject({
      reason: "reauth_required",
      movedFrom: grantBinding(profile),
    });
  });

  it("and not sent by any other path", async () => {
    const sent: string[] = [];
    const grants = new TokenEndpointClient({
      sources: coreSources,
      vault: engine.vault,
      clock: engine.clock,
      outbound: async (url) => {
        sent.push(url);
        return new Response("{}");
      },
    });
    const moved = { ...profile, ...otherEndpoint };
    const common = {
      server: manualAuthorizationServer(moved),
      profile: moved,
      boundTo: grantBinding(profile),
    };
    const refreshToken = new Secret("r");
    const nobody = { subject: undefined, userId: "ada", label: "" };
    const asked = { refreshToken, ...nobody, scopes: [], grantedScopes: [], dpopKey: undefined };
    await expect(grants.refresh({ ...common, ...asked })).rejects.toThrow(GrantMoved);
    const revocation = {
      ...common,
      endpoint: "https://evil.example/r",
      token: refreshToken,
      tokenTypeHint: "refresh_token" as const,
      signal: new AbortController().signal,
    };
    await expect(grants.revoke(revocation)).rejects.toThrow(GrantMoved);
    expect(sent).toEqual([]);
  });

  it("and one of an older store goes with the profile as it is", async () => {
    const { id } = await engine.connection(profile);
    const current = engine.get(id);
    const { binding, ...older } = engine.credentialOf(id) as Credential;
    expect(binding).toBe(grantBinding(profile));
    const sealed = engine.vault.sealCredential(current, current.credentialRevision, older);
    await engine.store.commit((tx) => tx.putCredential(id, sealed));
    expect(await engine.refreshed(id, { tokenSet: tokenSet() })).toBe("refreshed");
    expect(engine.credentialOf(id)?.binding).toBe(binding);
  });
});

import { describe, expect, it } from "vitest";
import { registrationPlace } from "../../../src/domain/connections/credential_vault.js";
import { owner } from "../../../src/model/access/principal.js";
import type { ClientRegistration } from "../../../src/model/credentials/client_registration.js";
import { AlreadyExists } from "../../../src/model/errors.js";
import { Secret } from "../../../src/runtime/secret.js";
import { perTest } from "../../lifetimes.js";
import { Engine, startMs } from "../engine.js";

describe("ProviderRegistry", () => {
  const engine = perTest(() => new Engine());

  it("ends no consent under way when a server gives a client another registration access token", async () => {
    const at = (registeredAtMs: number): ClientRegistration => ({
      kind: "dynamic",
      issuer: "",
      registeredAtMs,
      secretExpiresAtMs: undefined,
      configurationUrl: "https://op.example/register/c",
      accessToken: engine.vault.sealToken(registrationPlace("p", registeredAtMs), new Secret("rat")),
    });
    const profile = await engine.provider("op", { id: "p", registration: at(startMs) });
    const { state } = await engine.request();
    const { clientId } = profile;
    const change = { settings: { clientId }, registration: at(startMs + 1) };
    const { profile: after } = await engine.providers.update("p", change, profile.version, owner);
    expect(after).toMatchObject({ version: profile.version, registration: change.registration });
    expect(engine.store.getProvider("p")?.registration?.registeredAtMs).toBe(startMs + 1);
    expect((await engine.completer.start(state)).kind).toBe("redirect");
    const other = { ...change, settings: { clientId: "another" } };
    const changed = await engine.providers.update("p", other, profile.version, owner);
    expect(changed.profile.version).toBe(profile.version + 1n);
    expect((await engine.completer.start(state)).kind).toBe("provider_changed");
  });

  it("keeps a reserved name for the profile that is about to be made", async () => {
    await engine.provider("op", { id: "p" });
    const { providers } = engine;
    const reserved = providers.reserve("mcp");
    expect([providers.isFree("mcp"), providers.isFree("mcp-2"), providers.isFree("op")]).toEqual([
      false,
      true,
      false,
    ]);
    expect(() => providers.reserve("mcp")).toThrow(AlreadyExists);
    const renamed = providers.update("p", { settings: { name: "mcp" } }, undefined, owner);
    await expect(renamed).rejects.toThrow("is being registered");
    providers.release(reserved);
    expect(providers.isFree("mcp")).toBe(true);
    await providers.update("p", { settings: { name: "mcp" } }, undefined, owner);
  });
});

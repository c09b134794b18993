import { describe, expect, it } from "vitest";
import { ProviderRegistry } from "../../../src/domain/profiles/provider_registry.js";
import type { GrantTypeRow } from "../../../src/domain/token_endpoint/grant_type.js";
import { GrantTypes, TokenSources } from "../../../src/domain/token_endpoint/grant_types.js";
import { owner } from "../../../src/model/access/principal.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { perTest } from "../../lifetimes.js";
import { aProfile, plainSettings } from "../../samples.js";
import { Engine } from "../engine.js";

const settings = {
  ...{ ...plainSettings, grantType: "jwt_bearer" as const, tokenEndpointAuthMethod: "none" as const },
  ...{ tokenUrl: "https://op.example/token", clientKeySource: "" },
};

describe("a grant type", () => {
  const engine = perTest(() => new Engine());
  const opened: string[] = [];
  const row: GrantTypeRow = {
    name: "jwt_bearer",
    load: async () => ({
      violations: (_, violation) => violation("scopes", "are never right"),
      open: () => {
        opened.push("jwt_bearer");
        return { renew: () => Promise.reject(new Error("not here")) };
      },
    }),
  };
  const registryOf = (rows: readonly GrantTypeRow[]) =>
    new ProviderRegistry({ ...engine, networks: loopbackNetworks, grantTypes: new GrantTypes(rows) });
  const sourcesOf = (rows: readonly GrantTypeRow[]) =>
    new TokenSources({
      ...{ types: new GrantTypes(rows), store: engine.store },
      parts: () => ({}) as never,
    });

  it("that no row has is refused when a profile names it, and when a connection needs a token", async () => {
    const refused = registryOf([]).check(settings, true);
    await expect(refused).rejects.toMatchObject({
      violations: [{ field: "provider.grant_type", description: expect.stringContaining("jwt_bearer") }],
    });
    await expect(sourcesOf([]).of(settings.grantType)).rejects.toMatchObject({
      kind: "client",
      message: expect.stringContaining("is not part of this build of nexusd"),
    });
  });

  it("finds errors of a profile beside those that every profile may have", async () => {
    const created = registryOf([row]).create({ ...settings, name: "NO" }, undefined, owner);
    const fields = ["provider.name", "provider.client_secret", "provider.scopes"].map((field) => ({ field }));
    await expect(created).rejects.toMatchObject({
      violations: expect.arrayContaining(fields.map((each) => expect.objectContaining(each))),
    });
  });

  it("is opened once, when a connection first needs it", async () => {
    const sources = sourcesOf([row]);
    expect(opened).toEqual([]);
    const profile = aProfile(settings);
    expect(await sources.of(profile.grantType)).toBe(await sources.of(profile.grantType));
    expect(opened).toEqual(["jwt_bearer"]);
  });

  it("of the core has no basis, which is known at once", async () => {
    const { id } = await engine.connected();
    expect(sourcesOf([]).toRenew(id)).toBeUndefined();
    expect(await sourcesOf([]).hasBasis(aProfile({}), { userId: "ada", label: "" })).toBe(true);
  });

  it("that takes id_tokens is needed to import one", async () => {
    const request = { userId: "ada", label: "" } as never;
    await expect(
      sourcesOf([]).importIdToken(aProfile({}), request, "t" as never, owner),
    ).rejects.toMatchObject({ violations: [expect.objectContaining({ field: "id_token" })] });
  });
});

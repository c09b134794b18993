import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RedirectPaths } from "../../src/domain/redirect_paths.js";
import type { ProviderProfile } from "../../src/model/provider_profile.js";
import { Engine } from "./engine.js";

const shared = "/auth/callback";

describe("the redirect path of a profile", () => {
  let engine: Engine;
  let paths: RedirectPaths;
  beforeEach(() => {
    engine = new Engine();
    paths = new RedirectPaths(engine);
  });
  afterEach(() => engine.close());
  const discovered = (name: string, change: Partial<ProviderProfile> = {}) =>
    engine.provider(name, { issuer: "https://op.example", enableDiscovery: true, ...change });

  it("is the shared one only where iss is announced", async () => {
    expect(paths.choose(await engine.provider("manual"), undefined, true)).toBe(`${shared}/manual`);
    expect(paths.choose(await discovered("a"), undefined, true)).toBe(shared);
    expect(paths.choose(await discovered("b"), undefined, false)).toBe(`${shared}/b`);
    expect(paths.choose(await engine.provider("key", { authType: "api_key" }), undefined, true)).toBe(
      undefined,
    );
  });

  it("stays, and is asked for again only where iss decides and the issuer changed", async () => {
    const own = await discovered("own", { redirectPath: `${shared}/own` });
    expect(paths.choose({ ...own, issuer: "https://other.example" }, own, true)).toBe(`${shared}/own`);
    const sharing = await discovered("op", { redirectPath: shared });
    expect(paths.choose({ ...sharing, scopes: ["x"] }, sharing, false)).toBe(shared);
    const moved = { ...sharing, issuer: "https://other.example" };
    expect(paths.choose(moved, sharing, true)).toBe(shared);
    expect(paths.choose(moved, sharing, false)).toBe(`${shared}/op`);
    const old = await engine.provider("old");
    expect(paths.choose({ ...old, issuer: "https://other.example" }, old, true)).toBeUndefined();
    expect(paths.choose(old, old, true, true)).toBe(`${shared}/old`);
  });

  it("is nobody else's, whatever the names became", async () => {
    const first = await engine.provider("acme-2", { redirectPath: `${shared}/acme` });
    const second = await engine.provider("acme");
    expect(paths.free(second)).toBe(`${shared}/acme-2`);
    expect(paths.free({ ...first, name: "acme" })).toBe(`${shared}/acme`);
    paths.deleted(first);
    expect(paths.free(second)).toBe(`${shared}/acme`);
  });

  it("does not wait for a document that does not come", async () => {
    const profile = await discovered("op");
    const silent = new RedirectPaths({
      ...engine,
      store: engine.store,
      clock: engine.clock,
      servers: { resolve: () => new Promise(() => {}) },
    });
    const announced = silent.announcesIssuer(profile);
    engine.clock.advance(3_000);
    expect(await announced).toBe(true);
  });
});

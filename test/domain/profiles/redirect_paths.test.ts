import { describe, expect, it } from "vitest";
import { RedirectPaths } from "../../../src/domain/profiles/redirect_paths.js";
import { perTest } from "../../lifetimes.js";
import { Engine } from "../engine.js";

const path = (name: string): string => `/auth/callback/${name}`;

describe("the redirect path of a profile", () => {
  const engine = perTest(() => new Engine());
  const paths = perTest(() => new RedirectPaths(engine));

  it("is made of the name, and taken twice the same", () => {
    const profile = { id: "1", name: "acme" };
    expect(paths.free("acme")).toBe(path("acme"));
    expect(paths.take(profile.id, profile.name)).toBe(path("acme"));
    expect(paths.take(profile.id, profile.name)).toBe(path("acme"));
    expect(paths.free("acme")).toBe(path("acme-2"));
  });

  it("is nobody else's, whatever the names became", async () => {
    const renamed = await engine.provider("renamed", { redirectPath: path("acme") });
    await engine.provider("key", { authType: "api_key", redirectPath: "" });
    expect(paths.take("2", "acme")).toBe(path("acme-2"));
    expect(paths.take("3", "acme-2")).toBe(path("acme-2-2"));
    expect(paths.take("4", "acme")).toBe(path("acme-3"));
    paths.release(renamed.id);
    expect(paths.free("acme")).toBe(path("acme"));
    paths.release("2");
    expect(paths.free("acme-2")).toBe(path("acme-2"));
  });

  it("is one for all new profiles where that is asked for, and those with one of their own keep it", async () => {
    const own = await engine.provider("own", { redirectPath: path("own") });
    const sharing = new RedirectPaths({ store: engine.store, sharedRedirectUri: true });
    expect(sharing.free("acme")).toBe("/auth/callback");
    expect(sharing.take("1", "acme")).toBe("/auth/callback");
    expect(sharing.take("2", "other")).toBe("/auth/callback");
    sharing.release("1");
    expect(engine.store.getProvider(own.id)?.redirectPath).toBe(path("own"));
    await engine.provider("shared", { redirectPath: "/auth/callback" });
    expect(new RedirectPaths(engine).free("shared")).toBe(path("shared"));
  });
});

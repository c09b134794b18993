import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RedirectPaths } from "../../src/domain/redirect_paths.js";
import { Engine } from "./engine.js";

const path = (name: string): string => `/auth/callback/${name}`;

describe("the redirect path of a profile", () => {
  let engine: Engine;
  let paths: RedirectPaths;
  beforeEach(() => {
    engine = new Engine();
    paths = new RedirectPaths(engine);
  });
  afterEach(() => engine.close());

  it("is made of the name, and taken twice the same", () => {
    const profile = { id: "1", name: "acme" };
    expect(paths.free("acme")).toBe(path("acme"));
    expect(paths.take(profile)).toBe(path("acme"));
    expect(paths.take(profile)).toBe(path("acme"));
    expect(paths.free("acme")).toBe(path("acme-2"));
  });

  it("is nobody else's, whatever the names became", async () => {
    const renamed = await engine.provider("renamed", { redirectPath: path("acme") });
    await engine.provider("key", { authType: "api_key", redirectPath: "" });
    expect(paths.take({ id: "2", name: "acme" })).toBe(path("acme-2"));
    expect(paths.take({ id: "3", name: "acme-2" })).toBe(path("acme-2-2"));
    expect(paths.take({ id: "4", name: "acme" })).toBe(path("acme-3"));
    paths.release(renamed.id);
    expect(paths.free("acme")).toBe(path("acme"));
    paths.release("2");
    expect(paths.free("acme-2")).toBe(path("acme-2"));
  });
});

import { describe, expect, it } from "vitest";
import { canonicalTarget, climbs, readingsOf } from "../../../src/model/access/canonical_request.js";
import { climbingPaths, deniedPaths, free, samePaths, secondPaths } from "./spellings.js";

describe("the canonical form of a request", () => {
  it.each([...secondPaths, ...climbingPaths, free])("has no path for %s, and leaves it as it is", (path) => {
    expect(canonicalTarget(`/v1${path}?q=%61`)).toEqual({
      ...{ path: undefined, target: `/v1${path}?q=%61`, unclear: expect.any(String) },
    });
  });

  it.each(samePaths)("of %s is %s", (path, canonical) => {
    const { target, unclear } = canonicalTarget(`/v1${path}`);
    expect([target, unclear]).toEqual([`/v1${canonical}`, undefined]);
    expect(canonicalTarget(target).target).toBe(target);
  });

  it.each(deniedPaths)("of %s is below /v1/admin", (path) => {
    const { path: canonical } = canonicalTarget(`/v1${path}`);
    expect(canonical?.startsWith("/v1/admin")).toBe(true);
  });

  it("has the path decoded beside it, where a delimiter is encoded", () => {
    expect(canonicalTarget("/v1/a%3adelete")).toMatchObject({
      path: "/v1/a%3Adelete",
      decoded: "/v1/a:delete",
    });
    expect(canonicalTarget("/v1/a:delete")).not.toHaveProperty("decoded");
  });

  it.each(climbingPaths)("%s climbs to some server", (path) => {
    expect(readingsOf(`/v1${path}`).some(climbs)).toBe(true);
  });

  it.each(["/a..b/.c/..d/e./f..", "/...", "/caf%C3%A9", "/a..%20b", "/%e0%a4%85", "/%C0", free])(
    "%s climbs to nobody",
    (path) => expect(readingsOf(path).some(climbs)).toBe(false),
  );
});

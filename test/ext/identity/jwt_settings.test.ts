import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import { identity } from "../../../src/ext/identity/extension.js";
import { jwtSettings } from "../../../src/ext/identity/jwt_settings.js";
import { violationsIn } from "../../config/violations.js";

const load = (env: Record<string, string>) =>
  jwtSettings.of(loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }, [identity]));

const violationsOf = (env: Record<string, string>) => violationsIn(() => load(env));

describe("JWT", () => {
  const claims = { NEXUS_JWT_ISSUER: "https://k8s.example", NEXUS_JWT_AUDIENCE: "nexusd" };

  it("is off by default, and finds the keys by discovery, at a URL or in a file", () => {
    expect(load({})).toBeUndefined();
    expect(load(claims)?.lone).toMatchObject({ keys: { from: "discovery", issuer: "https://k8s.example" } });
    const url = "https://10.0.0.1:6443/openid/v1/jwks?a=b";
    expect(load({ ...claims, NEXUS_JWT_JWKS_URL: url })?.lone).toMatchObject({ keys: { from: "url", url } });
    expect(
      load({ ...claims, NEXUS_JWT_ISSUER: "kubernetes/serviceaccount", NEXUS_JWT_JWKS_FILE: "/j" })?.lone,
    ).toMatchObject({ keys: { from: "file", path: "/j" }, issuer: "kubernetes/serviceaccount" });
  });

  it("takes a file with issuers alone, or beside one", () => {
    const file = { NEXUS_JWT_ISSUERS_FILE: "/issuers.yaml" };
    expect(load(file)).toEqual({ lone: undefined, file: "/issuers.yaml", allowLoopback: false });
    expect(load({ ...file, ...claims })).toMatchObject({
      lone: { audience: "nexusd" },
      file: "/issuers.yaml",
    });
  });

  it("takes http on loopback where that is allowed", () => {
    const env = { ...claims, NEXUS_JWT_ISSUER: "http://127.0.0.1:9000" };
    expect(violationsOf(env)).toHaveLength(1);
    expect(violationsOf({ ...env, NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true" })).toEqual([]);
  });

  it.each([
    [{ NEXUS_JWT_ISSUER: "https://k8s.example" }, "NEXUS_JWT_AUDIENCE: is needed beside NEXUS_JWT_ISSUER"],
    [{ NEXUS_JWT_AUDIENCE: "nexusd" }, "NEXUS_JWT_ISSUER: is needed beside NEXUS_JWT_AUDIENCE"],
    [{ NEXUS_JWT_CA_FILE: "/ca" }, "NEXUS_JWT_ISSUER: is needed beside NEXUS_JWT_CA_FILE"],
    [{ ...claims, NEXUS_JWT_ISSUER: "http://k8s.example" }, "must be an https URL"],
    [{ ...claims, NEXUS_JWT_ISSUER: "k8s" }, "must be an https URL"],
    [{ ...claims, NEXUS_JWT_ISSUER: "https://u:p4ss@k8s.example" }, "must not hold a user name"],
    [{ ...claims, NEXUS_JWT_JWKS_URL: "http://k8s.example" }, "must be an https URL"],
    [{ ...claims, NEXUS_JWT_JWKS_URL: "https://a", NEXUS_JWT_JWKS_FILE: "/b" }, "are both set"],
  ])("refuses %j", (env, text) => {
    const violations = violationsOf(env as Record<string, string>).join();
    expect(violations).toContain(text);
    expect(violations).not.toContain("p4ss");
  });
});

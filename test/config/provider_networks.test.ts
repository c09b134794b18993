import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { ConfigError } from "../../src/config/setting_reader.js";

const networksOf = (env: Record<string, string>) =>
  loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }).providerNetworks;

function violationsOf(env: Record<string, string>): readonly string[] {
  try {
    networksOf(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  return [];
}

describe("where providers may stand", () => {
  it("is the public internet by default", () => {
    expect(networksOf({})).toEqual({ allowLoopback: false, cidrs: [], hosts: [] });
  });

  it("takes loopback by a word", () => {
    expect(networksOf({ NEXUS_ALLOW_LOOPBACK_PROVIDERS: " True " }).allowLoopback).toBe(true);
    expect(networksOf({ NEXUS_ALLOW_LOOPBACK_PROVIDERS: "false" }).allowLoopback).toBe(false);
    for (const word of ["1", "yes", "on", "loopback"]) {
      expect(violationsOf({ NEXUS_ALLOW_LOOPBACK_PROVIDERS: word }).join()).toContain(
        "must be true, false, or ports from 1024 to 65535",
      );
    }
    for (const ports of ["9099,80", "65536", "9099 9100", "99.99"])
      expect(violationsOf({ NEXUS_ALLOW_LOOPBACK_PROVIDERS: ports })).toHaveLength(1);
    expect(networksOf({ NEXUS_ALLOW_LOOPBACK_PROVIDERS: "9099, 9100" }).allowLoopback).toEqual([9099, 9100]);
  });

  it("takes blocks and hosts, each once", () => {
    const text = "10.0.0.0/8, *.corp.example ,, Keycloak,10.0.0.0/8,fd00::/8";
    expect(networksOf({ NEXUS_ALLOWED_PRIVATE_NETWORKS: text })).toEqual({
      allowLoopback: false,
      cidrs: ["10.0.0.0/8", "fd00::/8"],
      hosts: ["*.corp.example", "keycloak"],
    });
  });

  it("names every entry that it does not take, and the limit", () => {
    const violations = violationsOf({
      NEXUS_ALLOWED_PRIVATE_NETWORKS: "10.0.0.0/8,0.0.0.0/0,localhost,a b",
    }).join("\n");
    expect(violations).toContain('got "0.0.0.0/0": must lie inside 10.0.0.0/8');
    expect(violations).toContain('got "localhost": NEXUS_ALLOW_LOOPBACK_PROVIDERS is the setting');
    expect(violations).toContain('got "a b": must be a CIDR block');
    expect(violations).not.toContain('got "10.0.0.0/8"');
    const many = Array.from({ length: 257 }, (_, i) => `h${i}.example`).join();
    expect(violationsOf({ NEXUS_ALLOWED_PRIVATE_NETWORKS: many }).join()).toContain("at most 256");
  });

  it("is frozen", () => {
    const networks = networksOf({ NEXUS_ALLOWED_PRIVATE_NETWORKS: "keycloak" });
    expect([networks, networks.cidrs, networks.hosts].every(Object.isFrozen)).toBe(true);
  });
});

import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import { envoy } from "../../../src/ext/envoy/extension.js";
import { proxySettings } from "../../../src/ext/envoy/proxy_settings.js";

function prefixOf(prefix: string): string | undefined {
  const env = { NEXUS_DATA_DIR: "/data", NEXUS_PROXIES: "true", NEXUS_SDS_PREFIX: prefix };
  return proxySettings.of(loadConfig(env, {}, { isTTY: false }, [envoy]))?.secretPrefix;
}

describe("the prefix of secrets", () => {
  it.each(["nexus", "acme/prod", "a.b_c-d"])("may be %s", (prefix) => {
    expect(prefixOf(prefix)).toBe(prefix);
  });

  it.each(["/nexus", "nexus/", "a//b", "a b", "a/b/c/d/e", "x".repeat(65), "ü"])(
    "may not be %s",
    (prefix) => {
      expect(() => prefixOf(prefix)).toThrow("NEXUS_SDS_PREFIX");
    },
  );
});

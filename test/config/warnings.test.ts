import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { allSettings, coreSettings } from "../../src/config/settings.js";
import { settingWarnings } from "../../src/config/warnings.js";
import { extensions } from "../../src/ext/extensions.js";

const settings = allSettings(extensions);

function warningsOf(env: Record<string, string>): string[] {
  const all = { NEXUS_DATA_DIR: "/data", ...env };
  return settingWarnings(env, loadConfig(all, {}, { isTTY: false }, extensions), settings);
}

describe("settingWarnings", () => {
  it.each([
    ["NEXUS_DATADIR", "NEXUS_DATA_DIR"],
    ["NEXUS_LOGLEVEL", "NEXUS_LOG_LEVEL"],
    ["NEXUS_ALLOWED_RETURN_URL", "NEXUS_ALLOWED_RETURN_URLS"],
    ["nexus_public_url", "NEXUS_PUBLIC_URL"],
  ])("takes %s for a slip", (slip, meant) => {
    expect(warningsOf({ [slip]: "secret-value" })).toEqual([
      `${slip} is not a setting: did you mean ${meant}?`,
    ]);
  });

  it.each([
    "NEXUS_SERVICE_HOST",
    "NEXUS_PORT",
    "NEXUS_GRPC_PORT_8090_TCP_ADDR",
    "NEXUS_HTTP_SERVICE_PORT_WEB",
    "NEXUS_TEAM_NAME",
    "OTHER",
  ])("is silent about %s", (name) => {
    expect(warningsOf({ [name]: "x" })).toEqual([]);
  });

  it("knows every setting", () => {
    const names = settings
      .map(({ name }) => name)
      .filter(
        (name) =>
          !/KEY|LISTEN|URL|LOG|AUDIT|TLS|JWT|INSECURE|SOCKET|MAX|TIMEOUT|RATE|CONFIRMATION|ACCOUNT|SHARED|PROVIDERS$|NETWORKS|ASSERTION|CA_FILES|NOTIFY|PREFIX|PROXIES|EGRESS|METADATA|KUBERNETES|RECORD|PORT|STORE|FLEET|UPSTREAM|^OTEL/.test(
            name,
          ),
      );
    expect(warningsOf(Object.fromEntries(names.map((name) => [name, "/x"])))).toEqual([]);
  });

  it("tells when agents or browsers find no listener", () => {
    expect(warningsOf({ NEXUS_GRPC_LISTEN: "off", NEXUS_HTTP_LISTEN: "" })).toHaveLength(1);
    expect(warningsOf({ NEXUS_BROWSER_LISTEN: "127.0.0.1:8888" })).toHaveLength(1);
    expect(warningsOf({ NEXUS_BROWSER_LISTEN: "0.0.0.0:8080", NEXUS_INSECURE: "browser" })).toEqual([]);
    const both = { NEXUS_BROWSER_LISTEN: "127.0.0.1:8888", NEXUS_PUBLIC_URL: "https://agent.example" };
    expect(warningsOf(both)).toEqual([]);
  });

  it("tells that providers may stand on this machine", () => {
    expect(warningsOf({ NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true" })).toHaveLength(1);
    expect(warningsOf({ NEXUS_ALLOW_LOOPBACK_PROVIDERS: "9099" })[0]).toContain("port 9099 of this machine");
    expect(warningsOf({ NEXUS_ALLOW_LOOPBACK_PROVIDERS: "false" })).toEqual([]);
  });
});

it("no secret of the core has a flag, and each name stands once", () => {
  const proxies = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];
  const secrets = ["NEXUS_ENCRYPTION_KEY", ...proxies, "NEXUS_API_KEY", "NEXUS_CLIENT_SECRET"];
  expect(coreSettings.filter(({ flag }) => flag === undefined).map(({ name }) => name)).toEqual(secrets);
  expect(new Set(settings.map(({ name }) => name)).size).toBe(settings.length);
});

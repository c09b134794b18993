import { describe, expect, it } from "vitest";
import {
  isPlainRemote,
  loadClientConfig,
  loadClientSecret,
  loadOpsListener,
} from "../../src/config/client_config.js";
import { ConfigError } from "../../src/config/setting_reader.js";

describe("loadClientConfig", () => {
  it("goes to the socket in the data folder", () => {
    expect(loadClientConfig({ NEXUS_DATA_DIR: "/data" }, {})).toEqual({
      kind: "unix",
      path: "/data/nexus.sock",
    });
  });

  it("goes where it is told, by flag before variable", () => {
    const env = { NEXUS_ADDRESS: "unix:/a.sock" };
    expect(loadClientConfig(env, {})).toEqual({ kind: "unix", path: "/a.sock" });
    expect(loadClientConfig(env, { NEXUS_ADDRESS: "unix:/b.sock" })).toEqual({
      kind: "unix",
      path: "/b.sock",
    });
  });

  it("needs a key for TCP", () => {
    const env = { NEXUS_ADDRESS: "http://127.0.0.1:8090/", NEXUS_DATA_DIR: "/data" };
    expect(() => loadClientConfig(env, {})).toThrow(
      "NEXUS_API_KEY_FILE: is needed for http://127.0.0.1:8090: a daemon here keeps its key in /data/admin.key",
    );
    const config = loadClientConfig({ ...env, NEXUS_API_KEY: "s3cret" }, {});
    expect(config).toMatchObject({ kind: "tcp", url: "http://127.0.0.1:8090" });
    expect(JSON.stringify(config)).not.toContain("s3cret");
    expect(loadClientConfig(env, { NEXUS_API_KEY_FILE: "/data/admin.key" })).toMatchObject({
      apiKey: { source: "file", path: "/data/admin.key" },
    });
  });

  it.each([
    [{ NEXUS_ADDRESS: "localhost:8090" }],
    [{ NEXUS_ADDRESS: "unix:" }],
    [{ NEXUS_ADDRESS: `unix:/${"x".repeat(200)}` }],
    [{ NEXUS_ADDRESS: "http://127.0.0.1/path", NEXUS_API_KEY: "s3cret" }],
    [{ NEXUS_ADDRESS: "http://u:s3cret@127.0.0.1", NEXUS_API_KEY: "s3cret" }],
    [{ NEXUS_ADDRESS: "http://127.0.0.1", NEXUS_API_KEY: "s3cret", NEXUS_API_KEY_FILE: "/f" }],
    [{ NEXUS_ADDRESS: "http://127.0.0.1", NEXUS_API_KEY: "s3cret\nx" }],
  ])("refuses %j", (env) => {
    let message = "";
    try {
      loadClientConfig(env, {});
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      message = String(error);
    }
    expect(message).toMatch(/NEXUS_/);
    expect(message).not.toContain("s3cret");
  });

  it("knows which way can be read by others", () => {
    expect(isPlainRemote("http://127.0.0.1:1")).toBe(false);
    expect(isPlainRemote("https://nexus.example")).toBe(false);
    expect(isPlainRemote("http://nexus.example")).toBe(true);
  });
});

it("reads the client secret and the ops listener", () => {
  expect(loadClientSecret({})).toBeUndefined();
  expect(loadClientSecret({ NEXUS_CLIENT_SECRET: "x" })?.reveal()).toBe("x");
  expect(loadOpsListener({}, {}, [])).toEqual({
    addresses: [{ kind: "tcp", host: "127.0.0.1", port: 9090 }],
    isTls: false,
  });
  const tls = { NEXUS_TLS_CERT_FILE: "/c", NEXUS_TLS_KEY_FILE: "/k" };
  expect(loadOpsListener(tls, {}, []).isTls).toBe(true);
  expect(loadOpsListener({ ...tls, NEXUS_TLS_LISTENERS: "http" }, {}, []).isTls).toBe(false);
  expect(loadOpsListener({ NEXUS_OPS_LISTEN: "off" }, {}, []).addresses).toEqual([]);
  expect(() => loadOpsListener({ NEXUS_OPS_LISTEN: "x" }, {}, [])).toThrow(ConfigError);
});

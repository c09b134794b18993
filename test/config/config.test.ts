import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ExtensionSettings, loadConfig } from "../../src/config/config.js";
import { count } from "../../src/config/kinds/setting_kinds.js";
import type { SettingFlags } from "../../src/config/settings.js";
import { defaultLimits } from "../../src/model/limits.js";
import { AuthorityFiles } from "../../src/outbound/certificate_authorities.js";
import { violationsIn } from "./violations.js";

const key = Buffer.alloc(32, 7).toString("base64");

function load(env: Record<string, string>, flags: SettingFlags = {}, isTTY = false) {
  return loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, flags, { isTTY });
}

const violationsOf = (env: Record<string, string>, flags: SettingFlags = {}) =>
  violationsIn(() => load(env, flags));

describe("loadConfig", () => {
  it("has a default for everything", () => {
    expect(load({})).toEqual({
      dataDir: "/data",
      encryptionKey: { source: "generated", path: "/data/encryption.key" },
      grpcListen: [{ kind: "unix", path: "/data/nexus.sock" }],
      httpListen: [{ kind: "tcp", host: "127.0.0.1", port: 8090 }],
      browserListen: [{ kind: "tcp", host: "127.0.0.1", port: 8080 }],
      opsListen: [{ kind: "tcp", host: "127.0.0.1", port: 9090 }],
      listeners: { tls: undefined, socketMode: 0o600, forCallers: ["grpc", "http"] },
      publicUrl: "http://localhost:8080",
      redirectUri: "http://localhost:8080/auth/callback",
      allowedReturnOrigins: [],
      consent: { requireConfirmation: false, refusesOtherAccounts: true, sharedRedirectUri: false },
      webProxies: { https: undefined, http: undefined, exceptions: [] },
      providerNetworks: { allowLoopback: false, cidrs: [], hosts: [] },
      clientAssertionFiles: {},
      clientKeyFiles: {},
      authorityFiles: new AuthorityFiles({}),
      logLevel: "info",
      logFormat: "json",
      audit: { maxEvents: 100_000, maxAgeMs: 365 * 86_400_000 },
      limits: defaultLimits,
      access: { policyFile: undefined, adminKeyFile: undefined },
      drainTimeoutMs: 4_000,
      store: "own",
      extensions: new Map(),
    });
  });

  it("reports errors of an extension with those of the core, and gives each extension what it read", () => {
    const groups = { Trial: { NEXUS_TRIAL: { kind: count("tries", 1, 3), meaning: "Tries." } } } as const;
    const settings = new ExtensionSettings(groups, (reader) => ({
      tries: reader.of<typeof groups>()("NEXUS_TRIAL"),
    }));
    const loaded = (env: Record<string, string>) =>
      loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }, [{ settings }]);
    expect(settings.of(loaded({ NEXUS_TRIAL: "2" }))).toEqual({ tries: 2 });
    expect(() => loaded({ NEXUS_TRIAL: "4", NEXUS_LOG_LEVEL: "loud" })).toThrow(
      /^NEXUS_LOG_LEVEL: .*\nNEXUS_TRIAL: got "4": must be a whole number from 1 to 3$/,
    );
  });

  it("puts the data folder where the platform keeps data", () => {
    const { dataDir } = loadConfig({}, {}, { isTTY: false });
    expect(dataDir).toMatch(/nexusd/);
    expect(dataDir).not.toMatch(/nodejs/);
  });

  it("is frozen", () => {
    const config = load({});
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.grpcListen)).toBe(true);
    expect(Object.isFrozen(config.encryptionKey)).toBe(true);
  });

  it("writes for a person on a terminal, and as it is told", () => {
    expect(load({}, {}, true).logFormat).toBe("pretty");
    expect(load({ NEXUS_LOG_FORMAT: "json" }, {}, true).logFormat).toBe("json");
    expect(load({ NEXUS_LOG_FORMAT: "Pretty" }).logFormat).toBe("pretty");
  });

  it.each([
    ["100", 100],
    ["300000", 300_000],
  ])("takes %s ms to drain", (text, drainTimeoutMs) => {
    expect(load({ NEXUS_DRAIN_TIMEOUT_MS: text }).drainTimeoutMs).toBe(drainTimeoutMs);
  });

  it.each(["99", "300001", "1.5", "off"])("refuses %s ms to drain", (text) => {
    expect(violationsOf({ NEXUS_DRAIN_TIMEOUT_MS: text })).toEqual([
      `NEXUS_DRAIN_TIMEOUT_MS: got "${text}": must be a whole number from 100 to 300000`,
    ]);
  });

  it("makes the path of the admin's key absolute", () => {
    expect(load({ NEXUS_ADMIN_KEY_FILE: "admin" }).access.adminKeyFile).toBe(join(process.cwd(), "admin"));
  });

  it("prefers a flag", () => {
    const config = load({ NEXUS_LOG_LEVEL: "debug" }, { NEXUS_LOG_LEVEL: "warn", NEXUS_OPS_LISTEN: "" });
    expect(config.logLevel).toBe("warn");
    expect(config.opsListen).toEqual([]);
  });

  it("takes an empty variable as unset", () => {
    expect(load({ NEXUS_PUBLIC_URL: "", NEXUS_LOG_LEVEL: " ", NEXUS_ENCRYPTION_KEY: "" })).toEqual(load({}));
  });

  it("expands the home folder and makes paths absolute", () => {
    expect(load({ NEXUS_DATA_DIR: "~/n" }).dataDir).toBe(join(homedir(), "n"));
    expect(load({ NEXUS_DATA_DIR: "n" }).dataDir).toBe(join(process.cwd(), "n"));
  });

  it.each(["off", "OFF", ""])("closes a listener with %j", (text) => {
    const config = load({ NEXUS_GRPC_LISTEN: text, NEXUS_HTTP_LISTEN: text, NEXUS_OPS_LISTEN: text });
    expect([config.grpcListen, config.httpListen, config.opsListen]).toEqual([[], [], []]);
  });

  it("keeps the socket beside an address of TCP", () => {
    const { dataDir } = load({});
    expect(load({ NEXUS_GRPC_LISTEN: "127.0.0.1:7000" }).grpcListen).toEqual([
      { kind: "unix", path: join(dataDir, "nexus.sock") },
      { kind: "tcp", host: "127.0.0.1", port: 7000 },
    ]);
  });

  it("reads lists of addresses", () => {
    expect(load({ NEXUS_GRPC_LISTEN: "unix:/run/n.sock, [::1]:7000,localhost:0" }).grpcListen).toEqual([
      { kind: "unix", path: "/run/n.sock" },
      { kind: "tcp", host: "::1", port: 7000 },
      { kind: "tcp", host: "localhost", port: 0 },
    ]);
  });

  it.each([
    ["https://agent.example", "https://agent.example"],
    ["https://agent.example/", "https://agent.example"],
    ["https://Agent.Example:443/nexus/", "https://agent.example/nexus"],
    ["http://127.0.0.1:8080", "http://127.0.0.1:8080"],
    ["http://[::1]:8080/a/b", "http://[::1]:8080/a/b"],
  ])("takes %s as public URL", (text, publicUrl) => {
    const config = load({ NEXUS_PUBLIC_URL: text });
    expect(config.publicUrl).toBe(publicUrl);
    expect(config.redirectUri).toBe(`${publicUrl}/auth/callback`);
  });

  it("normalises return origins and keeps each once", () => {
    const text = "https://App.example:443, http://localhost:3000,https://app.example,";
    expect(load({ NEXUS_ALLOWED_RETURN_URLS: text }).allowedReturnOrigins).toEqual([
      "https://app.example",
      "http://localhost:3000",
    ]);
  });

  it("takes the key from the environment or from a file", () => {
    const { encryptionKey } = load({ NEXUS_ENCRYPTION_KEY: ` ${key}\n` });
    expect(encryptionKey.source === "environment" && encryptionKey.key.reveal()).toBe(key);
    expect(JSON.stringify(encryptionKey)).not.toContain(key);
    expect(load({ NEXUS_ENCRYPTION_KEY_FILE: "/run/key" }).encryptionKey).toEqual({
      source: "file",
      path: "/run/key",
    });
  });

  it.each([
    ["NEXUS_GRPC_LISTEN", "localhost", "host:port"],
    ["NEXUS_GRPC_LISTEN", `unix:/${"x".repeat(120)}`, "at most 10"],
    ["NEXUS_HTTP_LISTEN", "127.0.0.1:65536", "65535"],
    ["NEXUS_HTTP_LISTEN", "127.0.0.1:1,,127.0.0.1:2", "host:port"],
    ["NEXUS_BROWSER_LISTEN", "off", "cannot be closed"],
    ["NEXUS_BROWSER_LISTEN", "", "cannot be closed"],
    ["NEXUS_OPS_LISTEN", "127.0.0.1:8080", "taken by NEXUS_BROWSER_LISTEN"],
    ["NEXUS_PUBLIC_URL", "agent.example", "absolute URL"],
    ["NEXUS_PUBLIC_URL", "http://agent.example", "https"],
    ["NEXUS_PUBLIC_URL", "ftp://localhost", "https"],
    ["NEXUS_PUBLIC_URL", "https://agent.example/?a=1", "query"],
    ["NEXUS_PUBLIC_URL", "https://agent.example/#x", "fragment"],
    ["NEXUS_PUBLIC_URL", "https://agent.example/a//b", "empty path segment"],
    ["NEXUS_ALLOWED_RETURN_URLS", "https://app.example/done", "origin without path"],
    ["NEXUS_ALLOWED_RETURN_URLS", "https://app.example?", "origin without path"],
    ["NEXUS_ALLOWED_RETURN_URLS", "http://app.example", "https"],
    ["NEXUS_ALLOWED_RETURN_URLS", "*", "absolute URL"],
    ["NEXUS_ALLOWED_RETURN_URLS", "https://*", "wildcard"],
    ["NEXUS_ALLOWED_RETURN_URLS", "https://*.com", "wildcard"],
    ["NEXUS_ALLOWED_RETURN_URLS", "https://a*.example.com", "wildcard"],
    ["NEXUS_ALLOWED_RETURN_URLS", "https://*.*.example.com", "wildcard"],
    ["NEXUS_ALLOWED_RETURN_URLS", "https://app.*.example.com", "wildcard"],
    ["NEXUS_ALLOWED_RETURN_URLS", "http://*.localhost:3000", "https"],
    ["NEXUS_ALLOWED_RETURN_URLS", "null", "absolute URL"],
    ["NEXUS_LOG_LEVEL", "loud", "trace, debug, info, warn, error"],
    ["NEXUS_LOG_FORMAT", "xml", "json, pretty"],
    ["NEXUS_AUDIT_MAX_EVENTS", "99", "from 100"],
    ["NEXUS_AUDIT_MAX_EVENTS", "1e9", "from 100"],
    ["NEXUS_AUDIT_MAX_AGE", "365", "365d or 12h"],
    ["NEXUS_AUDIT_MAX_AGE", "0d", "at least 1h"],
  ])("refuses %s=%s", (name, value, limit) => {
    const violations = violationsOf({ [name]: value });
    expect(violations).toHaveLength(1);
    expect(violations[0]).toMatch(new RegExp(`^${name}: got "`));
    expect(violations[0]).toContain(limit);
  });

  it("refuses a data folder whose socket has no room in an address, unless the socket stands elsewhere", () => {
    const folder = `/${"x".repeat(120)}`;
    expect(violationsOf({ NEXUS_DATA_DIR: folder }).join()).toMatch(
      /^NEXUS_GRPC_LISTEN: got "unix:.*at most 10/,
    );
    expect(violationsOf({ NEXUS_DATA_DIR: folder, NEXUS_GRPC_LISTEN: "unix:/run/n.sock" })).toEqual([]);
    expect(violationsOf({ NEXUS_DATA_DIR: folder, NEXUS_GRPC_LISTEN: "127.0.0.1:7000" })).toEqual([]);
  });

  it("reports all errors at once, by the name that the person used", () => {
    const violations = violationsOf(
      {
        NEXUS_LOG_LEVEL: "loud",
        NEXUS_PUBLIC_URL: "x",
        NEXUS_HTTP_LISTEN: "1,2",
        NEXUS_ENCRYPTION_KEY: key,
        NEXUS_ENCRYPTION_KEY_FILE: "/k",
      },
      { NEXUS_OPS_LISTEN: "here" },
    );
    expect(violations.map((violation) => violation.split(":")[0])).toEqual([
      "NEXUS_ENCRYPTION_KEY",
      "NEXUS_HTTP_LISTEN",
      "NEXUS_HTTP_LISTEN",
      "--ops-listen",
      "NEXUS_PUBLIC_URL",
      "NEXUS_LOG_LEVEL",
    ]);
  });

  it.each([
    ["tooshortsecret", "holds 10 bytes, not 32"],
    [Buffer.alloc(33, 1).toString("base64"), "holds 33 bytes, not 32"],
    ["not base64, a passphrase!", "is not base64"],
  ])("never shows a bad key", (text, limit) => {
    const [violation] = violationsOf({ NEXUS_ENCRYPTION_KEY: text });
    expect(violation).toContain(limit);
    expect(violation).not.toContain(text);
  });

  it("never shows a password inside a URL", () => {
    const violations = violationsOf({
      NEXUS_PUBLIC_URL: "https://me:hunter2@agent.example",
      NEXUS_ALLOWED_RETURN_URLS: "https://me:hunter2@app.example",
    });
    expect(violations).toHaveLength(2);
    expect(violations.join()).not.toContain("hunter2");
  });
});

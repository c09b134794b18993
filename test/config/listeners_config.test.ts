import { describe, expect, it } from "vitest";
import { ExtensionSettings, loadConfig } from "../../src/config/config.js";
import { addresses } from "../../src/config/kinds/address_kinds.js";
import type { ListenerRow } from "../../src/config/rows/listener_settings.js";
import { violationsIn } from "./violations.js";

const pair = { NEXUS_TLS_CERT_FILE: "/tls/tls.crt", NEXUS_TLS_KEY_FILE: "/tls/tls.key" };

/** Of extensions: one for callers, and one for pages, which speaks TLS only when it is named. */
const settingsOf = (listener: ListenerRow) => {
  const row = { kind: addresses({ canClose: true }), default: "off", meaning: "Its addresses." };
  const groups = { Trial: { [`NEXUS_${listener.name.toUpperCase()}_LISTEN`]: row } };
  return new ExtensionSettings(groups, () => undefined, { listener });
};
const extensions = [
  { settings: settingsOf({ name: "trial", usesTls: true, isForCallers: true }) },
  { settings: settingsOf({ name: "pages", usesTls: false, isForCallers: false }) },
];

const load = (env: Record<string, string>) =>
  loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }, extensions);

const violationsOf = (env: Record<string, string>) => violationsIn(() => load(env));

describe("plain text beyond this machine", () => {
  it.each([
    ["grpc", "NEXUS_GRPC_LISTEN"],
    ["http", "NEXUS_HTTP_LISTEN"],
    ["browser", "NEXUS_BROWSER_LISTEN"],
    ["ops", "NEXUS_OPS_LISTEN"],
    ["trial", "NEXUS_TRIAL_LISTEN"],
  ])("is refused at the %s listener, by listener, address and setting", (listener, setting) => {
    const [violation = "", ...rest] = violationsOf({ [setting]: "0.0.0.0:7000" });
    expect(rest).toEqual([]);
    expect(violation).toContain(`${setting}: got "0.0.0.0:7000": the ${listener} listener`);
    expect(violation).toContain("NEXUS_TLS_CERT_FILE");
    expect(violation).toContain(`--insecure=${listener}`);
    expect(violationsOf({ [setting]: "0.0.0.0:7000", NEXUS_INSECURE: listener })).toEqual([]);
    expect(violationsOf({ [setting]: "0.0.0.0:7000", NEXUS_INSECURE: "true" })).toEqual([]);
    expect(violationsOf({ [setting]: "0.0.0.0:7000", ...pair })).toEqual([]);
    expect(violationsOf({ [setting]: "0.0.0.0:7000", ...pair, NEXUS_TLS_LISTENERS: listener })).toEqual([]);
    expect(violationsOf({ [setting]: "0.0.0.0:7000", NEXUS_INSECURE: "false" })).toHaveLength(1);
  });

  it("is refused at a listener that does not speak TLS by itself, until it is named", () => {
    const env = { NEXUS_PAGES_LISTEN: "0.0.0.0:7000", ...pair };
    expect(violationsOf(env)).toEqual([expect.stringContaining("name pages in NEXUS_TLS_LISTENERS")]);
    expect(violationsOf({ ...env, NEXUS_TLS_LISTENERS: "grpc,pages" })).toEqual([]);
    expect(violationsOf({ NEXUS_PAGES_LISTEN: "0.0.0.0:7000", NEXUS_INSECURE: "pages" })).toEqual([]);
  });

  it("is judged at the addresses of an extension as at those of the core", () => {
    expect(violationsOf({ NEXUS_PAGES_LISTEN: "127.0.0.1:8090" })).toEqual([
      expect.stringContaining("NEXUS_PAGES_LISTEN"),
    ]);
  });

  it("is refused at a listener that TLS leaves out, and says how to take it in", () => {
    const violations = violationsOf({
      NEXUS_HTTP_LISTEN: "0.0.0.0:1",
      ...pair,
      NEXUS_TLS_LISTENERS: "grpc,ops",
    });
    expect(violations).toHaveLength(1);
    expect(violations[0]).toContain("name http in NEXUS_TLS_LISTENERS");
  });

  it("is excused at the listener that is named alone", () => {
    const env = {
      NEXUS_HTTP_LISTEN: "0.0.0.0:1",
      NEXUS_BROWSER_LISTEN: "0.0.0.0:2",
      NEXUS_INSECURE: "browser",
    };
    expect(violationsOf(env)).toHaveLength(1);
  });

  it.each([
    "0.0.0.0:1",
    "[::]:1",
    "192.0.2.1:1",
    "10.0.0.1:1",
    "[fe80::1]:1",
    "[::ffff:10.0.0.1]:1",
    "nexus.example:1",
    "myhost:1",
    "localhost.example:1",
    "0:1",
    "128.0.0.1:1",
    "[::2]:1",
  ])("takes %s for an address that others reach", (address) => {
    expect(violationsOf({ NEXUS_HTTP_LISTEN: address })).toHaveLength(1);
    expect(violationsOf({ NEXUS_HTTP_LISTEN: `127.0.0.1:2,${address}` })).toHaveLength(1);
  });

  it.each([
    "127.0.0.1:1",
    "127.9.9.9:1",
    "localhost:1",
    "LOCALHOST:1",
    "[::1]:1",
    "[0:0:0:0:0:0:0:1]:1",
    "[::ffff:127.0.0.1]:1",
    "unix:/run/nexus.sock",
    "off",
  ])("takes %s for one that this machine alone reaches", (address) => {
    expect(violationsOf({ NEXUS_HTTP_LISTEN: address })).toEqual([]);
  });
});

describe("TLS", () => {
  it("asks callers alone for a certificate, those of an extension too", () => {
    expect(load(pair).listeners.forCallers).toEqual(["grpc", "http", "trial"]);
  });

  it("needs both files, and asks for no certificate by default", () => {
    expect(load(pair).listeners.tls).toEqual({
      certFile: "/tls/tls.crt",
      keyFile: "/tls/tls.key",
      clientCaFile: undefined,
      clientAuth: "none",
      listeners: ["grpc", "http", "browser", "ops", "trial"],
    });
    expect(load({ ...pair, NEXUS_TLS_CLIENT_CA_FILE: "/ca" }).listeners.tls).toMatchObject({
      clientAuth: "optional",
    });
  });

  it.each([
    [{ NEXUS_TLS_CERT_FILE: "/c" }, "NEXUS_TLS_KEY_FILE: is needed beside NEXUS_TLS_CERT_FILE"],
    [{ NEXUS_TLS_KEY_FILE: "/k" }, "NEXUS_TLS_CERT_FILE: is needed beside NEXUS_TLS_KEY_FILE"],
    [{ NEXUS_TLS_CLIENT_CA_FILE: "/k" }, "NEXUS_TLS_CERT_FILE: is needed beside NEXUS_TLS_CLIENT_CA_FILE"],
    [{ ...pair, NEXUS_TLS_CLIENT_AUTH: "require" }, "needs NEXUS_TLS_CLIENT_CA_FILE"],
    [{ ...pair, NEXUS_TLS_CLIENT_AUTH: "maybe" }, "none, optional, require"],
    [{ ...pair, NEXUS_TLS_LISTENERS: "grpc,front" }, "grpc, http, browser, ops, trial, pages"],
    [{ NEXUS_INSECURE: "yes" }, "true, false or a comma list"],
    [{ NEXUS_SOCKET_MODE: "0777" }, "0600, 0660, 0666"],
    [{ NEXUS_SOCKET_MODE: "rw" }, "0600, 0660, 0666"],
  ])("refuses %j", (env, text) => {
    expect(violationsOf(env as Record<string, string>).join()).toContain(text);
  });
});

import { describe, expect, it } from "vitest";
import { loadClientConfig, loadOpsListener } from "../../src/config/client_config.js";
import { loadConfig } from "../../src/config/config.js";
import type { SettingFlags } from "../../src/config/settings.js";

const home = { XDG_DATA_HOME: process.env["XDG_DATA_HOME"] };
const load = (env: Record<string, string>, flags: SettingFlags = {}) =>
  loadConfig({ ...home, ...env }, flags, { isTTY: false });
const tcp = (port: number) => [{ kind: "tcp", host: "127.0.0.1", port }];

describe("a port base", () => {
  it("moves every default that two daemons cannot share", () => {
    const config = load({ NEXUS_PORT_BASE: "9100" });
    expect(config).toMatchObject({
      httpListen: tcp(9100),
      browserListen: tcp(9101),
      opsListen: tcp(9102),
      publicUrl: "http://localhost:9101",
    });
    expect(config.dataDir).toBe(`${load({}).dataDir}-9100`);
    expect(config.grpcListen).toEqual([{ kind: "unix", path: `${config.dataDir}/nexus.sock` }]);
  });

  it("leaves what is set as it is, and a flag wins over the variable", () => {
    const env = { NEXUS_PORT_BASE: "9100", NEXUS_DATA_DIR: "/data", NEXUS_OPS_LISTEN: "off" };
    expect(load(env, { NEXUS_PORT_BASE: "9200", NEXUS_PUBLIC_URL: "https://nexus.example" })).toMatchObject({
      dataDir: "/data",
      httpListen: tcp(9200),
      opsListen: [],
      publicUrl: "https://nexus.example",
    });
  });

  it("leads commands to that daemon", () => {
    const { dataDir } = load({ NEXUS_PORT_BASE: "9100" });
    expect(loadClientConfig({ ...home, NEXUS_PORT_BASE: "9100" }, {})).toEqual({
      kind: "unix",
      path: `${dataDir}/nexus.sock`,
    });
    expect(loadOpsListener({ NEXUS_PORT_BASE: "9100" }, {}, []).addresses).toEqual(tcp(9102));
  });

  it.each(["0", "65534", "x", "-1", "80.5"])("is a port with two after it: %s", (text) => {
    expect(() => load({ NEXUS_PORT_BASE: text })).toThrow(/NEXUS_PORT_BASE: .*from 1 to 65532/);
  });
});

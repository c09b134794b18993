import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { violationsIn } from "./violations.js";

const load = (env: Record<string, string>) =>
  loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }).webProxies;

describe("the proxies of the environment", () => {
  it("are none by default, and where they are empty", () => {
    const none = { https: undefined, http: undefined, exceptions: [] };
    expect(load({})).toEqual(none);
    expect(load({ HTTPS_PROXY: "", http_proxy: " ", NO_PROXY: "" })).toEqual(none);
  });

  it.each([
    ["HTTPS_PROXY", "NO_PROXY"],
    ["https_proxy", "no_proxy"],
  ])("are read in either case: %s", (name, exceptions) => {
    const { https, exceptions: found } = load({
      [name]: "http://proxy.corp:3128",
      [exceptions]: ".corp,10.0.0.0/8",
    });
    expect(https).toMatchObject({ host: "proxy.corp", port: 3128 });
    expect(found).toHaveLength(2);
  });

  it("show no password, whether they are taken or refused", () => {
    expect(inspect(load({ HTTPS_PROXY: "http://ada:s3cret@proxy.corp" }))).not.toContain("s3cret");
    const refused = violationsIn(() => load({ HTTP_PROXY: "socks5://ada:s3cret@proxy.corp" }));
    expect(refused).toEqual([expect.stringMatching(/^HTTP_PROXY: must be http:/)]);
  });

  it("leave settings of nexusd their one name", () => {
    const env = { NEXUS_DATA_DIR: "/data", nexus_log_level: "debug" };
    expect(loadConfig(env, {}, { isTTY: false }).logLevel).toBe("info");
  });
});

import { expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import { spoke } from "../../../src/ext/spoke/extension.js";
import { upstreamSettings } from "../../../src/ext/spoke/upstream_settings.js";

const token = { NEXUS_UPSTREAM_TOKEN_FILE: "/run/token" };
const hub = { NEXUS_UPSTREAM: "https://hub.nexus:8443", ...token };

function configOf(environment: NodeJS.ProcessEnv) {
  return loadConfig({ NEXUS_DATA_DIR: "/data", ...environment }, {}, { isTTY: false }, [spoke]);
}

it("has connections of its own without hubs", () => {
  expect(upstreamSettings.of(configOf({}))).toBeUndefined();
});

it("reads hubs and an identity, and opens no listener for browsers", () => {
  const two = "https://one.nexus:8443/, https://two.nexus , https://one.nexus:8443";
  const config = configOf({
    ...{ NEXUS_UPSTREAM: two, NEXUS_UPSTREAM_CA_FILE: "/ca.pem" },
    ...{ NEXUS_UPSTREAM_CERT_FILE: "/tls.crt", NEXUS_UPSTREAM_KEY_FILE: "/tls.key" },
  });
  expect(upstreamSettings.of(config)).toEqual({
    urls: ["https://one.nexus:8443", "https://two.nexus"],
    caFile: "/ca.pem",
    certFile: "/tls.crt",
    keyFile: "/tls.key",
    tokenFile: undefined,
  });
  expect(config.browserListen).toEqual([]);
  const local = configOf({ NEXUS_UPSTREAM: "http://127.0.0.1:8090", ...token });
  expect(upstreamSettings.of(local)?.urls).toEqual(["http://127.0.0.1:8090"]);
});

const limit = /NEXUS_UPSTREAM: .*must be https:\/\/host:port without a path/;

it.each([
  [token, /NEXUS_UPSTREAM: is needed beside NEXUS_UPSTREAM_TOKEN_FILE/],
  [{ NEXUS_UPSTREAM: "https://hub" }, /must know who this spoke is: set NEXUS_UPSTREAM_TOKEN_FILE/],
  [{ ...hub, NEXUS_UPSTREAM: "http://hub" }, limit],
  [{ ...hub, NEXUS_UPSTREAM: "hub:8443" }, limit],
  [{ ...hub, NEXUS_UPSTREAM: "https://hub/nexus" }, limit],
  [{ ...hub, NEXUS_UPSTREAM: "https://hub?a=b" }, limit],
  [{ ...hub, NEXUS_UPSTREAM: "https://hub,," }, limit],
  [{ ...hub, NEXUS_UPSTREAM: "https://ada:hunter2@hub" }, /must not hold a user name or password/],
  [{ ...hub, NEXUS_UPSTREAM: Array.from({ length: 17 }, (_, n) => `https://h${n}`).join() }, /at most 16/],
  [{ ...hub, NEXUS_UPSTREAM_KEY_FILE: "/k" }, /NEXUS_UPSTREAM_CERT_FILE: is needed beside/],
  [{ ...hub, NEXUS_UPSTREAM_CERT_FILE: "/c" }, /NEXUS_UPSTREAM_KEY_FILE: is needed beside/],
  [{ ...hub, NEXUS_PROVIDERS_FILE: "/p" }, /NEXUS_PROVIDERS_FILE: is not for a spoke/],
  [{ ...hub, NEXUS_STORE: "postgres://db", NEXUS_FLEET_LISTEN: "a:1" }, /NEXUS_STORE: is not for a spoke/],
])("refuses %j", (environment, message) => {
  expect(() => configOf(environment)).toThrow(message);
  expect(() => configOf(environment)).not.toThrow(/hunter2/);
});

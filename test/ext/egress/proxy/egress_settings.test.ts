import { expect, it } from "vitest";
import { loadConfig } from "../../../../src/config/config.js";
import { egress } from "../../../../src/ext/egress/extension.js";
import { egressSettings } from "../../../../src/ext/egress/proxy/egress_settings.js";
import { violationsIn } from "../../../config/violations.js";

const load = (env: Record<string, string>) =>
  loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }, [egress]);
const read = (env: Record<string, string>) => egressSettings.of(load(env));
const violationsOf = (env: Record<string, string>) => violationsIn(() => load(env));

it("is closed where nothing is said", () => {
  expect(read({})).toEqual({
    ...{ listen: [], network: "providers", user: undefined, authority: undefined },
    maxConnectionsPerPrincipal: 1_000,
  });
});

it("reads where egress leads, and refuses half of an authority", () => {
  expect(read({ NEXUS_EGRESS_NETWORK: "pypi.org, *.NPMJS.org" }).network).toEqual({
    hosts: ["pypi.org", "*.npmjs.org"],
  });
  expect(violationsOf({ NEXUS_EGRESS_NETWORK: "pypi.org/simple" })).toHaveLength(1);
  expect(violationsOf({ NEXUS_EGRESS_CA_CERT_FILE: "/ca.crt" })).toEqual([
    expect.stringContaining("NEXUS_EGRESS_CA_KEY_FILE"),
  ]);
});

it("asks its callers for certificates, and is refused plain text beyond this machine", () => {
  const env = { NEXUS_EGRESS_LISTEN: "0.0.0.0:7000" };
  expect(load({}).listeners.forCallers).toEqual(["grpc", "http", "egress"]);
  expect(violationsOf(env)).toEqual([expect.stringContaining("the egress listener would speak plain text")]);
  const pair = { NEXUS_TLS_CERT_FILE: "/tls/tls.crt", NEXUS_TLS_KEY_FILE: "/tls/tls.key" };
  expect(violationsOf({ ...env, ...pair })).toEqual([]);
});

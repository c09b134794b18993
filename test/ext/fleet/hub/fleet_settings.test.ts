import { inspect } from "node:util";
import { expect, it } from "vitest";
import { loadConfig } from "../../../../src/config/config.js";
import { allSettings } from "../../../../src/config/settings.js";
import { fleet as extension } from "../../../../src/ext/fleet/extension.js";
import { fleetSettings } from "../../../../src/ext/fleet/hub/fleet_settings.js";

const store = "postgres://nexus:hunter2@db.internal/nexus?sslmode=verify-full";

function fleetOf(environment: NodeJS.ProcessEnv) {
  const env = { NEXUS_DATA_DIR: "/data", ...environment };
  return fleetSettings.of(loadConfig(env, {}, { isTTY: false }, [extension]));
}

it("is alone without a store", () => {
  expect(fleetOf({})).toBeUndefined();
});

it("reads a hub, and prints no password", () => {
  const fleet = fleetOf({ NEXUS_STORE: store, NEXUS_FLEET_LISTEN: "10.0.0.1:7443" });
  expect(fleet).toMatchObject({ address: "10.0.0.1:7443", leaseMs: 10_000, maxStaleMs: 600_000 });
  expect(inspect(fleet, { depth: 9 })).not.toContain("hunter2");
  expect(JSON.stringify(fleet)).not.toContain("hunter2");
  expect(fleet && "url" in fleet.store ? fleet.store.url.reveal() : "").toBe(store);
});

it("takes the address that others dial, and the URL from a file", () => {
  const fleet = fleetOf({
    NEXUS_STORE_FILE: "/run/secrets/store",
    NEXUS_FLEET_LISTEN: "0.0.0.0:7443",
    NEXUS_FLEET_ADDRESS: "nexus-0.nexus:7443",
    NEXUS_FLEET_LEASE_SECONDS: "3",
  });
  expect(fleet).toMatchObject({
    store: { file: "/run/secrets/store" },
    address: "nexus-0.nexus:7443",
    leaseMs: 3_000,
  });
});

it.each([
  [{ NEXUS_STORE: store }, /NEXUS_FLEET_LISTEN: is needed beside NEXUS_STORE/],
  [{ NEXUS_FLEET_LISTEN: "10.0.0.1:7443" }, /NEXUS_STORE: is needed beside NEXUS_FLEET_LISTEN/],
  [{ NEXUS_STORE: store, NEXUS_FLEET_LISTEN: "0.0.0.0:7443" }, /NEXUS_FLEET_ADDRESS: is needed/],
  [{ NEXUS_STORE: store, NEXUS_FLEET_LISTEN: "unix:/run/x" }, /NEXUS_FLEET_LISTEN: .*one host:port/],
  [{ NEXUS_STORE: store, NEXUS_FLEET_LISTEN: "a:1,b:1" }, /NEXUS_FLEET_LISTEN: .*one host:port/],
  [{ NEXUS_STORE: "mysql://db", NEXUS_FLEET_LISTEN: "a:1" }, /NEXUS_STORE: must be a URL .*postgres/],
  [{ NEXUS_STORE: store, NEXUS_STORE_FILE: "/x", NEXUS_FLEET_LISTEN: "a:1" }, /both set/],
  [{ NEXUS_STORE: store, NEXUS_FLEET_LISTEN: "a:1", NEXUS_FLEET_ADDRESS: "http://a:1" }, /host:port/],
  [{ NEXUS_STORE: store, NEXUS_FLEET_LISTEN: "a:1", NEXUS_FLEET_LEASE_SECONDS: "2" }, /from 3 to 60/],
])("refuses %j", (environment, message) => {
  expect(() => fleetOf(environment)).toThrow(message);
  expect(() => fleetOf(environment)).not.toThrow(/hunter2/);
});

it("has no flag for the URL, which may hold a password", () => {
  expect(allSettings([extension]).find(({ name }) => name === "NEXUS_STORE")).toMatchObject({
    flag: undefined,
  });
});

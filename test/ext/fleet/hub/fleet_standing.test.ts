import { describe, expect, it } from "vitest";
import { FleetStanding } from "../../../../src/ext/fleet/hub/fleet_standing.js";
import type { SealedRecord } from "../../../../src/model/credentials/credential.js";

type Parts = ConstructorParameters<typeof FleetStanding>[0];

/** A hub in whose way nothing stands, but for what is given. */
function standing({ hub = {}, heartbeat = {}, watch = {}, keys = ["k1"] }: Record<string, object> = {}) {
  return new FleetStanding({
    config: { address: "10.0.0.1:7443", maxStaleMs: 600_000 },
    hub: { role: "follower", database: {}, ...hub },
    heartbeat: { silentMs: 0, isBehind: false, verdict: { mayNotLead: [] }, ...heartbeat },
    watch: { isBackingOff: false, isDiskStuck: false, warnings: () => [], ...watch },
    fleet: {
      store: {
        position: { position: 0n },
        outbox: { count: 0 },
        keyCheck: { keyId: "k1" } as SealedRecord,
        sealedCounts: () => new Map(),
      },
    },
    vault: { has: (keyId: string) => (keys as string[]).includes(keyId) },
  } as unknown as Parts);
}

describe("a leader whose commits fail", () => {
  const error = Object.assign(new Error("No space left on device"), { severity: "ERROR", code: "53100" });
  const heartbeat = {
    verdict: { mayNotLead: [], warnings: [] },
    members: [],
    newest: 0n,
    troubleOfLeader: "",
    sharedAddresses: ["10.0.0.1:7443"],
  };
  const at = (waitedMs: number, given: unknown = error) =>
    standing({ hub: { role: "leader", leader: "here", commitWait: { waitedMs, error: given } }, heartbeat });

  it("says after three seconds what the database answers, and what to do", () => {
    const shared = expect.stringMatching(
      /^two hubs announce the address 10.0.0.1:7443, .*NEXUS_FLEET_ADDRESS$/,
    );
    expect(at(2_999).status().warnings).toEqual([shared]);
    expect(at(3_000).status().warnings).toEqual([
      "the database has not committed for 3 s, and nothing is written meanwhile: " +
        "No space left on device (SQLSTATE 53100): free space on the database's disk, or enlarge it",
      shared,
    ]);
    expect(at(7_400, new Error("no answer")).status().warnings).toEqual([
      "the database has not committed for 7 s, and nothing is written meanwhile: no answer",
      shared,
    ]);
  });

  it("is ready for as long as a failover takes", () => {
    expect(at(14_999).following()).toBe(true);
    expect(at(15_000).following()).toContain("SQLSTATE 53100");
  });
});

it.each([
  [undefined, false],
  [{ layout: 3, minLayout: 1 }, true],
  [{ layout: 3, minLayout: 2 }, true],
  [{ layout: 3, minLayout: 3 }, false],
])("tables of %j take hubs that ignore limits: %s", (tables, ignores) => {
  expect(standing({ heartbeat: { verdict: { mayNotLead: [], tables } } }).ignoresLimits).toBe(ignores);
});

describe("a hub that another one would leave the lead to", () => {
  it("could lead when nothing is in the way", () => {
    expect(standing().couldLead()).toBe(true);
  });

  const inTheWay = [
    { name: "it leads", hub: { role: "leader" } },
    { name: "it takes over", hub: { role: "taking_over" } },
    { name: "it ends", hub: { role: "resigned" } },
    { name: "it has not reached the database yet", hub: { database: undefined } },
    { name: "the database answers it no more", heartbeat: { silentMs: 10_000 } },
    { name: "its copy is behind", heartbeat: { isBehind: true } },
    { name: "its clock is off", heartbeat: { clockViolation: "the clock is 9000 ms off" } },
    { name: "the database is none to lead with", heartbeat: { verdict: { mayNotLead: ["read-only"] } } },
    { name: "it gave the lead back itself", watch: { isBackingOff: true } },
    { name: "its disk takes no writes", watch: { isDiskStuck: true } },
  ];
  it.each(inTheWay)("could not when $name", ({ name: _, ...given }) => {
    expect(standing(given).couldLead()).toBe(false);
  });
});

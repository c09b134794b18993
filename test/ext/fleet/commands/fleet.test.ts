import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
import { FleetRole, type FleetStatusSchema } from "../../../../src/gen/nexus/v1/status_pb.js";
import { FakeDaemon } from "../../../cli/fake_daemon.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { perTest } from "../../../lifetimes.js";

const [one, two, three] = ["10.0.0.1:7443", "10.0.0.2:7443", "10.0.0.3:7443"];
const seconds = (count: number) => ({ seconds: BigInt(count), nanos: 0 });
const member = (address: string, more: object = {}) => ({
  address,
  version: "0.1.0",
  applied: 41n,
  layout: 2,
  keyIds: ["a1", "b2"],
  seen: seconds(1),
  isLeader: false,
  ...more,
});

const healthy: MessageInitShape<typeof FleetStatusSchema> = {
  role: FleetRole.FOLLOWER,
  address: two,
  leader: one,
  fence: 3n,
  applied: 41n,
  newest: 41n,
  lastContact: seconds(2),
  waitsForStandby: true,
  layout: 2,
  minLayout: 2,
  members: [member(one, { isLeader: true }), member(two), member(three)],
};

describe("nexusd fleet", () => {
  const daemon = perTest(() => new FakeDaemon());
  const told = async (fleet: MessageInitShape<typeof FleetStatusSchema>, ...words: string[]) => {
    daemon.api.status = { getStatus: () => ({ fleet }) };
    await daemon.start();
    const shell = fakeShell({ env: daemon.env });
    const code = await run(["fleet", ...words], shell);
    return { code, text: shell.out() };
  };

  it("names the leader, its fence, where this hub stands, and each hub with its keys", async () => {
    expect(await told(healthy)).toMatchObject({
      code: 0,
      text: [
        "leader    10.0.0.1:7443 (fence 3)",
        "this hub  10.0.0.2:7443 follows",
        "position  41",
        "database  answered 2s ago; commits wait for a standby",
        "layout    2",
        "",
        "HUB                       VERSION  LAYOUT  POSITION  KEYS   SEEN AGO",
        "10.0.0.1:7443    leads    0.1.0    2       41        a1 b2  1s",
        "10.0.0.2:7443 *  follows  0.1.0    2       41        a1 b2  1s",
        "10.0.0.3:7443    follows  0.1.0    2       41        a1 b2  1s",
        "",
      ].join("\n"),
    });
  });

  it("says what an operator should look at, each in a line", async () => {
    const { text } = await told({
      ...healthy,
      leader: "",
      newest: 50n,
      waitsForStandby: false,
      lastContact: seconds(95),
      warnings: ["the database is a standby: name the primary, or all hosts, in the URL"],
      mayNotLead: ["the ring lacks key b2: give this hub the ring of the others"],
      outbox: 7n,
      members: [member(one, { seen: seconds(25) }), member(two, { keyIds: ["a1"] })],
    });
    for (const line of [
      "leader        none that this hub knows",
      "position      41, 9 behind the leader",
      "database      answered 1m 35s ago; commits wait for no standby",
      "warning       the database is a standby: name the primary, or all hosts, in the URL",
      "warning       10.0.0.2:7443 lacks key b2: give it the ring of the others",
      "may not lead  the ring lacks key b2: give this hub the ring of the others",
      "outbox        7 audit events wait for the leader",
      "10.0.0.1:7443    silent   0.1.0    2       41        a1 b2  25s",
    ])
      expect(text.split("\n")).toContain(line);
  });

  it("says what is left of an upgrade, and which hub knows what", async () => {
    const { text } = await told({
      ...healthy,
      minLayout: 1,
      members: [member(one, { layout: 1 }), member(two, { version: "0.2.0" })],
    });
    for (const line of [
      "layout    2; hubs that know 1 may be there until nexusd fleet migrate --contract",
      "10.0.0.1:7443    follows  0.1.0    1       41        a1 b2  1s",
      "10.0.0.2:7443 *  follows  0.2.0    2       41        a1 b2  1s",
    ])
      expect(text.split("\n")).toContain(line);
  });

  it("does not want a key back that was retired at the leader, and is still in the rings of others", async () => {
    const { text } = await told({
      ...healthy,
      members: [member(one, { isLeader: true, keyIds: ["b2"] }), member(two, { keyIds: ["a1", "b2"] })],
    });
    expect(text).not.toContain("lacks key");
  });

  it("has no layout where the database was not reached yet", async () => {
    const { text } = await told({ ...healthy, layout: 0, minLayout: 0, members: [] });
    expect(text).not.toContain("layout ");
  });

  it("has all of it as JSON", async () => {
    const { text } = await told(healthy, "status", "--json");
    expect(JSON.parse(text)).toMatchObject({ address: two, waits_for_standby: true, fence: "3" });
  });

  it("says so where the daemon is alone", async () => {
    daemon.api.status = { getStatus: () => ({}) };
    await daemon.start();
    const shell = fakeShell({ env: daemon.env });
    expect(await run(["fleet"], shell)).toBe(1);
    expect(shell.err()).toContain("NEXUS_STORE is not set");
  });
});

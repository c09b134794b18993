import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { connectionId, FakeDaemon } from "../fake_daemon.js";
import { fakeShell } from "../fake_shell.js";

const other = "22222222-3333-4333-8333-333333333333";
const work = "ace00000-0000-4000-8000-000000000000";

describe("a connection on the command line", () => {
  let daemon: FakeDaemon;
  beforeEach(async () => {
    daemon = new FakeDaemon();
    await daemon.start();
    daemon.addConnection();
    daemon.addConnection({ id: other, userId: "bob" });
    daemon.addConnection({ id: work, label: "work" });
  });
  afterEach(() => daemon.stop());
  const revoke = async (text: string) => {
    const shell = fakeShell({ env: daemon.env });
    const code = await run(["connections", "revoke", text, "--yes"], shell);
    return { code, out: shell.out(), err: shell.err() };
  };

  it.each([
    [connectionId, connectionId],
    [connectionId.toUpperCase(), connectionId],
    ["github", connectionId],
    ["github/bob", other],
    ["github/alice/work", work],
    ["22222222-2", connectionId],
    ["ace0", work],
  ])("%s is %s", async (text, id) => {
    expect(await revoke(text)).toMatchObject({ code: 0, out: `${id} is revoked\n` });
  });

  it("is looked up only where it is no whole id", async () => {
    await revoke(connectionId);
    expect(daemon.requests.map(({ method }) => method)).toEqual(["RevokeConnection"]);
  });

  it("comes by its name before the beginning of an id", async () => {
    daemon.addConnection({ id: "beef0000-0000-4000-8000-000000000000" });
    daemon.addConnection({ id: "44444444-4444-4444-8444-444444444444", providerName: "beef" });
    expect((await revoke("beef")).out).toMatch(/^44444444/);
  });

  it("is refused with all that it may be, where it begins several ids", async () => {
    const { code, err } = await revoke("22222222");
    expect(code).toBe(2);
    expect(err).toContain("22222222 is the beginning of several ids: give more of the one you mean");
    expect(err).toContain(`${connectionId}  github  alice`);
    expect(err).toContain(`${other}  github  bob`);
    expect(daemon.got("RevokeConnection")).toHaveLength(0);
  });

  it.each([
    ["githup", "cannot find the provider githup: not found\ndid you mean github?"],
    ["githup/alice", "not found\ndid you mean github?"],
    [
      "ffff",
      "no connection has an id that begins with ffff, and alice has no connection to ffff: see nexusd connections\n",
    ],
    [
      "github/carl",
      "carl has no connection to github: see nexusd connections, or connect one: nexusd connect github/carl",
    ],
    ["222", "not found\nsee nexusd provider list"],
    ["a b/c", "not found\nsee nexusd provider list"],
    ["github/", "github/ names no connection: see nexusd connections"],
  ])("%s is none, and the failure says so", async (text, says) => {
    daemon.addProvider();
    const { code, err } = await revoke(text);
    expect(code).toBe(1);
    expect(err).toContain(says);
  });

  it("is none where the provider may not be read, and the failure says so", async () => {
    daemon.failures.set("GetProvider", new ConnectError("no", Code.PermissionDenied));
    expect((await revoke("github/carl")).err).toContain("carl has no connection to github");
  });
});

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { FakeDaemon } from "../../cli/fake_daemon.js";
import { fakeShell, jsonLines, startMs } from "../../cli/fake_shell.js";
import { perTest } from "../../lifetimes.js";

const local = "http://127.0.0.1:8095/open?code=abc";
const remote = "https://console.example/open?code=abc";

describe("open", () => {
  const daemon = perTest(() => new FakeDaemon());
  let url = local;
  beforeEach(async () => {
    url = local;
    daemon.api.console = { createConsoleLink: () => ({ url, expiresAt: timestampFromMs(startMs + 60_000) }) };
    await daemon.start();
  });
  const opening = async (given: Parameters<typeof fakeShell>[0], ...args: string[]) => {
    const shell = fakeShell({ ...given, env: { ...daemon.env, ...given?.env } });
    expect(await run(["open", ...args], shell)).toBe(0);
    return shell;
  };

  it("prints the link, and opens it at a terminal", async () => {
    const shell = await opening({ outIsTTY: true });
    expect([shell.out(), shell.opened]).toEqual([`${local}\n`, [local]]);
    expect(shell.err()).toContain("works once");
  });

  it.each([
    ["--print", { outIsTTY: true }, ["--print"]],
    ["a pipe behind it", {}, []],
  ])("opens nothing with %s", async (_what, given, args) => {
    const shell = await opening(given, ...args);
    expect([shell.out(), shell.opened]).toEqual([`${local}\n`, []]);
  });

  it("prints one line of JSON, and nothing else", async () => {
    const shell = await opening({ outIsTTY: true }, "--json");
    expect(jsonLines(shell.out())).toEqual([{ url: local, expires_at: "2026-11-24T12:01:00Z" }]);
    expect([shell.err(), shell.opened]).toEqual(["", []]);
  });

  it("prints over SSH how the browser of another machine gets there", async () => {
    const env = { SSH_CONNECTION: "192.0.2.1 5000 192.0.2.2 22" };
    const shell = await opening({ outIsTTY: true, env, userName: () => "ada" });
    expect(shell.err()).toContain("ssh -N -L 8095:127.0.0.1:8095 ada@192.0.2.2");
    expect(shell.opened).toEqual([]);
    url = remote;
    expect((await opening({ outIsTTY: true, env })).err()).not.toContain("ssh -N");
  });

  it("says so when no browser can be opened", async () => {
    const shell = await opening({ outIsTTY: true, browserFails: true });
    expect(shell.err()).toContain("open the link by hand");
    expect(shell.out()).toBe(`${local}\n`);
  });
});

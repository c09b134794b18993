import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { ConnectionStatus } from "../../../src/gen/nexus/v1/connection_pb.js";
import type { WatchTokensRequest } from "../../../src/gen/nexus/v1/token_pb.js";
import { connectionId, FakeDaemon } from "../../cli/fake_daemon.js";
import { ended, fakeShell, jsonLines, startMs } from "../../cli/fake_shell.js";
import { perTest } from "../../lifetimes.js";

const daemon = perTest(() => new FakeDaemon());
/** Ends the watch: the connection is gone. */
let end: () => void;

beforeEach(async () => {
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  daemon.addConnection();
  daemon.watch = async function* () {
    const position = { epoch: "e", revision: 1n };
    yield {
      event: {
        case: "state",
        value: {
          connectionId,
          providerName: "github",
          userId: "ada",
          status: ConnectionStatus.ACTIVE,
          revision: 3n,
          token: { credentials: { access_token: "L1ve" }, expiresAt: timestampFromMs(startMs + 65_000) },
        },
      },
    };
    yield { event: { case: "bookmark", value: { position } } };
    await ended;
    yield { event: { case: "removed", value: { connectionId } } };
    yield { event: { case: "bookmark", value: { position } } };
  };
  await daemon.start();
});

const countdown = "22222222  github    ada   active  3         expires in";

describe("watch", () => {
  it("at a terminal shows a header, users and how long each token lives, second by second", async () => {
    const env = { ...daemon.env, NO_COLOR: "1" };
    const shell = fakeShell({ env, outIsTTY: true, columns: 100, rows: 30 });
    const watching = run(["watch", connectionId], shell);
    await expect.poll(() => shell.out()).toContain(`${countdown} 1m 5s\n`);
    expect(shell.out()).toContain("ID        PROVIDER  USER  STATUS  REVISION  TOKEN");
    shell.clock.advance(1000);
    expect(shell.out()).toContain(`${countdown} 1m 4s\n`);
    shell.clock.advance(64_000);
    expect(shell.out()).toContain("expired 0s ago\n");
    end();
    expect(await watching).toBe(1);
    expect(shell.out()).toContain("github/ada");
    expect(shell.out()).not.toContain("L1ve");
    // No timer goes on.
    const before = shell.out();
    shell.clock.advance(5_000);
    expect(shell.out()).toBe(before);
  });

  it("follows a name to the next connection that gets it", async () => {
    const other = "33333333-3333-4333-8333-333333333333";
    const requests: WatchTokensRequest[] = [];
    const revoked = {
      connectionId,
      providerName: "github",
      userId: "alice",
      status: ConnectionStatus.REVOKED,
    };
    const bookmark = {
      event: { case: "bookmark" as const, value: { position: { epoch: "e", revision: 1n } } },
    };
    daemon.addConnection({ id: other, userId: "bob" });
    daemon.watch = async function* (request) {
      requests.push(request);
      yield { event: { case: "state", value: revoked } };
      yield { event: { case: "removed", value: { connectionId } } };
      yield bookmark;
      const next = { ...revoked, connectionId: other, status: ConnectionStatus.ACTIVE, revision: 1n };
      yield { event: { case: "state", value: next } };
      await enough;
      throw new ConnectError("enough", Code.PermissionDenied);
    };
    let end: () => void = () => {};
    const enough = new Promise<void>((resolve) => {
      end = resolve;
    });
    const shell = fakeShell({ env: daemon.env });
    const watching = run(["watch", "github", other.slice(0, 8)], shell);
    await expect.poll(() => shell.out()).toMatch(/github\/alice +33333333 {2}active +rev 1/);
    end();
    expect(await watching).toBe(1);
    expect(requests).toMatchObject([
      { connectionIds: [other], names: [{ providerName: "github", userId: "alice", label: "" }] },
    ]);
  });

  it("in a pipe writes lines alone", async () => {
    const shell = fakeShell({ env: daemon.env });
    const watching = run(["watch", connectionId], shell);
    end();
    expect(await watching).toBe(1);
    expect(shell.out()).toMatch(
      /^\d\d:\d\d:\d\d {2}github\/ada +22222222 {2}active +rev 3 +expires in 1m 5s\n/,
    );
    expect(shell.out()).not.toContain("\x1b");
  });
});

describe("watch without a terminal", () => {
  beforeEach(() => {
    daemon.watch = async function* ({ connectionIds, userId }) {
      const state = { connectionId, providerName: "github", userId, status: ConnectionStatus.ACTIVE };
      const credentials = { access_token: "L1ve" };
      yield { event: { case: "state", value: { ...state, revision: 1n, token: { credentials } } } };
      yield { event: { case: "bookmark", value: { position: { epoch: "e", revision: 1n } } } };
      yield { event: { case: "state", value: { ...state, revision: 2n, token: { credentials } } } };
      for (const id of connectionIds) yield { event: { case: "removed", value: { connectionId: id } } };
      yield { event: { case: "bookmark", value: { position: { epoch: "e", revision: 2n } } } };
    };
  });

  it("writes a line for each change, and ends when all that it watches is gone", async () => {
    const shell = await ended(1, ["watch", connectionId, "--user", "alice"], fakeShell({ env: daemon.env }));
    const lines = shell.out().trimEnd().split("\n");
    expect(lines.map((line) => line.slice(10))).toEqual([
      "github/alice          22222222  active     rev 1    does not expire",
      "github/alice          22222222  active     rev 2    does not expire",
      "github/alice          22222222  removed",
    ]);
    expect(shell.err()).toBe("nexusd: none of the connections exists any more\n");
  });

  it.each([
    ["a pipe, each 5 s with --json", ["--json"], false, 5n],
    ["a pipe, each 30 s for a person", [], false, 30n],
    ["a terminal, each 30 s", ["--json"], true, 30n],
  ])(
    "asks for bookmarks on %s: what it writes ends it when its reader has gone",
    async (_name, args, outIsTTY, seconds) => {
      const asked: (bigint | undefined)[] = [];
      const { watch } = daemon;
      daemon.watch = (request) => {
        asked.push(request.bookmarkInterval?.seconds);
        return watch(request);
      };
      await run(["watch", connectionId, ...args], fakeShell({ env: daemon.env, outIsTTY }));
      expect(asked).toEqual([seconds]);
    },
  );

  it("writes every message as JSON, without tokens", async () => {
    const shell = fakeShell({ env: daemon.env });
    await run(["watch", connectionId, "--json"], shell);
    expect(shell.out()).not.toContain("L1ve");
    expect(jsonLines(shell.out()).map((message) => Object.keys(message)[0])).toEqual([
      "state",
      "bookmark",
      "state",
      "removed",
      "bookmark",
    ]);
  });

  it("ends with 20 when nobody is there", async () => {
    const shell = fakeShell({ env: daemon.env });
    await daemon.stop();
    await ended(20, ["watch"], shell);
    expect(shell.err()).toMatch(/^nexusd: cannot .* not reachable at unix:.*: is `nexusd serve` running\?\n/);
    expect(shell.err()).toContain(daemon.socketPath);
  });
});

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { perTest } from "../../lifetimes.js";
import { FakeDaemon } from "../fake_daemon.js";
import { ended, fakeShell } from "../fake_shell.js";

const nowMs = Date.UTC(2026, 10, 27, 12, 40);
const at = (minutes: number) => timestampFromMs(nowMs + minutes * 60_000);
const seconds = (count: number) => ({ seconds: BigInt(count), nanos: 0 });

const activity = {
  time: at(0),
  startedAt: at(-129),
  recordedSince: at(-129),
  interval: seconds(900),
  intervals: [
    { start: at(-130), refreshed: 2n, retried: 0n, failed: 0n },
    { start: at(-115), refreshed: 1200n, retried: 1n, failed: 0n },
    { start: at(-100), refreshed: 0n, retried: 0n, failed: 0n },
    { start: at(-10), refreshed: 1n, retried: 0n, failed: 3n },
  ],
  expiries: [
    { within: seconds(0), count: 1n, refreshable: 0n },
    { within: seconds(3600), count: 40n, refreshable: 39n },
    { count: 2n, refreshable: 2n },
    { unlimited: true, count: 7n, refreshable: 0n },
  ],
  connectionsCounted: 50_000n,
  connectionsStored: 120_000n,
};
const streams = {
  time: at(0),
  count: 3,
  streams: [
    {
      principal: "key:ci\u001b[2J",
      rpc: "nexus.v1.TokenService/WatchTokens",
      listener: "grpc",
      origin: "192.0.2.7",
      openedAt: at(-125),
    },
  ],
};

describe("nexusd status --activity", () => {
  const daemon = perTest(() => new FakeDaemon());

  it("tells the refreshes by the hour, when tokens end, and who holds streams; no name steers the terminal", async () => {
    daemon.api.status = { getActivity: () => activity, listOpenStreams: () => streams };
    await daemon.start();
    const shell = await ended(0, ["status", "--activity"], fakeShell({ env: daemon.env }));
    expect(shell.out()).toBe(`REFRESHES since 2026-11-27T10:31:00Z, when the daemon started
HOUR               REFRESHED  RETRIED  FAILED
2026-11-27T10:00Z  1,202      1        0
2026-11-27T12:00Z  1          0        3

TOKEN ENDS (of 50,000 connections of 120,000)  TOKENS  REFRESHABLE
expired                                        1       0
within 1h                                      40      39
later                                          2       2
not known                                      7       0

OPEN STREAM OF  CALLED                    LISTENER  FROM       FOR
key:ci?[2J      TokenService/WatchTokens  grpc      192.0.2.7  2h 5m
and 2 more
`);
  });

  it("says that there was nothing, and is two lines of JSON by --json", async () => {
    const quiet = { ...activity, recordedSince: at(-100), intervals: [], connectionsStored: 50_000n };
    daemon.api.status = { getActivity: () => quiet, listOpenStreams: () => ({ count: 0 }) };
    await daemon.start();
    const shell = await ended(0, ["status", "--activity"], fakeShell({ env: daemon.env }));
    expect(shell.out()).toMatch(/^REFRESHES since 2026-11-27T11:00:00Z\nnone\n\nTOKEN ENDS +TOKENS/);
    expect(shell.out()).toMatch(/OPEN STREAMS\nnone\n$/);
    const json = await ended(0, ["status", "--activity", "--json"], fakeShell({ env: daemon.env }));
    const lines = json.out().trim().split("\n");
    expect(lines.map((line) => Object.keys(JSON.parse(line)))[0]).toContain("expiries");
    expect(lines).toHaveLength(2);
  });
});

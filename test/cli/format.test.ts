import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
import { WatchView, watchJson } from "../../src/cli/connections/watch_view.js";
import { durationMsOf, parseDurationMs, parseSince, parseTimeMs } from "../../src/cli/shell/option_values.js";
import {
  formatExpiry,
  formatFields,
  formatStatus,
  formatTable,
  formatTime,
  printable,
} from "../../src/cli/shell/text.js";
import { readVersion } from "../../src/config/version.js";
import { exitCodes } from "../../src/daemon/exit_codes.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import {
  type TokenState,
  TokenStateSchema,
  WatchTokensResponseSchema,
} from "../../src/gen/nexus/v1/token_pb.js";
import { formatDuration } from "../../src/model/quantity_text.js";
import { connectionId } from "./fake_daemon.js";
import { startMs } from "./fake_shell.js";

describe("since", () => {
  const now = new Date(2026, 10, 24, 12, 30);
  it.each([
    ["today", new Date(2026, 10, 24).getTime()],
    ["Yesterday", new Date(2026, 10, 23).getTime()],
    ["90m", now.getTime() - 5_400_000],
    ["2026-11-01", Date.UTC(2026, 10, 1)],
  ])("reads %s", (text, ms) => {
    expect(parseSince(text, now.getTime())).toBe(ms);
  });

  it.each(["tomorrow", "last week", ""])("says what it takes instead of %j", (text) => {
    expect(() => parseSince(text, now.getTime())).toThrow(/today, yesterday, or a time such as 2026/);
  });
});

describe("durations", () => {
  it.each([
    ["90s", 90_000],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["500ms", 500],
    ["0s", 0],
    ["1.5s", 1500],
    ["1d", 86_400_000],
  ])("reads %s", (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each(["", "60", "s", "5 m", "-5s", "5x", "5sx", "1e3s"])("refuses %j", (text) => {
    expect(() => parseDurationMs(text)).toThrow(InvalidArgumentError);
    expect(() => parseDurationMs(text)).toThrow(/is not a duration: write 90s, 5m or 1h30m/);
  });

  it.each([
    [59_999, "59s"],
    [60_000, "1m"],
    [3_600_000 + 5 * 60_000, "1h 5m"],
    [3_600_000 + 5_000, "1h"],
    [90_061_000, "1d 1h"],
    [999, "0s"],
    [-5, "0s"],
  ])("writes %d ms", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it("goes through messages and back", () => {
    expect(durationMsOf(durationFromMs(1500))).toBe(1500);
    expect(durationMsOf(undefined)).toBe(0);
  });
});

it("a time is in the calendar", () => {
  expect(parseTimeMs("2024-02-29")).toBe(Date.UTC(2024, 1, 29));
  expect(parseTimeMs("2024-02-29T01:00:00+01:00")).toBe(Date.UTC(2024, 1, 29));
  expect(parseTimeMs("5m")).toBeUndefined();
  for (const text of ["2023-02-29", "2020-02-30T00:00:00Z", "2020-01-01T25:00:00Z"]) {
    expect(() => parseTimeMs(text)).toThrow(InvalidArgumentError);
  }
});

describe("text", () => {
  it("aligns a table", () => {
    expect(
      formatTable(
        ["A", "LONGER"],
        [
          ["wide cell", "x"],
          ["y", ""],
        ],
      ),
    ).toBe("A          LONGER\nwide cell  x\ny\n");
  });

  it("aligns fields and leaves empty ones out", () => {
    const fields: [string, string][] = [
      ["a", "1"],
      ["long", "2"],
      ["gone", ""],
    ];
    expect(formatFields(fields)).toBe("a     1\nlong  2\n");
  });

  it("lets nobody steer the terminal", () => {
    expect(printable("a\u001b[2Jb\nc\u009bd\u202e")).toBe("a?[2Jb?c?d?");
    expect(formatTable(["A"], [["\u001b]0;x\u0007"]])).toBe("A\n?]0;x?\n");
  });

  it("writes times and states", () => {
    expect(formatExpiry(timestampFromMs(startMs + 59 * 60_000), startMs)).toBe("expires in 59m");
    expect(formatExpiry(timestampFromMs(startMs - 3000), startMs)).toBe("expired 3s ago");
    expect(formatExpiry(undefined, startMs)).toBe("");
    expect(formatTime(timestampFromMs(startMs))).toBe("2026-11-24T12:00:00Z");
    expect(formatStatus(ConnectionStatus.ATTENTION)).toBe("attention");
    expect(formatStatus(42 as ConnectionStatus)).toBe("status 42");
  });
});

it("no two exit codes are the same", () => {
  expect(new Set(Object.values(exitCodes)).size).toBe(Object.values(exitCodes).length);
});

it("the version is that of the package", () => {
  expect(readVersion()).toMatch(/^\d+\.\d+\.\d+/);
});

describe("WatchView", () => {
  const message = (event: TokenState | "reset" | "bookmark" | "removed") => {
    if (event === "reset") return create(WatchTokensResponseSchema, { event: { case: "reset", value: {} } });
    if (event === "bookmark") {
      return create(WatchTokensResponseSchema, { event: { case: "bookmark", value: {} } });
    }
    if (event === "removed") {
      return create(WatchTokensResponseSchema, { event: { case: "removed", value: { connectionId } } });
    }
    return create(WatchTokensResponseSchema, { event: { case: "state", value: event } });
  };
  const state = (revision: bigint): TokenState =>
    create(TokenStateSchema, {
      connectionId,
      providerName: "github",
      userId: "ada/x",
      label: "work",
      status: ConnectionStatus.ACTIVE,
      revision,
      token: {
        credentials: { access_token: "L1ve" },
        expiresAt: timestampFromMs(startMs + 59 * 60_000),
        revision,
      },
    });

  it("writes a line that a person can read", () => {
    const [line] = new WatchView().lines(message(state(3n)), startMs);
    expect(line).toMatch(
      /^\d\d:\d\d:\d\d {2}github\/ada%2Fx\/work {3}22222222 {2}active {5}rev 3 {4}expires in 59m\n$/,
    );
  });

  it("says what is wrong and when it is tried again", () => {
    const failing = create(TokenStateSchema, {
      connectionId,
      providerName: "github",
      status: ConnectionStatus.ACTIVE,
      revision: 3n,
      problem: { reason: "refresh_failing", retryAt: timestampFromMs(startMs + 90_000) },
    });
    const [line] = new WatchView().lines(message(failing), startMs);
    expect(line).toContain("rev 3    expired  refresh_failing, next try in 1m 30s");
  });

  it("says nothing twice, and what a new snapshot leaves out is removed", () => {
    const view = new WatchView();
    expect(view.lines(message(state(1n)), startMs)).toHaveLength(1);
    expect(view.lines(message(state(1n)), startMs)).toEqual([]);
    expect(view.lines(message("reset"), startMs)).toEqual([]);
    expect(view.lines(message(state(1n)), startMs)).toEqual([]);
    expect(view.lines(message("bookmark"), startMs)).toEqual([]);
    view.lines(message("reset"), startMs);
    expect(view.lines(message("bookmark"), startMs)[0]).toMatch(
      /github\/ada%2Fx\/work {3}22222222 {2}removed\n$/,
    );
    expect(view.size).toBe(0);
  });

  it("never shows a token", () => {
    expect(new WatchView().lines(message(state(1n)), startMs).join()).not.toContain("L1ve");
    const original = message(state(1n));
    expect(watchJson(original)).not.toContain("L1ve");
    expect(JSON.parse(watchJson(original))).toMatchObject({
      state: { connection_id: connectionId, token: { expires_at: "2026-11-24T12:59:00Z" } },
    });
    expect(original.event.case === "state" && original.event.value.token?.credentials).toEqual({
      access_token: "L1ve",
    });
  });
});

import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
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
import { exitCodes } from "../../src/core/exit_codes.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { formatDuration } from "../../src/model/quantity_text.js";
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

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { LivePanel, WatchView, watchJson } from "../../../src/ext/watch/watch_view.js";
import { ConnectionStatus } from "../../../src/gen/nexus/v1/connection_pb.js";
import {
  type TokenState,
  TokenStateSchema,
  WatchTokensResponseSchema,
} from "../../../src/gen/nexus/v1/token_pb.js";
import { connectionId } from "../../cli/fake_daemon.js";
import { startMs } from "../../cli/fake_shell.js";

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

function panelOf(rows?: number) {
  const written: string[] = [];
  const panel = new LivePanel({ rows, write: (text) => void written.push(text) });
  return { panel, written };
}

describe("a live panel", () => {
  it("stands below the lines that stay, and is drawn over itself", () => {
    const { panel, written } = panelOf(24);
    panel.draw(["first\n"], ["a", "b"]);
    panel.draw(["second\n"], ["c"]);
    panel.draw([], ["d"]);
    expect(written).toEqual(["first\na\nb\n", "\x1b[2A\x1b[0Jsecond\nc\n", "\x1b[1A\x1b[0Jd\n"]);
  });

  it("is never higher than the terminal", () => {
    const { panel, written } = panelOf(4);
    panel.draw([], ["a", "b", "c", "d", "e"]);
    panel.draw([], []);
    expect(written).toEqual(["a\nb\nand 3 more\n", "\x1b[3A\x1b[0J"]);
  });
});

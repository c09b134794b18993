import { describe, expect, it } from "vitest";
import { ForeignIntents } from "../../../src/domain/refresh/foreign_intents.js";
import type { Connection, RefreshIntent } from "../../../src/model/connections/connection.js";
import { ManualClock } from "../../../src/runtime/manual_clock.js";

const startMs = 1_800_000_000_000;
const own = "5f0c2f3c-6a8e-4b0e-9d4e-000000000001";
const other = "5f0c2f3c-6a8e-4b0e-9d4e-000000000002";

const connection = (livesMs: number) => ({ id: "c", expiresAtMs: startMs + livesMs }) as Connection;
const intent = (owner?: string): RefreshIntent => ({
  ...(owner !== undefined && { owner }),
  credentialRevision: 1n,
  startedAtMs: startMs,
  sends: 1,
});

function leading() {
  const clock = new ManualClock(startMs);
  const intents = new ForeignIntents(own, clock);
  const over: string[] = [];
  intents.onOver = (connectionId) => void over.push(connectionId);
  intents.begin();
  return { clock, intents, over };
}

describe("an intent of another process", () => {
  it.each([
    ["a token of an hour", 3_600_000, 600_000],
    ["a token of five minutes", 300_000, 240_000],
    ["a token that ends soon", 30_000, 15_000],
    ["a token that is dead", -5_000, 15_000],
  ])("is left alone while %s allows it", (_, livesMs, waitMs) => {
    const { clock, intents, over } = leading();
    expect(intents.isLeftAlone(connection(livesMs), intent(other))).toBe(true);
    clock.advance(waitMs - 1);
    expect(intents.isLeftAlone(connection(livesMs), intent(other))).toBe(true);
    expect(over).toEqual([]);
    clock.advance(1);
    expect(over).toEqual(["c"]);
    expect(intents.isLeftAlone(connection(livesMs), intent(other))).toBe(false);
  });

  it("is an earlier attempt's at once where it is of this process, or of a daemon that was alone", () => {
    const { intents } = leading();
    expect(intents.isLeftAlone(connection(3_600_000), intent(own))).toBe(false);
    expect(intents.isLeftAlone(connection(3_600_000), intent())).toBe(false);
  });
});

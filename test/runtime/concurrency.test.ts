import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { fullJitterMs } from "../../src/runtime/backoff.js";
import { KeyedMutex } from "../../src/runtime/keyed_mutex.js";
import { Secret } from "../../src/runtime/secret.js";
import { SingleFlight } from "../../src/runtime/single_flight.js";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("SingleFlight", () => {
  it("makes one call for all who come while it is under way, and a new one afterwards", async () => {
    const flights = new SingleFlight<string, number>();
    let calls = 0;
    const call = async (): Promise<number> => {
      calls++;
      await turn();
      return calls;
    };
    expect(
      await Promise.all([flights.run("a", call), flights.run("a", call), flights.run("b", call)]),
    ).toEqual([2, 2, 2]);
    expect(await flights.run("a", call)).toBe(3);
    expect(flights.size).toBe(0);
  });

  it("forgets a call that failed, and waits for all in settled()", async () => {
    const flights = new SingleFlight<string, number>();
    const failing = flights.run("a", () => Promise.reject(new Error("no")));
    await flights.settled();
    await expect(failing).rejects.toThrow("no");
    expect(flights.has("a")).toBe(false);
  });
});

describe("KeyedMutex", () => {
  it("lets one in per key, in order, and keeps keys apart", async () => {
    const mutex = new KeyedMutex<string>();
    const log: string[] = [];
    const section = (name: string) => async (): Promise<void> => {
      log.push(`${name} in`);
      await turn();
      log.push(`${name} out`);
    };
    await Promise.all([
      mutex.run("k", section("1")),
      mutex.run("k", section("2")),
      mutex.run("other", section("3")),
    ]);
    expect(log.filter((line) => !line.startsWith("3"))).toEqual(["1 in", "1 out", "2 in", "2 out"]);
    expect(log.indexOf("3 in")).toBeLessThan(log.indexOf("1 out"));
    expect(mutex.size).toBe(0);
  });

  it("lets the next in when a section throws", async () => {
    const mutex = new KeyedMutex<string>();
    const failing = mutex.run("k", () => Promise.reject(new Error("no")));
    const next = mutex.run("k", () => Promise.resolve("in"));
    await expect(failing).rejects.toThrow("no");
    expect(await next).toBe("in");
  });
});

describe("fullJitterMs", () => {
  it.each([
    [1, 0.5, 50],
    [2, 0.5, 100],
    [3, 0, 0],
    [50, 0.5, 500],
    [5000, 0.5, 500],
  ])("after %i failures with a draw of %d is %i", (failures, random, expected) => {
    expect(fullJitterMs({ baseMs: 100, maxMs: 1000 }, failures, random)).toBe(expected);
  });
});

describe("Secret", () => {
  it("prints as [redacted] in every way, and reveals when asked", () => {
    const secret = new Secret("hunter2");
    for (const text of [
      `${secret}`,
      String(secret),
      JSON.stringify({ secret }),
      inspect({ secret }, { depth: 9, showHidden: true }),
    ]) {
      expect(text).toContain("[redacted]");
      expect(text).not.toContain("hunter2");
    }
    expect(secret.reveal()).toBe("hunter2");
  });
});

import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { publicNetworks } from "../../src/outbound/address_judge.js";
import { OutboundError, type OutboundPhase, type OutboundReason } from "../../src/outbound/outbound_fetch.js";
import { canReachAny, ProviderReach } from "../../src/outbound/provider_reach.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { freePort } from "../free_port.js";
import { perTest } from "../lifetimes.js";

const forMs = 30_000;

type Outcome = "answer" | readonly [OutboundReason, OutboundPhase];

/** A way out whose outcomes are told, at a clock that is told too. */
function watched() {
  const clock = new ManualClock(0);
  const reach = new ProviderReach(clock);
  const request = async (outcome: Outcome, host = "op.example"): Promise<void> => {
    const out = reach.watched(async () => {
      if (outcome !== "answer") throw new OutboundError(outcome[0], outcome[1], host);
      return new Response("{}");
    });
    await out(`https://${host}/token?secret=1`, { method: "POST", headers: {} }).catch(() => undefined);
  };
  return { clock, reach, request };
}

const refused: Outcome = ["network", "before_send"];

describe("that no provider is reached", () => {
  it("is told when it lasts, by origins alone", async () => {
    const { clock, reach, request } = watched();
    await request(refused, "one.example");
    await request(["timeout", "before_send"], "two.example");
    await request(refused, "two.example");
    clock.advance(forMs - 1);
    expect(reach.unreached(forMs)).toEqual([]);
    clock.advance(1);
    expect(reach.unreached(forMs)).toEqual(["https://one.example", "https://two.example"]);
  });

  it("is not told of two failures", async () => {
    const { clock, reach, request } = watched();
    await request(refused);
    await request(refused);
    clock.advance(forMs);
    expect(reach.unreached(forMs)).toEqual([]);
    await request(refused);
    expect(reach.unreached(forMs)).toEqual(["https://op.example"]);
  });

  const reached: readonly Outcome[] = [
    "answer",
    ["network", "after_send"],
    ["timeout", "after_send"],
    ["redirect", "after_send"],
    ["too_large", "after_send"],
    ["not_leading", "before_send"],
    ["client_certificate", "before_send"],
  ];
  it.each(reached.map((outcome) => ({ outcome })))("is over with $outcome", async ({ outcome }) => {
    const { clock, reach, request } = watched();
    for (let count = 0; count < 3; count++) await request(refused);
    clock.advance(forMs);
    await request(outcome, "other.example");
    expect(reach.unreached(forMs)).toEqual([]);
    // It begins anew.
    for (let count = 0; count < 3; count++) await request(refused);
    expect(reach.unreached(forMs)).toEqual([]);
    clock.advance(forMs);
    expect(reach.unreached(forMs)).toEqual(["https://op.example"]);
  });

  const silent: readonly Outcome[] = [
    ["aborted", "before_send"],
    ["forbidden_address", "before_send"],
    ["forbidden_url", "before_send"],
  ];
  it.each(silent.map((outcome) => ({ outcome })))(
    "is not told of $outcome, nor is it over",
    async ({ outcome }) => {
      const { clock, reach, request } = watched();
      for (let count = 0; count < 5; count++) await request(outcome);
      clock.advance(forMs);
      expect(reach.unreached(forMs)).toEqual([]);
      for (let count = 0; count < 3; count++) await request(refused);
      await request(outcome);
      clock.advance(forMs);
      expect(reach.unreached(forMs)).toEqual(["https://op.example"]);
    },
  );

  it("is judged by what was reached before, of which the last sixteen are known", async () => {
    const { reach, request } = watched();
    await request("answer", "first.example");
    for (let count = 0; count < 16; count++) await request("answer", `op${count}.example`);
    await request(["network", "after_send"], "op0.example");
    await request(refused, "dead.example");
    const others = Array.from({ length: 15 }, (_, index) => `https://op${index + 1}.example`);
    expect(reach.reached).toEqual([...others, "https://op0.example"]);
  });

  it("names sixteen origins at most", async () => {
    const { clock, reach, request } = watched();
    for (let count = 0; count < 40; count++) await request(refused, `op${count}.example`);
    clock.advance(forMs);
    expect(reach.unreached(forMs)).toHaveLength(16);
  });
});

describe("a trial whether an origin is reached", () => {
  const loopback = { ...publicNetworks, allowLoopback: true };
  const received: string[] = [];
  const server = perTest(async () => {
    const sockets = new Set<Socket>();
    const made = createServer((socket) => {
      sockets.add(
        socket.on("data", (bytes) => {
          received.push(String(bytes));
          socket.destroy();
        }),
      );
    });
    await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
    return {
      origin: `http://127.0.0.1:${(made.address() as AddressInfo).port}`,
      close: async () => {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => made.close(resolve));
      },
    };
  });

  it("opens a connection and sends nothing", async () => {
    const closed = `http://127.0.0.1:${await freePort()}`;
    expect(await canReachAny([closed, server.origin], loopback)).toBe(true);
    expect(received).toEqual([]);
  });

  it("fails where nobody listens, where the settings forbid it, and of none", async () => {
    expect(await canReachAny([`http://127.0.0.1:${await freePort()}`], loopback)).toBe(false);
    expect(await canReachAny([server.origin], publicNetworks)).toBe(false);
    expect(await canReachAny([], loopback)).toBe(false);
    // Whoever speaks no TLS is no provider.
    expect(await canReachAny([server.origin.replace("http:", "https:")], loopback)).toBe(false);
  });
});

import { Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { SocketGuard, type SocketGuardOptions } from "../../../src/server/sockets/socket_guard.js";
import { noteCredential } from "../../../src/server/sockets/socket_notes.js";
import { ManualClock } from "../../fakes/manual_clock.js";

describe("D1: unauthenticated connections of several addresses", () => {
  const clock = new ManualClock(0);

  function guarded(options: Partial<SocketGuardOptions>) {
    let full = 0;
    const guard = new SocketGuard({ maxConnections: 4, clock, onFull: () => void full++, ...options });
    onTestFinished(() => guard.close());
    const open = (address: string): Socket => {
      const socket = new Socket();
      onTestFinished(() => void socket.destroy());
      Object.defineProperty(socket, "remoteAddress", { value: address });
      guard.add(socket);
      return socket;
    };
    return { guard, open, full: () => full };
  }
  const alive = (sockets: readonly Socket[]): boolean[] => sockets.map(({ destroyed }) => !destroyed);

  it("the address with the most makes room, its oldest first, and never another", () => {
    const { open, full, guard } = guarded({});
    const other = open("192.0.2.7");
    const flood = Array.from({ length: 10 }, () => open("192.0.2.66"));
    const late = open("192.0.2.8");
    expect(alive([other, late])).toEqual([true, true]);
    expect(alive(flood)).toEqual([...Array(8).fill(false), true, true]);
    expect([guard.count, full()]).toEqual([4, 8]);
  });

  it("have a share of the places: the rest is for callers with a credential", () => {
    const { open, full } = guarded({ maxConnections: 8, maxUnauthenticated: 2 });
    const callers = [open("192.0.2.7"), open("192.0.2.7")];
    for (const caller of callers) noteCredential(caller);
    const flood = Array.from({ length: 5 }, () => open("192.0.2.66"));
    expect(alive(flood)).toEqual([false, false, false, true, true]);
    expect([alive(callers), full()]).toEqual([[true, true], 0]);
  });

  it("are let finish where many addresses have few each: the new one is closed for five seconds", () => {
    const { open } = guarded({ maxConnections: 400, maxUnauthenticated: 20 });
    const crowd = Array.from({ length: 20 }, (_, index) => open(`192.0.2.${index}`));
    expect([open("192.0.2.99").destroyed, alive(crowd)]).toEqual([true, Array(20).fill(true)]);
    noteCredential(crowd[7]);
    expect(open("192.0.2.99").destroyed).toBe(false);
    clock.advance(5_000);
    expect([open("192.0.2.98").destroyed, crowd[0]?.destroyed]).toEqual([false, true]);
  });

  it("of a few addresses do not shut out a caller whose address has fewer", () => {
    const { open } = guarded({ maxConnections: 400, maxUnauthenticated: 40 });
    const flood = Array.from({ length: 40 }, (_, index) => open(`192.0.2.${index % 10}`));
    expect(open("192.0.2.99").destroyed).toBe(false);
    expect(alive(flood).filter((each) => !each)).toHaveLength(1);
  });

  it("do not push out callers with a credential: when these have all places, the new one is closed", () => {
    const { open, full } = guarded({ maxConnections: 2 });
    const callers = [open("192.0.2.7"), open("192.0.2.8")];
    for (const caller of callers) noteCredential(caller);
    expect([open("192.0.2.9").destroyed, alive(callers), full()]).toEqual([true, [true, true], 1]);
  });

  it("live for a short time, callers with a credential without end", () => {
    const { open } = guarded({ unauthenticatedLifeMs: 30_000 });
    const [caller, other] = [open("192.0.2.7"), open("192.0.2.8")];
    noteCredential(caller);
    // It says something, so that its silence is not what ends it.
    for (const socket of [caller, other]) Object.defineProperty(socket, "bytesRead", { value: 1 });
    clock.advance(25_000);
    expect(alive([caller, other])).toEqual([true, true]);
    clock.advance(10_000);
    expect(alive([caller, other])).toEqual([true, false]);
  });
});

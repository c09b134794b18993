import { spawnSync } from "node:child_process";
import { Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { defaultLimits } from "../../../src/model/limits.js";
import { loadSystemCalls, platformOf, type SystemCalls } from "../../../src/runtime/runtime.js";
import { guardOf } from "../../../src/server/listen/listener_limits.js";
import { Descriptors } from "../../../src/server/sockets/socket_guard.js";
import { noteCredential } from "../../../src/server/sockets/socket_notes.js";
import { ManualClock } from "../../fakes/manual_clock.js";

/** @param address undefined: of a Unix socket */
function socketOf(fd: number, address: string | undefined = "192.0.2.7"): Socket {
  const socket = new Socket();
  onTestFinished(() => void socket.destroy());
  Object.defineProperty(socket, "remoteAddress", { value: address });
  const handle = { fd, close: (closed: () => void) => closed(), reading: false };
  Object.defineProperty(socket, "_handle", { value: handle, writable: true });
  return socket;
}

it.each([
  [1_000, 750],
  [20_000, 19_488],
])("of %d descriptors, callers may use %d", (limit, forCallers) => {
  const descriptors = new Descriptors(limit);
  expect(descriptors.forCallers).toBe(forCallers);
  const half = (limit - forCallers) / 2;
  const at = (fd: number, isNeeded = false) => descriptors.isReserved(socketOf(fd), isNeeded);
  expect([at(forCallers - 1), at(forCallers)]).toEqual([false, true]);
  expect([at(forCallers + half - 1, true), at(forCallers + half, true)]).toEqual([false, true]);
});

it("keeps nothing back where the limit is not known", () => {
  expect(new Descriptors(undefined).isReserved(socketOf(1_000_000))).toBe(false);
});

/** Writes what macOS's getrlimit(2) writes. */
function rlimitOfMacOs(soft: number | bigint, result = 0) {
  const calls: number[] = [];
  const getrlimit: SystemCalls["getrlimit"] = (resource, limits) => {
    calls.push(resource);
    limits.splice(0, 2, soft, 2n ** 63n - 1n);
    return result;
  };
  return { calls, load: async () => ({ ...(await loadSystemCalls()), getrlimit }) };
}

it("knows the limit of this process", async () => {
  const shell = spawnSync("/bin/sh", ["-c", "ulimit -Sn"], { encoding: "utf8" });
  expect((await Descriptors.ofProcess()).limit).toBe(Number(shell.stdout));
});

it("asks macOS for RLIMIT_NOFILE by its number there", async () => {
  const macOs = rlimitOfMacOs(10_240);
  expect((await Descriptors.ofProcess(platformOf("darwin", "arm64"), macOs.load)).limit).toBe(10_240);
  expect(macOs.calls).toEqual([8]);
});

it.each([
  ["has no limit", rlimitOfMacOs(2n ** 63n - 1n).load, "darwin"],
  ["does not answer", rlimitOfMacOs(0, -1).load, "darwin"],
  ["cannot be called", () => Promise.reject(new Error("no library")), "darwin"],
  ["is another one", loadSystemCalls, "freebsd"],
])("knows no limit of a system that %s", async (_name, load, system) => {
  expect((await Descriptors.ofProcess(platformOf(system, "arm64"), load)).limit).toBeUndefined();
});

it.each([
  ["grpc", true],
  ["http", true],
  ["browser", false],
])(
  "%s lets no socket stay in the reserve, and makes room for the next one by closing who showed nothing",
  (listener, isForCallers) => {
    const full: string[] = [];
    const descriptors = new Descriptors(1_000);
    const onFull = (name: string, of: string): void => void full.push(`${name} ${of}`);
    const bounds = { limits: defaultLimits, clock: new ManualClock(0), descriptors, onFull };
    const guard = guardOf(bounds, listener, isForCallers, false);
    onTestFinished(() => guard?.close());
    const [caller, stranger, above] = [socketOf(20), socketOf(21), socketOf(750)];
    const [next, last] = [socketOf(21), socketOf(750)];
    for (const socket of [caller, stranger]) guard?.add(socket);
    noteCredential(caller);
    guard?.add(above);
    expect([caller, stranger, above].map(({ destroyed }) => destroyed)).toEqual([false, true, true]);
    guard?.add(next);
    noteCredential(next);
    guard?.add(last);
    expect([caller, next, last].map(({ destroyed }) => destroyed)).toEqual([false, false, true]);
    expect(full).toEqual([`${listener} descriptors`, `${listener} descriptors`]);
    const owner = socketOf(752, "");
    const ofUnix = guardOf(bounds, listener, isForCallers, true);
    onTestFinished(() => ofUnix?.close());
    ofUnix?.add(owner);
    expect(owner.destroyed).toBe(false);
  },
);

it("a listener that is needed goes on in half of what is kept back", () => {
  const bounds = { limits: defaultLimits, clock: new ManualClock(0), descriptors: new Descriptors(1_000) };
  const guard = guardOf({ ...bounds, isNeeded: true, onFull: () => undefined }, "ops", false, false);
  onTestFinished(() => guard?.close());
  const [next, last] = [socketOf(874), socketOf(875)];
  for (const socket of [next, last]) {
    guard?.add(socket);
    noteCredential(socket);
  }
  expect([next.destroyed, last.destroyed]).toEqual([false, true]);
});

import { describe, expect, it } from "vitest";
import {
  loadSendto,
  openServiceManager,
  socketAddress,
  watchdogIntervalMs,
} from "../../../src/ext/systemd/service_manager.js";
import { loadSystemCalls, platformOf } from "../../../src/runtime/runtime.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { silentLog } from "../../silent_log.js";

const env = { NOTIFY_SOCKET: "/run/systemd/notify" };

/** A manager that notes what it is told. */
async function told(variables: NodeJS.ProcessEnv) {
  const messages: string[] = [];
  const clock = new ManualClock(0);
  const load = async () => (_address: Uint8Array, text: string) => void messages.push(text);
  return { messages, clock, manager: await openServiceManager(variables, { clock, log: silentLog, load }) };
}

describe("the service manager", () => {
  it("is told when the daemon is ready, and when it ends", async () => {
    const { messages, clock, manager } = await told(env);
    manager.ready();
    clock.advance(3_600_000);
    manager.stopping();
    expect(messages).toEqual(["READY=1\nSTATUS=serving\n", "STOPPING=1\nSTATUS=letting refreshes finish\n"]);
  });

  it("has its watchdog fed twice in its time, also while the daemon ends", async () => {
    const { messages, clock, manager } = await told({ ...env, WATCHDOG_USEC: "60000000" });
    clock.advance(120_000);
    expect(messages).toEqual([]);
    manager.ready();
    clock.advance(30_000);
    manager.stopping();
    clock.advance(29_999);
    expect(messages.filter((message) => message === "WATCHDOG=1\n")).toHaveLength(2);
    clock.advance(1);
    expect(messages.filter((message) => message === "WATCHDOG=1\n")).toHaveLength(3);
  });

  it.each([{}, { NOTIFY_SOCKET: "" }, { NOTIFY_SOCKET: "vsock:2:1234" }])(
    "is none where nobody asks: %j",
    async (variables) => {
      const { messages, manager } = await told(variables);
      manager.ready();
      manager.stopping();
      expect(messages).toEqual([]);
    },
  );

  it.each([
    ["cannot be loaded", async () => Promise.reject(new Error("no libc"))],
    [
      "cannot be reached",
      async () => () => {
        throw new Error("sendto: errno 111");
      },
    ],
  ])("that %s does not end the daemon", async (_name, load) => {
    const clock = new ManualClock(0);
    const manager = await openServiceManager(
      { ...env, WATCHDOG_USEC: "2000000" },
      { clock, log: silentLog, load },
    );
    manager.ready();
    clock.advance(5_000);
    manager.stopping();
  });

  it("is none on macOS, and no library is loaded for it", async () => {
    const load = () => loadSendto(platformOf("darwin", "arm64"), () => expect.unreachable());
    await expect(load()).rejects.toThrow("macOS has no service manager of this kind");
    (await openServiceManager(env, { clock: new ManualClock(0), log: silentLog, load })).ready();
  });

  it("reports what the system says against a datagram, and closes its socket", async () => {
    const closed: number[] = [];
    const close = (fd: number) => closed.push(fd);
    const load = async () => ({ ...(await loadSystemCalls()), socket: () => 7, sendto: () => -1, close });
    const send = await loadSendto(platformOf("linux", "x64"), load);
    expect(() => send(Buffer.from("address"), "READY=1")).toThrow(/^sendto: errno \d+$/);
    expect(closed).toEqual([7]);
  });

  it.each([
    [{ WATCHDOG_USEC: "3000000" }, 1500],
    [{ WATCHDOG_USEC: "3000000", WATCHDOG_PID: "42" }, 1500],
    [{ WATCHDOG_USEC: "3000000", WATCHDOG_PID: "43" }, undefined],
    [{}, undefined],
    [{ WATCHDOG_USEC: "0" }, undefined],
    [{ WATCHDOG_USEC: "soon" }, undefined],
  ])("asks for a watchdog by %j", (variables, intervalMs) => {
    expect(watchdogIntervalMs(variables, 42)).toBe(intervalMs);
  });

  it.each([
    ["/a", [1, 0, 0x2f, 0x61, 0]],
    ["@a", [1, 0, 0, 0x61]],
    ["relative", undefined],
    ["/", undefined],
    [`/${"a".repeat(106)}`, 110],
    [`/${"a".repeat(107)}`, undefined],
  ])("listens at %s", (text, bytes) => {
    const address = socketAddress(text);
    if (typeof bytes === "number") expect(address).toHaveLength(bytes);
    else expect(address && [...address]).toEqual(bytes);
  });
});

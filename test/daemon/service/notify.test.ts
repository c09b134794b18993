import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { needs } from "../../needs.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { DaemonProcess } from "../daemon_process.js";
import { Place } from "../harness.js";

beforeEach((context) => needs(context, "python3"));

/** As systemd listens: a datagram socket, and who sent. */
const receiver = `
import json, socket, struct, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print(json.dumps("bound"), flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(12))
    pid = struct.unpack("3i", ancillary[0][2])[0]
    print(json.dumps([pid, data.decode()]), flush=True)
`;

it.each([
  ["a path", () => join(temporaryFolder(), "notify")],
  ["an abstract name", () => `@nexusd-test-${process.pid}`],
])("tells a service manager at %s that it is ready, alive, and ending", async (_name, address) => {
  const path = address();
  const manager = spawn("python3", ["-c", receiver, path], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(async () => {
    manager.kill();
    await once(manager, "close");
  });
  const lines = createInterface({ input: manager.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => JSON.parse((await lines.next()).value as string);
  expect(await next()).toBe("bound");
  const place = await Place.make();
  const daemon = new DaemonProcess({ ...place.environment, NOTIFY_SOCKET: path, WATCHDOG_USEC: "200000" });
  // Main process, which NotifyAccess=main asks for.
  expect(await next()).toEqual([daemon.pid, "READY=1\nSTATUS=serving\n"]);
  await daemon.ready();
  expect(await next()).toEqual([daemon.pid, "WATCHDOG=1\n"]);
  expect(await next()).toEqual([daemon.pid, "WATCHDOG=1\n"]);
  daemon.signal("SIGTERM");
  const rest: unknown[] = [];
  while (!JSON.stringify(rest).includes("STOPPING=1")) rest.push(await next());
  expect(await daemon.exited).toBe(0);
});

it("serves when the manager does not listen any more", async () => {
  const place = await Place.make();
  const nowhere = join(temporaryFolder(), "nobody");
  const daemon = new DaemonProcess({ ...place.environment, NOTIFY_SOCKET: nowhere });
  await daemon.ready();
  await daemon.wrote(/the service manager could not be told/);
  expect(await daemon.kill("SIGTERM")).toBe(0);
});

import { chmodSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { exitCodes } from "../../src/core/exit_codes.js";
import { needs } from "../needs.js";
import { DaemonProcess } from "./daemon_process.js";
import { Place } from "./harness.js";

/** Started once, so that all its files are there. */
async function used(): Promise<{ readonly place: Place; readonly folder: string }> {
  const place = await Place.make({});
  const first = new DaemonProcess(place.environment);
  await first.ready();
  await first.kill("SIGTERM");
  return { place, folder: place.config.dataDir };
}

/** How it ends that is started as `wrapper` does. */
async function ended({ environment }: Place, wrapper: readonly string[]) {
  const daemon = new DaemonProcess(environment, ["serve"], wrapper);
  return { code: await daemon.exited, output: daemon.output };
}

it("a data folder on a file system that is mounted read-only is named as that, and waits for a restart", async (context) => {
  needs(context, "bubblewrap");
  const { place, folder } = await used();
  const { code, output } = await ended(place, ["bwrap", "--dev-bind", "/", "/", "--ro-bind", folder, folder]);
  expect(output).toContain(
    `the data folder ${folder} is on a file system that is mounted read-only: mount it`,
  );
  // Code 2 keeps a service manager from starting it again.
  expect(code).toBe(exitCodes.storeNotWritten);
});

it("a data folder that this user cannot write is named as that", async (context) => {
  needs(context, "bubblewrap");
  const { place, folder } = await used();
  // Of root, only what has no capability is refused.
  const wrapper = ["bwrap", "--dev-bind", "/", "/", "--cap-drop", "ALL"];
  chmodSync(folder, 0o500);
  const refused = await ended(place, wrapper);
  expect(refused.output).toContain(`the data folder ${folder} cannot be made or written (EACCES)`);
  chmodSync(folder, 0o700);
  chmodSync(join(folder, "nexusd.lock"), 0o400);
  const file = await ended(place, wrapper);
  expect(file.output).toContain(`nexusd.lock cannot be used (EACCES): let this user read and write it`);
  expect([refused.code, file.code]).toEqual([exitCodes.usage, exitCodes.usage]);
});

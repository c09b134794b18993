import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { Place } from "../daemon/harness.js";
import { temporaryFolder } from "../temporary_folder.js";

describe("nexusd serve --policy", () => {
  const folder = temporaryFolder();
  const file = join(folder, "policy.yaml");
  let running: DaemonProcess | undefined;
  afterEach(async () => {
    await running?.kill("SIGKILL");
  });

  it("refuses a broken file with exit code 2, and reads a good one again on SIGHUP", async () => {
    const place = await Place.make();
    const serve = (): DaemonProcess => new DaemonProcess(place.environment, ["serve", "--policy", file]);
    writeFileSync(file, "bindings:\n  - principals: [nobody]\n    role: agent\n");
    const refused = serve();
    expect(await refused.exited).toBe(2);
    expect(refused.output).toContain(
      "policy.yaml:2:18: principals[0]: must begin with one of key: cert: jwt: uid:",
    );
    writeFileSync(file, "bindings: []\n");
    running = serve();
    await running.ready();
    expect(running.output).toContain('"bindings":0');
    writeFileSync(file, 'bindings:\n  - principals: ["uid:1000"]\n    role: operator\n');
    running.signal("SIGHUP");
    await running.wrote(/"bindings":1/);
    expect(await running.kill("SIGTERM")).toBe(0);
  });
});

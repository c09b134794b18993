import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** Makes the release of the present commit once for all files, signed by a key of this run. A folder in `NEXUS_TEST_RELEASE` is used as it is. */
export function setup(): () => void {
  if (process.env["NEXUS_TEST_RELEASE"] !== undefined) return () => {};
  const folder = mkdtempSync(join(tmpdir(), "nexusd-made-"));
  const [key, out] = [join(folder, "key"), join(folder, "release")];
  const runs = [
    ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "release@nexusd.example", "-f", key],
    ["npm", "run", "--silent", "release", "--", "--out", out, "--key", key],
  ];
  for (const [program = "", ...args] of runs) {
    const { status } = spawnSync(program, args, { cwd: root, stdio: ["ignore", 2, 2] });
    if (status !== 0) throw new Error(`${program} ended with ${status}`);
  }
  process.env["NEXUS_TEST_RELEASE"] = out;
  return () => rmSync(folder, { recursive: true, force: true });
}

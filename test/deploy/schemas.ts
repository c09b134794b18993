import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** From the first release with native sidecars on by default to the newest whose schemas the package carries. */
export const versions = ["1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"];

/** What kubernetes-validate says of manifests by the schemas of a version. */
export function validate(text: string, version: string): { code: number | null; output: string } {
  const file = join(mkdtempSync(join(tmpdir(), "nexus-manifests-")), "built.yaml");
  writeFileSync(file, text);
  const words = ["--strict", "-k", version, file];
  const { status, stdout, stderr, error } = spawnSync("kubernetes-validate", words, { encoding: "utf8" });
  if (error) throw error;
  return { code: status, output: stdout + stderr };
}

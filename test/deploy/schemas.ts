import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../temporary_folder.js";
import type { KubernetesObject } from "./manifests.js";

/** From the first release with native sidecars on by default to the newest whose schemas the package carries. */
export const versions = ["1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"];

/**
 * What is wrong with manifests by the schemas of a version of Kubernetes.
 *
 * @param objects of the manifests, each of which has to be judged
 * @returns nothing where all are good
 */
export function schemaFaults(text: string, objects: readonly KubernetesObject[], version: string): string[] {
  const { code, output } = validate(text, version);
  if (code !== 0) return [output];
  return objects
    .map(({ kind, metadata }) => `resource ${kind.toLowerCase()}/${metadata.name}`)
    .filter((object) => !output.includes(`passed for ${object} against version ${version}`))
    .map((object) => `${object} was not judged: ${output}`);
}

/** What kubernetes-validate says. */
function validate(text: string, version: string): { code: number | null; output: string } {
  const file = join(temporaryFolder(), "built.yaml");
  writeFileSync(file, text);
  const words = ["--strict", "-k", version, file];
  const { status, stdout, stderr, error } = spawnSync("kubernetes-validate", words, { encoding: "utf8" });
  if (error) throw error;
  return { code: status, output: stdout + stderr };
}

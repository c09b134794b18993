import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as {
  readonly version: string;
};

/** The folder of the release that is tested. */
export const made = process.env["NEXUS_TEST_RELEASE"] ?? "";
export { version };

/** The path of an artefact. @param name where `VERSION` stands for the version */
export function artefact(name: string): string {
  return join(made, name.replace("VERSION", version));
}

/** Runs a program that must succeed. @returns what it printed */
export function succeed(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  cwd = "/",
): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { env, cwd, encoding: "utf8" });
  expect([program, ...args, status, status === 0 ? "" : `${stdout}${stderr}${error ?? ""}`]).toEqual([
    ...[program, ...args, 0, ""],
  ]);
  return stdout;
}

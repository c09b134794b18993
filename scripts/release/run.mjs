import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Runs a program to its end. @throws Error with what it wrote, if it fails. @returns what it printed */
export function run(program, args, { cwd, env = {}, input } = {}) {
  try {
    return execFileSync(program, args, {
      cwd,
      input: input ?? "",
      encoding: "utf8",
      maxBuffer: 2 ** 28,
      env: { ...process.env, ...env },
    });
  } catch (error) {
    const wrote = `${error.stdout ?? ""}${error.stderr ?? ""}`.slice(-3000);
    throw new Error(`${program} ${args.join(" ")}: ${error.code ?? `exit code ${error.status}`}\n${wrote}`);
  }
}

export const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));

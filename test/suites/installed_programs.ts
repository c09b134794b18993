import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";

/** Programs that others wrote, installed once for all runs. */
const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nexusd-programs");

/** @param of what the installed thing depends on: another one is installed anew */
export function installed(name: string, of: string, install: (folder: string) => void): string {
  const folder = join(cache, `${name}-${createHash("sha256").update(of).digest("hex").slice(0, 8)}`);
  if (existsSync(join(folder, "done"))) return folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  install(folder);
  writeFileSync(join(folder, "done"), "");
  return folder;
}

export function ran(at: string, program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
  execFileSync(program, args, { cwd: at, env: { ...process.env, ...env }, stdio: "pipe" });
}

export function pythonWith(packages: string): string {
  const folder = installed("python", packages, (at) => {
    ran(at, "python3", ["-m", "venv", at]);
    ran(at, join(at, "bin/pip"), ["install", "--quiet", ...packages.split(" ")]);
  });
  return join(folder, "bin/python");
}

export function nodeWith(packages: string): string {
  return installed("node", packages, (at) => {
    ran(at, "npm", ["install", "--prefix", at, "--no-audit", "--no-fund", ...packages.split(" ")]);
  });
}

/** Of one file of source. */
export function builtFrom(file: string, build: (folder: string) => void): string {
  return installed(basename(file), readFileSync(file, "utf8"), (at) => {
    copyFileSync(file, join(at, basename(file)));
    build(at);
  });
}

/** Of one file of Go, with the newest modules. */
export function goProgram(file: string): readonly string[] {
  const folder = builtFrom(file, (at) => {
    ran(at, "go", ["mod", "init", "client"]);
    ran(at, "go", ["mod", "tidy"]);
    ran(at, "go", ["build", "-o", "client", "."]);
  });
  return [join(folder, "client")];
}

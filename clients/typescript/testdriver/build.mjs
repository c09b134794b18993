// Packs the library, installs what was packed into an empty folder, imports it there, and compiles the driver with the packed types.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname;
const library = join(here, "..");
const root = join(library, "../..");
const quiet = ["--no-audit", "--no-fund", "--loglevel", "error"];
const run = (program, args, cwd) =>
  execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** What is downloaded may stand still, or be refused for a moment. */
const runAgain = (program, args, cwd) => {
  for (let attempt = 1; ; attempt++) {
    try {
      return execFileSync(program, args, {
        cwd,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
        timeout: 90_000,
        killSignal: "SIGKILL",
      });
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
};

const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const versioned = (name) => `${name}@${devDependencies[name]}`;
/** Imports as a stranger's program does, and prints the names. */
const names = (specifier, cwd) =>
  run(
    "node",
    ["--input-type=module", "-e", `console.log(Object.keys(await import("${specifier}")).join())`],
    cwd,
  );

/** Outside of the repository, whose packages would stand in for what the library forgot to depend on. */
const empty = mkdtempSync(join(tmpdir(), "nexusd-client-"));
try {
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", empty, ...quiet], library));
  const install = (...what) =>
    runAgain(
      "npm",
      ["install", "--no-package-lock", "--prefer-offline", "--omit", "peer", ...quiet, ...what],
      empty,
    );
  install(`./${packed.filename}`);
  for (const [specifier, name] of [
    ["nexusd-client", "Nexus"],
    ["nexusd-client/strategies", "applyStrategy"],
  ]) {
    const found = names(specifier, empty).trim().split(",");
    if (!found.includes(name)) throw new Error(`${specifier} exports ${found}, and not ${name}`);
  }
  install(versioned("@grpc/grpc-js"), versioned("@types/node"));
  if (!names("nexusd-client/grpc", empty).includes("callCredentials")) throw new Error("no callCredentials");
  for (const made of ["node_modules", "dist"]) rmSync(join(here, made), { recursive: true, force: true });
  cpSync(join(empty, "node_modules"), join(here, "node_modules"), {
    recursive: true,
    verbatimSymlinks: true,
  });
} finally {
  rmSync(empty, { recursive: true });
}
execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", here], { stdio: "inherit" });

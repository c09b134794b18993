import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../temporary_folder.js";

const root = join(import.meta.dirname, "../..");
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const hasCache = major > 22 || (major === 22 && minor >= 8);

/** The program in a folder of its own. */
function installed(): { readonly folder: string; version(): ReturnType<typeof spawnSync> } {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "dist"), { recursive: true });
  for (const file of ["package.json", "dist/main.js", "dist/bundle"])
    cpSync(join(root, file), join(folder, file), {
      recursive: true,
      filter: (source) => !source.includes("compile-cache"),
    });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const command = `umask 000; exec "${process.execPath}" "${join(folder, "dist/main.js")}" --version`;
  const env = { PATH: process.env["PATH"], HOME: folder };
  return { folder, version: () => spawnSync("/bin/sh", ["-c", command], { env, encoding: "utf8" }) };
}

test("compiled code lies beside the program, where others cannot write", () => {
  const { folder, version } = installed();
  expect(version()).toMatchObject({ status: 0, stderr: "" });
  const cache = join(folder, "dist/bundle/compile-cache");
  expect(existsSync(cache)).toBe(hasCache);
  if (hasCache) expect(statSync(cache).mode & 0o022).toBe(0);
});

test("the program starts where it cannot keep compiled code", () => {
  const { folder, version } = installed();
  // No folder can be made there, not even by root.
  writeFileSync(join(folder, "dist/bundle/compile-cache"), "");
  expect(version()).toMatchObject({ status: 0, stderr: "" });
});

/** Serves until it says that it is ready. */
async function serveOnce(folder: string): Promise<void> {
  const daemon = spawn(process.execPath, [join(folder, "dist/main.js"), "serve"], {
    env: {
      ...{ PATH: process.env["PATH"], HOME: folder, NEXUS_DATA_DIR: join(folder, "data") },
      ...{ NEXUS_HTTP_LISTEN: "127.0.0.1:0", NEXUS_OPS_LISTEN: "127.0.0.1:0", NEXUS_LOG_FORMAT: "json" },
      ...{ NEXUS_BROWSER_LISTEN: "127.0.0.1:0", NEXUS_PUBLIC_URL: "http://localhost:3999" },
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(daemon, "exit");
  let said = "";
  for await (const text of daemon.stdout.setEncoding("utf8")) {
    said += text;
    if (said.includes("nexusd is ready")) daemon.kill("SIGTERM");
  }
  expect((await ended)[0], said).toBe(0);
}

/** Bytes of the largest file below a folder. */
function largestBytes(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return Math.max(...files.map((file) => statSync(join(folder, file)).size));
}

test.runIf(hasCache)("the first daemon keeps the code of what has run", { timeout: 120_000 }, async () => {
  const { folder } = installed();
  await serveOnce(folder);
  const kept = join(folder, "dist/bundle/compile-cache", `daemon-${process.version}`);
  const keptBytes = largestBytes(kept);
  // What V8 compiles of the same file before it runs.
  const plain = join(folder, "plain");
  const env = { PATH: process.env["PATH"], HOME: folder, NODE_COMPILE_CACHE: plain };
  spawnSync(process.execPath, [join(folder, "dist/main.js"), "serve", "--help"], { env });
  expect(keptBytes).toBeGreaterThan(1.5 * largestBytes(plain));
  // The next daemon takes it, and has nothing to add.
  await serveOnce(folder);
  expect(largestBytes(kept)).toBe(keptBytes);
});

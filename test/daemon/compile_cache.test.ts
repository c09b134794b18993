import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
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

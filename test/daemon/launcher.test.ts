import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const main = join(import.meta.dirname, "../../dist/main.js");

/** The program on a Node that says it is another version. */
function startOn(version: string) {
  const versions = `{ ...process.versions, node: ${JSON.stringify(version)} }`;
  const preload = `data:text/javascript,Object.defineProperty(process, "versions", { value: ${versions} })`;
  return spawnSync(process.execPath, ["--import", preload, main, "--version"], { encoding: "utf8" });
}

test.each(["18.20.8", "20.18.3", "16.0.0"])("Node %s is told which it needs", (version) => {
  expect(startOn(version)).toMatchObject({
    status: 1,
    stdout: "",
    stderr: `nexusd needs Node 20.19 or newer, this is ${version}\n`,
  });
});

test.each(["20.19.0", "22.1.0", "100.0.0"])("Node %s is taken", (version) => {
  expect(startOn(version)).toMatchObject({ status: 0, stderr: "" });
});

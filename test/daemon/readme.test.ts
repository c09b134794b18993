import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { consent } from "../fakes/browser.js";
import { perTest } from "../lifetimes.js";
import { needs } from "../needs.js";
import { temporaryFolder } from "../temporary_folder.js";
import { World } from "./harness.js";

const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");

/** The first block of shell below a heading. */
function shellBelow(heading: string): string {
  const [, rest = ""] = readme.split(`\n${heading}\n`);
  const [, block] = /```sh\n([\s\S]*?)```/.exec(rest) ?? [];
  if (block === undefined) throw new Error(`the README has no shell below ${heading}`);
  return block;
}

const world = perTest(() => World.make());

it("the README's way to ask answers the link of a person, and then the token", async (context) => {
  needs(context, "curl");
  await world.register("github");
  const home = temporaryFolder();
  mkdirSync(join(home, ".local/share/nexusd"), { recursive: true });
  symlinkSync(world.place.socket, join(home, ".local/share/nexusd/nexus.sock"));
  const script = shellBelow("### Ask");
  const shell = spawn("bash", ["-e"], {
    env: { ...process.env, HOME: home },
    stdio: ["pipe", "pipe", "inherit"],
  });
  shell.stdin.end(script);
  const lines = createInterface({ input: shell.stdout })[Symbol.asyncIterator]();
  const answer = async () =>
    JSON.parse((await lines.next()).value ?? "") as Record<string, Record<string, string>>;
  const { consent: asked } = await answer();
  expect(asked).toMatchObject({ reason: "not_connected" });
  await consent(world.browser, asked?.["authUrl"] ?? "");
  expect(await answer()).toMatchObject({ token: { tokenType: "Bearer", revision: "1" } });
});

import { execFile, spawn } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { consent } from "../fakes/browser.js";
import { perTest } from "../lifetimes.js";
import { needs } from "../needs.js";
import { json, startScriptedServer } from "../oauth/scripted_server.js";
import { temporaryFolder } from "../temporary_folder.js";
import { foreignRefreshToken } from "./foreign_token.js";
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

describe("docs/moving-from-nexus.md", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/moving-from-nexus.md"), "utf8");
  const [read = "", take = ""] = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
    .slice(-2)
    .map(([, sh]) => sh);

  const broker = perTest(() => startScriptedServer());

  it("reads the grants of a running broker, imports them, and goes on after one that failed", async (context) => {
    needs(context, "curl");
    await world.register();
    const grants = [1, 2].map(() => foreignRefreshToken(world.provider, world.place.config.redirectUri));
    const [first, second] = await Promise.all(grants);
    const tokens: Record<string, object> = {
      "/connections/old-1/token": { refresh_token: first, scope: "openid read" },
      "/connections/old-2/token": { refresh_token: "of another client" },
    };
    broker.script = (response, { path }) => json(tokens[path] ?? {})(response, {} as never);
    const folder = temporaryFolder();
    writeFileSync(join(folder, "grants.txt"), "old-1 op ada\nold-2 op bob\n");
    writeFileSync(
      join(folder, "nexusd"),
      `#!/bin/sh\nexec "${process.execPath}" ${join(import.meta.dirname, "../../dist/main.js")} "$@"\n`,
      { mode: 0o755 },
    );
    const sh = (script: string) =>
      promisify(execFile)("sh", ["-c", script], {
        cwd: folder,
        env: {
          PATH: `${folder}:${dirname(process.execPath)}:${process.env["PATH"]}`,
          NEXUS_DATA_DIR: world.place.config.dataDir,
          BROKER: broker.origin,
          NEXUS_KEY: "k",
        },
      }).catch((error: Error) => error);
    await sh(read);
    await sh(take);
    const map = () => readFileSync(join(folder, "map.txt"), "utf8").trimEnd().split("\n");
    expect(map()).toEqual([expect.stringMatching(/^old-1 [0-9a-f-]{36}$/)]);
    tokens["/connections/old-2/token"] = { refresh_token: second };
    await sh(read);
    await sh(take);
    const { connections } = await world.clients.connections.listConnections({});
    const idOf = (user: string) => connections.find(({ userId }) => userId === user)?.id;
    expect(map()).toEqual([`old-1 ${idOf("ada")}`, `old-2 ${idOf("bob")}`]);
    expect(connections.map(({ status }) => status)).toEqual([
      ConnectionStatus.ACTIVE,
      ConnectionStatus.ACTIVE,
    ]);
  });
});

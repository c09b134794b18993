import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { ClientWorld } from "../clients/world.js";
import { Running } from "../daemon/tools/tool_world.js";
import { Authority } from "../fakes/certificates.js";
import { temporaryFolder } from "../temporary_folder.js";

/** Asks for what `ASKED` names, through the proxy of its environment. */
const request = join(import.meta.dirname, "../ext/egress/daemon/program.mjs");

/**
 * What a daemon is there for, with one that is installed: it serves, a user consents, a token is refreshed, and `nexusd run` adds it to a request.
 *
 * @param program the installed `nexusd`
 * @param node the command of a Node for the program that makes the request
 * @param path the PATH of the commands
 */
export async function journey(
  program: readonly string[],
  node: readonly string[],
  path: string,
): Promise<void> {
  const world = await ClientWorld.make(program);
  onTestFinished(() => world.close());
  await world.startDaemon();
  const api = await startApi();
  const provider = await world.register({ apiBaseUrl: api.url });
  await world.connect(provider);
  const { dataDir } = world.place.config;
  const environment = { PATH: path, HOME: temporaryFolder(), NEXUS_DATA_DIR: dataDir };
  const env = { ...environment, NODE_EXTRA_CA_CERTS: api.roots, ASKED: `${api.url}/me` };
  const nexusd = async (...args: string[]) => {
    const [command = "", ...rest] = [...program, ...args];
    const { code, stdout, stderr } = await new Running(spawn(command, rest, { env, cwd: env.HOME })).ended;
    expect([args.join(" "), code, stderr]).toEqual([args.join(" "), 0, expect.any(String)]);
    return stdout;
  };
  expect(await nexusd("token", `${provider}/ada`)).toBe(`${world.newest}\n`);
  const first = world.newest;
  await nexusd("connections", "refresh", `${provider}/ada`);
  expect(world.newest).not.toBe(first);
  const [runner = "", ...args] = [...node, request];
  expect(await nexusd("run", "--user", "ada", "--", runner, ...args)).toMatch(/^HTTP\/1\.1 200 /);
  expect(api.seen).toEqual([`Bearer ${world.newest}`]);
  await world.endDaemon();
}

/** An API over TLS, which notes the credential of each request. */
async function startApi() {
  const issuer = new Authority();
  const seen: (string | undefined)[] = [];
  const server = createServer(issuer.issueServer({ dns: ["api.localhost"] }), ({ headers }, response) => {
    seen.push(headers.authorization);
    response.end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const roots = join(temporaryFolder(), "roots.pem");
  writeFileSync(roots, issuer.pem);
  return { url: `https://api.localhost:${(server.address() as AddressInfo).port}`, roots, seen };
}

import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { needs } from "../../needs.js";
import { type Ended, ToolWorld } from "./tool_world.js";

const token = "access-1-secret";
const tools = readFileSync("docs/tools.md", "utf8");

/** The block of docs/tools.md that begins with the text, without its last line break. */
function block(start: string): string {
  const from = tools.indexOf(`\n${start}`) + 1;
  expect(from, start).toBeGreaterThan(0);
  return tools.slice(from, tools.indexOf("\n```", from));
}

let world: ToolWorld;
let server: Server;
let host: string;
const asked: string[] = [];
/** What the server returns by path to whoever has the header. */
let pages: Record<string, unknown>;
let authorization: string;

beforeEach(async () => {
  world = await ToolWorld.make();
  asked.length = 0;
  server = createServer(({ url = "", headers }, response) => {
    const [path = ""] = url.split("?");
    asked.push(`${headers.authorization === authorization ? "with" : "without"} ${path}`);
    const page = pages[path];
    if (headers.authorization !== authorization)
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
    else if (page === undefined) response.writeHead(404).end();
    else if (typeof page === "string") response.writeHead(200, { "content-type": "text/html" }).end(page);
    else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(page));
  });
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await world.close();
});

async function listen(): Promise<void> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Follows what docs/tools.md says in a shell, at this server instead of the one of the example. */
const shell = (text: string, example: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
  world.run("bash", ["-c", text.replaceAll("https://", "http://").replaceAll(example, host)], { env });

it("npmrc lets npm read a private registry", async (context) => {
  needs(context, "bash");
  await listen();
  authorization = `Bearer ${token}`;
  pages = {
    "/team/@team%2fapp": {
      name: "@team/app",
      "dist-tags": { latest: "1.2.3" },
      versions: { "1.2.3": { name: "@team/app", version: "1.2.3" } },
    },
  };
  await world.connect("npm", { api_base_url: `http://${host}/team` });
  const { code, stdout, stderr } = await shell(block("npm --userconfig"), "npm.example", {
    npm_config_registry: `http://${host}/team`,
  });
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toBe("1.2.3\n");
});

it("plain lets pip read a private index, and no other host", async (context) => {
  needs(context, "pip");
  await listen();
  authorization = `Basic ${Buffer.from(`oauth2:${token}`).toString("base64")}`;
  pages = { "/simple/app/": '<a href="app-1.2.3-py3-none-any.whl">app</a>' };
  await world.connect("pypi");
  world.install("keyring", block("#!/bin/sh\n[").replaceAll("pypi.example", host));
  const pip = (index: string): Promise<Ended> =>
    shell(
      `${block("pip --keyring-provider").replace("install", "index versions")} --no-input --disable-pip-version-check`,
      index,
    );
  const { code, stdout, stderr } = await pip("pypi.example");
  expect([code, stderr]).toEqual([0, expect.not.stringContaining("ERROR")]);
  expect(stdout).toContain("Available versions: 1.2.3");
  world.install("keyring", block("#!/bin/sh\n["));
  expect((await pip("pypi.example")).stdout).toBe("");
});

it("plain lets cargo ask a registry", async (context) => {
  needs(context, "cargo");
  await listen();
  authorization = token;
  pages = {
    "/index/config.json": { dl: `http://${host}/dl`, api: `http://${host}`, "auth-required": true },
    "/api/v1/crates/app/owners": { users: [{ id: 1, login: "ada", name: null }] },
  };
  await world.connect("corp");
  mkdirSync(join(world.home, ".cargo"));
  const config = block("[registries.corp]").replace("https://cargo.example", `http://${host}`);
  writeFileSync(join(world.home, ".cargo/config.toml"), config);
  const { code, stdout, stderr } = await world.run(
    "cargo",
    ["owner", "--list", "--registry", "corp", "app"],
    {
      env: {
        CARGO_HOME: join(world.home, ".cargo"),
        RUSTUP_HOME: process.env["RUSTUP_HOME"] ?? join(process.env["HOME"] ?? "", ".rustup"),
      },
    },
  );
  expect([code, stderr]).toEqual([0, expect.not.stringContaining(token)]);
  expect(stdout).toContain("ada");
});

it("exec lets gh call the API", async (context) => {
  needs(context, "gh");
  const socket = join(world.home, "github.sock");
  await once(server.listen(socket), "listening");
  authorization = `token ${token}`;
  pages = { "/user": { login: "ada" } };
  await world.connect("github");
  mkdirSync(join(world.home, ".config/gh"), { recursive: true });
  writeFileSync(join(world.home, ".config/gh/config.yml"), `http_unix_socket: ${socket}\n`);
  const line = block("nexusd exec --env GH_TOKEN");
  const { code, stdout, stderr } = await world.run("sh", ["-c", line]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(JSON.parse(stdout)).toEqual({ login: "ada" });
});

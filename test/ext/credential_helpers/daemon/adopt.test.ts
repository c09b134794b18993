import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "jsonc-parser";
import { getStaticTOMLValue, parseTOML } from "toml-eslint-parser";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ToolWorld } from "../../../daemon/tools/tool_world.js";
import {
  claudeCode,
  claudeDesktop,
  codex,
  cursor,
  dotenv,
  keys,
  netrc,
  vsCode,
} from "../adopt/configurations.js";

interface StartedServer {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const files: Readonly<Record<string, string>> = {
  ".mcp.json": claudeCode,
  ".vscode/mcp.json": vsCode,
  ".cursor/mcp.json": cursor,
  ".config/Claude/claude_desktop_config.json": claudeDesktop,
  ".codex/config.toml": codex,
  ".env": dotenv,
  ".netrc": netrc,
};

function codexServers(toml: string): { readonly servers: Readonly<Record<string, StartedServer>> } {
  return { servers: JSON.parse(JSON.stringify(getStaticTOMLValue(parseTOML(toml)))).mcp_servers };
}

describe("nexusd adopt", () => {
  let world: ToolWorld;
  const path = (file: string) => join(world.home, file);
  const text = (file: string) => readFileSync(path(file), "utf8");
  beforeAll(async () => {
    world = await ToolWorld.make();
    for (const [file, content] of Object.entries(files)) {
      mkdirSync(dirname(path(file)), { recursive: true });
      writeFileSync(path(file), content, { mode: 0o600 });
    }
    world.installNode(
      "fake-mcp-server",
      `const { env, argv } = process;
       require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
         const { id } = JSON.parse(line);
         process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result: { env, args: argv.slice(2) } }) + "\\n");
       });`,
    );
  });
  afterAll(() => world.close());

  const adopt = async (...args: string[]) => {
    const ended = await world.nexusd(["adopt", ...args]);
    for (const key of Object.values(keys)) expect(ended.stdout + ended.stderr).not.toContain(key);
    return ended;
  };
  const unchanged = () => Object.keys(files).map((file) => text(file) === files[file]);

  /** Starts a server as its host does, and asks it one thing. */
  async function answerOf({ command, args, env = {} }: StartedServer) {
    const { code, stdout, stderr } = await world.run(command, args, {
      env,
      stdin: '{"jsonrpc":"2.0","id":1}\n',
    });
    expect([code, stderr]).toEqual([0, ""]);
    const { result } = JSON.parse(stdout);
    return result as { env: Record<string, string>; args: string[] };
  }

  it("shows where keys lie, and changes nothing with --dry-run", async () => {
    const { code, stdout } = await adopt("--dry-run");
    expect(code).toBe(0);
    expect(stdout).toMatch(/\.mcp\.json:8 +server github +GITHUB_PERSONAL_ACCESS_TOKEN +github-pat/);
    expect(unchanged()).not.toContain(false);
    const rows = (await adopt("--dry-run", "--json")).stdout.trim().split("\n");
    expect(rows.map((row) => JSON.parse(row).name)).toContain("BRAVE_API_KEY");
    const { stderr } = await world.nexusd(["connections"]);
    expect(stderr).toContain("no connections");
  });

  it("does nothing without a yes", async () => {
    expect((await adopt()).stderr).toContain("use --yes");
    expect(unchanged()).not.toContain(false);
  });

  it("moves the keys, and the rewritten servers get them", async () => {
    const { code, stdout, stderr } = await adopt("--yes");
    expect([code, stderr]).toEqual([0, ""]);
    for (const file of Object.keys(files)) expect(stdout).toContain(`rewrote ${path(file)}`);

    const { github, linear } = JSON.parse(text(".mcp.json")).mcpServers;
    expect(await answerOf(github)).toMatchObject({
      env: { GITHUB_PERSONAL_ACCESS_TOKEN: keys.github },
      args: ["-y", "@modelcontextprotocol/server-github"],
    });
    const helper = await world.run("sh", ["-c", linear.headersHelper]);
    expect(JSON.parse(helper.stdout)).toEqual({ Authorization: `Bearer ${keys.linear}` });

    const desktop = JSON.parse(text(".config/Claude/claude_desktop_config.json")).mcpServers;
    expect((await answerOf(desktop["brave-search"])).env).toMatchObject({ BRAVE_API_KEY: keys.brave });
    const code2 = parse(text(".vscode/mcp.json")).servers;
    expect((await answerOf({ args: [], ...code2.Perplexity })).env).toMatchObject({
      PERPLEXITY_API_KEY: keys.perplexity,
    });
    const { slack } = parse(text(".cursor/mcp.json")).mcpServers;
    expect((await answerOf(slack)).env).toMatchObject({ SLACK_BOT_TOKEN: keys.slack, LOG_LEVEL: "info" });
    const { servers } = codexServers(text(".codex/config.toml"));
    for (const [name, variable, key] of [
      ["context7", "WEATHER_API_KEY", keys.weather],
      ["search", "BRAVE_API_KEY", keys.brave],
    ] as const) {
      const server = servers[name];
      if (!server) throw new Error(`there is no ${name}`);
      expect((await answerOf(server)).env).toMatchObject({ [variable]: key });
    }
  });

  it("stores a key once, wherever it lay, and names the program's start for a .env", async () => {
    const { stdout } = await world.nexusd(["connections"]);
    for (const provider of ["github-pat", "weather-api-key", "brave-search"])
      expect(stdout.match(new RegExp(`\\b${provider}\\b`, "g")), provider).toHaveLength(1);
    const started = await world.run("nexusd", [
      "exec",
      "--env",
      "OPENAI_API_KEY=openai",
      "--",
      "printenv",
      "OPENAI_API_KEY",
    ]);
    expect(started.stdout).toBe(`${keys.openai}\n`);
    expect(text(".env")).toContain('OPENAI_API_KEY="sk-proj-nexusdPlaceholderKqv');
  });

  it("has nothing left to move", async () => {
    const { stdout } = await adopt("--yes");
    expect(stdout).not.toContain("rewrote");
  });

  it("refuses to put back what changed since, and puts the rest back byte for byte", async () => {
    const rewritten = text(".env");
    writeFileSync(path(".env"), `${rewritten}MORE=1\n`);
    expect((await adopt("--undo", ".env")).stderr).toContain("was changed since");
    writeFileSync(path(".env"), rewritten);
    expect((await adopt("--undo")).code).toBe(0);
    expect(unchanged()).not.toContain(false);
    expect(statSync(path(".netrc")).mode & 0o777).toBe(0o600);
    expect((await adopt("--undo")).stderr).toContain("no file was rewritten");
  });
});

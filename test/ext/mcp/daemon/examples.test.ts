import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { describe, expect, it } from "vitest";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { McpWorld } from "./mcp_world.js";

interface Entry {
  readonly command: string;
  readonly args: string[];
  readonly url: string;
  readonly headers: Record<string, string>;
}

const root = join(import.meta.dirname, "../../../..");

/** The one entry of a host's configuration as it stands in examples/mcp. */
function entryOf(file: string): Entry {
  const text = readFileSync(join(root, "examples/mcp", file), "utf8");
  const { mcpServers, servers = mcpServers } = JSON.parse(text) as Record<string, Record<string, Entry>>;
  const entry = servers?.["nexusd"];
  if (entry === undefined) throw new Error(`${file} names no server nexusd`);
  return entry;
}

describe("examples/mcp", { timeout: 60_000 }, () => {
  const mcp = perSuite(() => McpWorld.make());

  it.each(["claude.json", "vscode.json"])("%s starts the server as it stands", async (file) => {
    const bin = join(temporaryFolder(), "bin");
    mkdirSync(bin);
    symlinkSync(join(root, "dist/main.js"), join(bin, "nexusd"));
    const { command, args } = entryOf(file);
    const env = { ...mcp.environment, PATH: `${bin}:${process.env["PATH"]}` };
    const client = new Client({ name: "host", version: "1" });
    await client.connect(new StdioClientTransport({ command, args, env, stderr: "ignore" }));
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
    await client.close();
  });

  it("http.json leads to a server that listens as its README says, with a key in the environment", async () => {
    const { url, headers } = entryOf("http.json");
    expect(url).toBe("http://127.0.0.1:8095/mcp");
    expect(readFileSync(join(root, "examples/mcp/README.md"), "utf8")).toContain(
      "nexusd mcp --listen 127.0.0.1:8095",
    );
    const at = new URL(await mcp.listen([]));
    expect(at.pathname).toBe(new URL(url).pathname);
    const authorization =
      headers["Authorization"]?.replace(/\$\{NEXUS_API_KEY\}/, mcp.world.place.apiKey) ?? "";
    const client = new Client({ name: "host", version: "1" });
    await client.connect(
      new StreamableHTTPClientTransport(at, { requestInit: { headers: { authorization } } }),
    );
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
    await client.close();
  });

  it("says how to start the daemon where none runs", async () => {
    const folder = temporaryFolder();
    const { command, args } = mcp.stdioCommand([]);
    const client = new Client({ name: "host", version: "1" });
    const env = { ...mcp.environment, NEXUS_DATA_DIR: folder };
    await client.connect(new StdioClientTransport({ command, args, env, stderr: "ignore" }));
    const result = await client.callTool({ name: "list_providers", arguments: {} });
    expect(JSON.stringify(result)).toContain("is `nexusd serve` running?");
    expect(result.isError).toBe(true);
    await client.close();
  });

  it.each(["ignore", "pipe"] as const)("ends when its input does (%s)", async (stdin) => {
    const { command, args, env } = mcp.stdioCommand([]);
    const child = spawn(command, args, { env, stdio: [stdin, "ignore", "inherit"] });
    child.stdin?.end();
    expect(await once(child, "exit")).toEqual([0, null]);
  });
});

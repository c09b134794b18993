import { parse as parseJsonc } from "jsonc-parser";
import { getStaticTOMLValue, parseTOML } from "toml-eslint-parser";
import { describe, expect, it } from "vitest";
import { KnownKeys } from "../../../../src/ext/credential_helpers/adopt/found_keys.js";
import { readKeys } from "../../../../src/ext/credential_helpers/adopt/known_files.js";
import * as configurations from "./configurations.js";

const { keys } = configurations;

/** The keys of a file, and the text without those that can be moved; each gets the name `moved-N`. */
async function moved(path: string, text: string) {
  const read = await readKeys({ path, text, mode: 0o600, inode: 1 }, await KnownKeys.open(), "nexusd");
  const movable = read.keys.filter(({ refusal }) => refusal === undefined);
  const names = new Map(movable.map((key, at) => [key, `moved-${at + 1}`]));
  const found = read.keys.map(({ name, template, refusal }) => [name, template?.name, refusal]);
  return { found, text: read.rewritten(names), steps: read.nextSteps(names) };
}

describe("files that MCP hosts read", () => {
  it("Claude Code: variables by nexusd exec, a header by the headers helper", async () => {
    const { found, text } = await moved("/w/.mcp.json", configurations.claudeCode);
    expect(found).toEqual([
      ["GITHUB_PERSONAL_ACCESS_TOKEN", "github-pat", undefined],
      ["Authorization", "linear-api-key", undefined],
    ]);
    const before = JSON.parse(configurations.claudeCode);
    const { github, linear, ...others } = JSON.parse(text).mcpServers;
    expect(github).toEqual({
      type: "stdio",
      command: "nexusd",
      args: [
        ...["exec", "--env", "GITHUB_PERSONAL_ACCESS_TOKEN=moved-1", "--", "fake-mcp-server"],
        ...["-y", "@modelcontextprotocol/server-github"],
      ],
    });
    expect(linear).toEqual({
      type: "http",
      url: "https://mcp.linear.app/mcp",
      headersHelper: "nexusd token moved-2 --format mcp-headers",
    });
    expect(others).toEqual({ "api-server": before.mcpServers["api-server"] });
  });

  it("Claude Desktop: strict JSON stays strict, and other variables stay", async () => {
    const { text } = await moved("/w/claude_desktop_config.json", configurations.claudeDesktop);
    const before = JSON.parse(configurations.claudeDesktop);
    const after = JSON.parse(text);
    expect(after.mcpServers.filesystem).toEqual(before.mcpServers.filesystem);
    const { BRAVE_API_KEY: _, ...env } = before.mcpServers["brave-search"].env;
    expect(after.mcpServers["brave-search"]).toMatchObject({ command: "nexusd", env });
    expect(text).not.toContain(keys.brave);
  });

  it("VS Code: comments and inputs stay, and a header is shown and left", async () => {
    const { found, text } = await moved("/w/.vscode/mcp.json", configurations.vsCode);
    expect(found).toEqual([
      ["X-Api-Key", undefined, expect.stringContaining("runs no command for headers")],
      ["PERPLEXITY_API_KEY", "perplexity", undefined],
    ]);
    const at = configurations.vsCode.indexOf('    "Perplexity": {');
    expect(text.slice(0, at)).toBe(configurations.vsCode.slice(0, at));
    expect(parseJsonc(text).servers.Perplexity).toEqual({
      command: "nexusd",
      args: ["exec", "--env", "PERPLEXITY_API_KEY=moved-1", "--", "fake-mcp-server"],
    });
  });

  it("Cursor: a member between others goes with its comma, and its comment stays", async () => {
    const { text } = await moved("/w/.cursor/mcp.json", configurations.cursor);
    expect(text).toBe(
      configurations.cursor
        .replace(`"SLACK_BOT_TOKEN": "${keys.slack}", //`, "//")
        .replace('"fake-mcp-server"', '"nexusd"')
        .replace('["-y"', '["exec", "--env", "SLACK_BOT_TOKEN=moved-1", "--", "fake-mcp-server", "-y"'),
    );
  });

  it("Codex: tables and inline tables, with every comment", async () => {
    const { found, text } = await moved("/w/.codex/config.toml", configurations.codex);
    expect(found.map(([name, , refusal]) => [name, refusal === undefined])).toEqual([
      ["WEATHER_API_KEY", true],
      ["BRAVE_API_KEY", true],
      ["X-Api-Key", false],
    ]);
    const comments = (toml: string) => toml.match(/#.*$/gm);
    expect(comments(text)).toEqual(comments(configurations.codex));
    const { mcp_servers: servers } = getStaticTOMLValue(parseTOML(text)) as { mcp_servers: object };
    expect(servers).toEqual({
      context7: {
        command: "nexusd",
        args: [
          ...["exec", "--env", "WEATHER_API_KEY=moved-1", "--", "fake-mcp-server"],
          ...["-y", "@upstash/context7-mcp"],
        ],
        env: { MY_ENV_VAR: "MY_ENV_VALUE" },
      },
      search: {
        command: "nexusd",
        args: ["exec", "--env", "BRAVE_API_KEY=moved-2", "--", "fake-mcp-server"],
        env: { REGION: "eu" },
        startup_timeout_sec: 20,
      },
      figma: expect.objectContaining({ bearer_token_env_var: "FIGMA_OAUTH_TOKEN" }),
    });
  });

  it.each([
    ["no arguments in strict JSON", '{"mcpServers":{"a":{"command":"c","env":{"A_TOKEN":"abcdefgh12345"}}}}'],
    ["empty arguments", '{"mcpServers":{"a":{"env":{"A_TOKEN":"abcdefgh12345"},"args":[],"command":"c"}}}'],
    [
      "a byte order mark",
      '\ufeff{"mcpServers":{"a":{"command":"c","args":[],"env":{"A_TOKEN":"abcdefgh12345"}}}}',
    ],
  ])("rewrites a server with %s", async (_, text) => {
    const { text: after } = await moved("/w/mcp.json", text);
    expect(after.charCodeAt(0)).toBe(text.charCodeAt(0));
    expect(JSON.parse(after.replace("\ufeff", "")).mcpServers.a).toEqual({
      command: "nexusd",
      args: ["exec", "--env", "A_TOKEN=moved-1", "--", "c"],
    });
  });

  it("shows keys in arguments and URLs, and leaves them", async () => {
    const text = `{"mcpServers":{"a":{"command":"c","args":["--token=${keys.github}"]},"b":{"url":"https://b.example/?key=${keys.slack}"}}}`;
    const { found, text: after } = await moved("/w/.mcp.json", text);
    expect(found.map(([, template]) => template)).toEqual(["github-pat", "slack"]);
    expect(after).toBe(text);
  });

  it.each([
    ["mcp.json", "{", "is no JSON"],
    ["mcp.json", "[]", "holds no JSON object"],
    ["mcp.json", `{"a":${"[".repeat(100_000)}`, "nested deeper than 64 levels"],
    ["mcp.json", '{"mcpServers":{"a":{},"a":{}}}', '"a" twice'],
    ["config.toml", "[a", "is no TOML: line 1"],
    ["config.toml", `a = ${"[".repeat(50_000)}`, "nested deeper than 64 levels"],
    ["settings.yaml", "", "is none of .mcp.json"],
    [".env.example", "", "is none of .mcp.json"],
  ])("refuses %s that holds %.20s", async (name, text, why) => {
    await expect(moved(`/w/${name}`, text)).rejects.toThrow(why);
  });
});

describe("a .env", () => {
  it("gets placeholders of the form of its keys", async () => {
    const { found, text, steps } = await moved("/w/.env", configurations.dotenv);
    expect(found).toEqual([
      ["OPENAI_API_KEY", "openai", undefined],
      ["GITHUB_TOKEN", "github-pat", undefined],
      ["WEATHER_API_KEY", undefined, undefined],
      ["DATABASE_URL", undefined, expect.stringContaining("a URL that holds a password")],
    ]);
    expect(text).toBe(
      configurations.dotenv
        .replace(keys.openai, `sk-proj-nexusdPlaceholderKqv${"x".repeat(28)}`)
        .replace(keys.github, `ghp_nexusdPlaceholderKqv${"x".repeat(16)}`)
        .replace(keys.weather, "nexusdPlaceholderKqv-WEATHER_API_KEY"),
    );
    expect(steps.join()).toContain("nexusd exec --env OPENAI_API_KEY=moved-1 --env GITHUB_TOKEN=moved-2");
    expect((await moved("/w/.env", text)).found.map(([name]) => name)).toEqual(["DATABASE_URL"]);
  });
});

describe("a .netrc", () => {
  it("loses its entries as a whole, and keeps macros, comments and the default", async () => {
    const { found, text, steps } = await moved("/w/.netrc", configurations.netrc);
    expect(found).toEqual([
      ["api.github.com", "github-pat", undefined],
      ["git.example", undefined, undefined],
    ]);
    const from = configurations.netrc.indexOf("machine api");
    const to = configurations.netrc.indexOf("macdef");
    expect(text).toBe(configurations.netrc.slice(0, from) + configurations.netrc.slice(to));
    expect(steps[0]).toContain("credential.https://api.github.com.helper '!nexusd git-credential moved-1");
  });
});

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyStrategy } from "../../src/strategies/apply_strategy.js";
import { needs } from "../needs.js";

const folder = join(import.meta.dirname, "../../examples/strategies");
const examples = [
  { language: "Python", command: "python3", args: ["python_header.py"] },
  { language: "Go", command: "go", args: ["run", "header.go"] },
] as const;

const tokens = [
  {
    strategy: {
      type: "oauth2",
      config: { header_name: "Authorization", value_prefix: "Bearer ", credential_field: "access_token" },
    },
    credentials: { access_token: "at" },
    expires_at: 1_800_000_000,
  },
  {
    strategy: {
      type: "header",
      config: { header_name: "X-Api-Key", value_prefix: "", credential_field: "api_key" },
    },
    credentials: { api_key: "k" },
  },
];

describe.each(examples)("the $language example", ({ command, args }) => {
  const run = (token: object) =>
    spawnSync(command, args, { cwd: folder, input: JSON.stringify(token), encoding: "utf8" });

  it("sets the same headers as the library", { timeout: 120_000 }, async (context) => {
    needs(context, command);
    for (const token of tokens) {
      const { headers } = await applyStrategy(
        { method: "GET", url: "https://api.example", headers: { Accept: "application/json" } },
        token.strategy,
        token.credentials,
      );
      const { stdout, stderr } = run(token);
      expect(stderr).toBe("");
      const got = Object.entries(JSON.parse(stdout) as Record<string, string | string[]>);
      expect(Object.fromEntries(got.map(([name, value]) => [name, [value].flat().join()]))).toEqual(headers);
    }
    const other = run({ strategy: { type: "basic_auth", config: {} }, credentials: {} });
    expect(other.status).not.toBe(0);
    expect(other.stderr).toContain("the strategy basic_auth is no header");
  });
});

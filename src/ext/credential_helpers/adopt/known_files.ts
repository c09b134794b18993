import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { usageFailure } from "../../../cli/kit.js";
import type { FileOnDisk } from "./adopted_file.js";
import { dotenvKeys } from "./dotenv.js";
import type { KnownKeys, ReadKeys } from "./found_keys.js";
import { netrcKeys } from "./netrc.js";

interface KnownFile {
  matches(name: string, folder: string): boolean;
  read(file: FileOnDisk, known: KnownKeys, program: string): ReadKeys | Promise<ReadKeys>;
}

/** What reads JSON and TOML is loaded where there is one. */
const json =
  (hasHeadersHelper: boolean): KnownFile["read"] =>
  async ({ text, path }, known, program) => {
    const { jsonKeys } = await import("./mcp_json.js");
    return jsonKeys(text, path, { known, program, hasHeadersHelper });
  };

const knownFiles: readonly KnownFile[] = [
  { matches: (name) => name === ".mcp.json", read: json(true) },
  {
    matches: (name, folder) =>
      /^(claude_desktop_config|mcp|mcp_config)\.json$/.test(name) ||
      (name === "settings.json" && folder === ".gemini"),
    read: json(false),
  },
  {
    matches: (name) => name === "config.toml",
    read: async ({ text, path }, known, program) => {
      const { tomlKeys } = await import("./codex_toml.js");
      return tomlKeys(text, path, { known, program });
    },
  },
  {
    matches: (name) => /^\.env(\.[\w-]+)*$/.test(name) && !/\.(example|sample|template)$/.test(name),
    read: ({ text }, known) => dotenvKeys(text, known),
  },
  {
    matches: (name) => /^[._]netrc$/.test(name),
    read: ({ text }, known, program) => netrcKeys(text, known, program),
  },
];

/** @throws CommandFailure for a file of another name, or that is not what its name says */
export async function readKeys(file: FileOnDisk, known: KnownKeys, program: string): Promise<ReadKeys> {
  const kind = knownFiles.find(({ matches }) => matches(basename(file.path), basename(dirname(file.path))));
  if (kind) return await kind.read(file, known, program);
  throw usageFailure(
    `${file.path} is none of .mcp.json, claude_desktop_config.json, mcp.json, config.toml, .env, and .netrc: nexusd goes by these names`,
  );
}

/** Where these files are, in this folder and in the home of the user. */
export function usualPlaces(env: NodeJS.ProcessEnv): string[] {
  const home = env["HOME"] || homedir();
  const settings = [join(home, ".config"), join(home, "Library", "Application Support")];
  return [
    ...[".mcp.json", ".vscode/mcp.json", ".cursor/mcp.json", ".codex/config.toml", ".env", ".env.local"],
    ...settings.flatMap((folder) => [
      join(folder, "Claude", "claude_desktop_config.json"),
      join(folder, "Code", "User", "mcp.json"),
    ]),
    join(home, ".cursor", "mcp.json"),
    join(env["CODEX_HOME"] || join(home, ".codex"), "config.toml"),
    join(home, ".netrc"),
  ];
}

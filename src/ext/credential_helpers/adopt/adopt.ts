import { Command } from "commander";
import { addNotes, daemonCommand, type Shell } from "../../../cli/kit.js";
import type { AdoptFlags } from "./run_adopt.js";

export function adoptCommand(shell: Shell): Command {
  const command = new Command("adopt")
    .description("move keys that lie in configuration files into nexusd")
    .argument(
      "[files...]",
      "files to read (default: those of this folder and of your home that MCP hosts, git, and programs read)",
    )
    .option("--dry-run", "show the keys, and change nothing")
    .option("--undo", "put the files back as they were")
    .option("--user <id>", "user of the connections (default: your login name)")
    .option("--program <path>", "how the rewritten files start nexusd", "nexusd")
    .option("--yes", "do not ask");
  addNotes(
    command,
    "It reads .mcp.json, claude_desktop_config.json, mcp.json of VS Code and Cursor, config.toml of Codex, .env, and .netrc. It prints no key.",
    "A rewritten file starts MCP servers with nexusd exec, gets headers from nexusd token, or holds a placeholder. The file as it was is kept, readable by you alone, until --undo.",
  );
  return daemonCommand(shell, command, async (session, flags: AdoptFlags, files: readonly string[]) => {
    const { adopt } = await import("./run_adopt.js");
    await adopt(session, flags, files);
  });
}

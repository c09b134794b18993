import { Command } from "commander";
import type { Shell } from "../shell/shell.js";
import { keysCreateCommand } from "./keys_create.js";
import { keysListCommand } from "./keys_list.js";
import { keysRevokeCommand } from "./keys_revoke.js";

export function keysCommand(shell: Shell): Command {
  return new Command("keys")
    .description("API keys: make, list and revoke them")
    .addCommand(keysCreateCommand(shell))
    .addCommand(keysListCommand(shell))
    .addCommand(keysRevokeCommand(shell));
}

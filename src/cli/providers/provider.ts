import { Command } from "commander";
import type { Shell } from "../shell/shell.js";
import { providerAddCommand } from "./provider_add.js";
import { providerCreateCommand } from "./provider_create.js";
import { providerDeleteCommand } from "./provider_delete.js";
import { providerGetCommand, providerListCommand } from "./provider_list.js";
import { providerShowCommand, providerTemplatesCommand } from "./provider_templates.js";
import { providerUpdateCommand } from "./provider_update.js";

export function providerCommand(shell: Shell): Command {
  return new Command("provider")
    .description("register and change providers")
    .addCommand(providerAddCommand(shell))
    .addCommand(providerTemplatesCommand(shell))
    .addCommand(providerShowCommand(shell))
    .addCommand(providerCreateCommand(shell))
    .addCommand(providerListCommand(shell))
    .addCommand(providerGetCommand(shell))
    .addCommand(providerUpdateCommand(shell))
    .addCommand(providerDeleteCommand(shell));
}

import { Command, Option } from "commander";
import { loadConfig } from "../../config/config.js";
import { type Flags, type Setting, settings } from "../../config/settings.js";
import { settingWarnings } from "../../config/warnings.js";
import { CommandFailure } from "../shell/command_failure.js";
import type { Shell } from "../shell/shell.js";

const daemonSettings: readonly Setting[] = settings.filter((setting: Setting) =>
  setting.readBy.includes("daemon"),
);

export function serveCommand(shell: Shell): Command {
  const command = new Command("serve")
    .description("run the daemon until SIGTERM or SIGINT")
    .addHelpText("after", `\n${formatSettings()}`);
  const options = daemonSettings.flatMap((setting) => {
    if (setting.flag === undefined) return [];
    return [{ name: setting.name, option: new Option(`${setting.flag} ${placeholder(setting)}`).hideHelp() }];
  });
  for (const { option } of options) command.addOption(option);
  return command.action(async (given: Record<string, string | true | undefined>) => {
    const flags: Flags = Object.fromEntries(
      options
        .map(({ name, option }) => [name, given[option.attributeName()]] as const)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => [name, String(value)]),
    );
    const config = loadConfig(shell.env, flags, { isTTY: shell.stdout.isTTY });
    const exitCode = await shell.runDaemon({ config, warnings: settingWarnings(shell.env, config) });
    if (exitCode !== 0) throw new CommandFailure(exitCode, "");
  });
}

/** `--flag [word]` may stand alone, which means `true`. */
function placeholder({ argument }: Pick<Setting, "argument">): string {
  return argument.startsWith("[") ? argument : `<${argument}>`;
}

/** The settings of the daemon as `--help` prints them. */
function formatSettings(): string {
  const lines = daemonSettings.flatMap(({ name, flag, argument, meaning, default: fallback }) => [
    flag === undefined ? `  ${name}` : `  ${name}, ${flag} ${placeholder({ argument })}`,
    `      ${meaning}`,
    `      Default: ${fallback}.`,
  ]);
  return ["Settings; a flag wins over its variable:", ...lines].join("\n");
}

import { Command } from "commander";
import { loadConfig } from "../../config/config.js";
import {
  allSettings,
  commandGroup,
  defaultOf,
  flagText,
  meaningOf,
  type Setting,
} from "../../config/settings.js";
import { settingWarnings } from "../../config/warnings.js";
import { CommandFailure } from "../shell/command_failure.js";
import { helpWidth, wrap } from "../shell/help.js";
import { type GivenOptions, SettingOptions } from "../shell/setting_options.js";
import type { Shell } from "../shell/shell.js";

export function serveCommand(shell: Shell): Command {
  const { extensions } = shell;
  const settings = allSettings(extensions).filter(({ group }) => group !== commandGroup);
  const flags = new SettingOptions(
    settings.map(({ name }) => name),
    settings,
  );
  const command = new Command("serve").addHelpText(
    "after",
    () => `\n${formatSettings(settings, helpWidth(shell.stdout.columns))}`,
  );
  for (const option of flags.options) command.addOption(option.hideHelp());
  return command.action(async (given: GivenOptions) => {
    const config = loadConfig(shell.env, flags.flagsOf(given), { isTTY: shell.stdout.isTTY }, extensions);
    const exitCode = await shell.runDaemon({
      config,
      warnings: settingWarnings(shell.env, config, allSettings(extensions)),
      extensions,
      onReady: () => {
        // Beside a log that programs read, nothing else is written.
        if (shell.stdout.isTTY && config.logFormat === "pretty")
          shell.stdout.write(`\nTo see the next step, run in another terminal: ${shell.program}\n\n`);
      },
    });
    if (exitCode !== 0) throw new CommandFailure(exitCode, "");
  });
}

/** The settings of the daemon as `--help` prints them: the ten that matter first, then the others by group. */
function formatSettings(settings: readonly Setting[], width: number): string {
  const others = settings.filter(({ isFirst }) => isFirst !== true);
  const sections = [...new Set(others.map(({ group }) => group))].map((group) =>
    formatSection(
      group,
      others.filter((setting) => setting.group === group),
      width,
    ),
  );
  return [
    wrap(
      "A setting is a flag or an environment variable; the flag wins. All of them: docs/settings.md.",
      width,
    ),
    formatSection(
      "First ten settings",
      settings.filter(({ isFirst }) => isFirst),
      width,
    ),
    ...sections,
  ].join("\n\n");
}

function formatSection(title: string, rows: readonly Setting[], width: number): string {
  const lines = rows.flatMap((setting) => [
    `  ${[setting.name, flagText(setting) ?? []].flat().join(", ")}`,
    wrap(`${meaningOf(setting)} Default: ${defaultOf(setting)}.`, width, "      "),
  ]);
  return [`${title}:`, ...lines].join("\n");
}

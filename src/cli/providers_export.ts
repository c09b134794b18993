import { writeFileSync } from "node:fs";
import { Command } from "commander";
import { manifestJson, manifestText, secretVariable } from "../manifest/manifest_text.js";
import { CommandFailure } from "./command_failure.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "./daemon_command.js";
import { exitCodes } from "./exit_codes.js";
import { readProfiles } from "./provider_target.js";
import type { Shell } from "./shell.js";

interface ExportFlags extends DaemonFlags {
  readonly file: string;
  readonly force?: boolean;
}

export function providersExportCommand(shell: Shell): Command {
  const command = new Command("export")
    .description("write the providers of the daemon as a manifest")
    .option("-f, --file <file>", "where to; - is standard output", "-")
    .option("--force", "write over a file that exists")
    .action((flags: ExportFlags) => exportProviders(shell, flags));
  return addDaemonFlags(command).addHelpText(
    "after",
    `\nClient secrets never leave the daemon: each stands there as a variable, \${${secretVariable("github")}} for github.`,
  );
}

async function exportProviders(shell: Shell, flags: ExportFlags): Promise<void> {
  await withDaemon(shell, flags, async (session) => {
    const profiles = await readProfiles(session);
    const text = flags.json ? `${JSON.stringify(manifestJson(profiles))}\n` : manifestText(profiles);
    if (flags.file === "-") shell.stdout.write(text);
    else {
      writeText(flags.file, text, flags.force ?? false);
      const variables = profiles.filter(({ clientSecretSet }) => clientSecretSet);
      const names = variables.map(({ settings }) => secretVariable(settings.name)).join(", ");
      const counted = profiles.length === 1 ? "1 provider" : `${profiles.length} providers`;
      shell.stderr.write(`wrote ${counted} to ${flags.file}${names === "" ? "" : `; it wants ${names}`}\n`);
    }
  });
}

function writeText(file: string, text: string, isForced: boolean): void {
  try {
    writeFileSync(file, text, { flag: isForced ? "w" : "wx" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EEXIST" ? "exists: give --force to write over it" : `cannot be written: ${code}`;
    throw new CommandFailure(exitCodes.failed, `${file} ${why}`);
  }
}

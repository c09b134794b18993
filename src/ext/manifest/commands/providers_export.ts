import { writeFileSync } from "node:fs";
import { CommandFailure } from "../../../cli/shell/command_failure.js";
import { withDaemon } from "../../../cli/shell/daemon_command.js";
import type { Shell } from "../../../cli/shell/shell.js";
import { exitCodes } from "../../../daemon/exit_codes.js";
import { manifestJson, manifestText, secretVariable } from "../manifest_text.js";
import { readProfiles } from "./provider_target.js";
import type { ExportFlags } from "./providers_flags.js";

/** `providers export`. */
export async function exportProviders(shell: Shell, flags: ExportFlags): Promise<void> {
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

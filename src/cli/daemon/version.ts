import { Command } from "commander";
import { readProgramVersion } from "../../config/version.js";
import type { Shell } from "../shell/shell.js";

export function versionCommand(shell: Shell): Command {
  return new Command("version")
    .option("--json", "print JSON")
    .action(({ json }: { readonly json?: boolean }) => {
      const { version, commit, node, platform } = readProgramVersion();
      shell.stdout.write(
        json
          ? `${JSON.stringify({ version, commit, node, platform })}\n`
          : `nexusd   ${version}\ncommit   ${commit}\nNode     ${node}\nplatform ${platform}\n`,
      );
    });
}

import { Command } from "commander";
import { exitCodeMeanings, exitCodes } from "../../core/exit_codes.js";
import type { Shell } from "../shell/shell.js";

export function exitCodesCommand(shell: Shell): Command {
  return new Command("exit-codes")
    .option("--json", "print JSON")
    .action(({ json }: { readonly json?: boolean }) => {
      for (const [name, code] of Object.entries(exitCodes)) {
        const meaning = exitCodeMeanings[name as keyof typeof exitCodes];
        shell.stdout.write(
          json ? `${JSON.stringify({ code, meaning })}\n` : `${String(code).padStart(2)}  ${meaning}\n`,
        );
      }
    });
}

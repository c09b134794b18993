import { serveCommand } from "./daemon/serve.js";
import { runOneOf } from "./run_command.js";
import type { Shell } from "./shell/shell.js";

/** Runs `nexusd serve` as `run` of `program.ts` does, without making the other commands: a daemon never needs them. */
export async function runServe(args: readonly string[], process: Shell): Promise<number> {
  return await runOneOf([serveCommand], args, process);
}

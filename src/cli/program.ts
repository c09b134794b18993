import { commands } from "./commands.js";
import { completeCommand } from "./completion/completion.js";
import { nextSteps } from "./next_steps.js";
import { runOneOf } from "./run_command.js";
import type { Shell } from "./shell/shell.js";

/**
 * Runs one command; without any, says what to do next.
 *
 * @param args what stands after `nexusd`
 * @param process what the command sees of it
 * @returns the exit code
 */
export async function run(args: readonly string[], process: Shell): Promise<number> {
  const rows = [...commands, ...process.extensions.flatMap((extension) => extension.commands ?? [])];
  const command = (shell: Shell) =>
    runOneOf(rows, args, shell, { complete: completeCommand, alone: nextSteps });
  return args[0] === "serve" ? await refusingAsItLogs(args, process, command) : await command(process);
}

/**
 * Runs `nexusd serve`. What refuses it before there is a log, the command line and the settings, is told in the form of the log: for a
 * person on standard error, or as an object on standard output, with the fields of what refuses it later.
 */
async function refusingAsItLogs(
  args: readonly string[],
  process: Shell,
  run: (shell: Shell) => Promise<number>,
): Promise<number> {
  if (!logsJson(args, process)) return await run(process);
  let refusal = "";
  const write = (text: string): void => {
    refusal += text;
  };
  const code = await run({ ...process, stderr: { ...process.stderr, write } });
  const reason = refusal.trimEnd().replace(/^nexusd: /, "");
  if (reason === "") return code;
  const time = new Date(process.clock.nowMs()).toISOString();
  const line = { level: "error", time, reason, message: "nexusd cannot start" };
  process.stdout.write(`${JSON.stringify(line)}\n`);
  return code;
}

/** As `loadConfig` decides it; a format that does not exist is as none. */
function logsJson(args: readonly string[], { env, stdout }: Shell): boolean {
  const flag = "--log-format";
  const joined = args.findLast((arg) => arg.startsWith(`${flag}=`))?.slice(flag.length + 1);
  const following = args.includes(flag) ? args[args.lastIndexOf(flag) + 1] : undefined;
  const format = joined ?? following ?? env["NEXUS_LOG_FORMAT"];
  return format === "json" || (format !== "pretty" && !stdout.isTTY);
}

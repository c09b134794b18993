import { ConnectionStatus } from "../gen/nexus/v1/connection_pb.js";
import { namePath } from "../model/connections/connection_name.js";
import { counted } from "../model/quantity_text.js";
import { commands } from "./commands.js";
import { retryStep } from "./connections/consent_wait.js";
import { runOneOf } from "./run_command.js";
import { CommandFailure } from "./shell/command_failure.js";
import { type DaemonSession, withDaemon } from "./shell/daemon_command.js";
import type { Shell } from "./shell/shell.js";
import { printable, shellWord } from "./shell/text.js";

/**
 * Runs one command; without any, says what to do next.
 *
 * @param args what stands after `nexusd`
 * @param process what the command sees of it
 * @returns the exit code
 */
export async function run(args: readonly string[], process: Shell): Promise<number> {
  const rows = [...commands, ...process.extensions.flatMap((extension) => extension.commands ?? [])];
  const hidden = process.extensions.flatMap((extension) => extension.hiddenCommands ?? []);
  const command = (shell: Shell) => runOneOf(rows, args, shell, { hidden, alone: nextSteps });
  return args[0] === "serve" ? await refusingAsItLogs(args, process, command) : await command(process);
}

/**
 * Runs `nexusd serve`. A mistake in the command line or in the settings, which comes before there is a log, is reported in the form of the
 * log. That is text on standard error, or an object on standard output with the fields of later errors.
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

/** What `nexusd` alone prints: how this machine is, and which command comes next. */
export async function nextSteps(shell: Shell): Promise<void> {
  const { program } = shell;
  let step = `No daemon is running here.\nStart one in another terminal: ${program} serve`;
  try {
    await withDaemon(shell, {}, async (session) => {
      step = await nextStep(session, program);
    });
  } catch (error) {
    if (!(error instanceof CommandFailure && /serve` running\?/.test(error.message))) throw error;
  }
  shell.stdout.write(`${step}\nAll commands: ${program} --help\n`);
}

async function nextStep({ daemon, call }: DaemonSession, program: string): Promise<string> {
  const connections = async (status: ConnectionStatus) => {
    const request = { pageSize: 100, status };
    const page = await call("list the connections", daemon.connections.listConnections, request);
    const more = page.nextPageToken === "" ? "" : " and more";
    const { connections: all } = page;
    const word = all[0] ? shellWord(namePath(all[0])) : "";
    return { all, first: all[0], word, count: `${counted(all.length, "connection")}${more}` };
  };
  const attention = await connections(ConnectionStatus.ATTENTION);
  if (attention.first)
    return `Users must act for ${attention.count}.\nSee which: ${program} connections --status attention`;
  const { all, first, word, count } = await connections(ConnectionStatus.FAILED);
  if (first) {
    const reasons = all
      .slice(0, 5)
      .map((each) => printable(`  ${namePath(each)}: ${each.problem?.message.split("\n")[0] ?? ""}`));
    const step = retryStep(first, word, program).replace(/^c/, "C");
    const end = `Or delete it: ${program} connections delete ${word}`;
    return [`${count} failed:`, ...reasons, step, end].join("\n");
  }
  const active = await connections(ConnectionStatus.ACTIVE);
  if (active.first)
    return `All is well: ${active.count} active.\nRead a token: ${program} token ${active.word}`;
  const pending = await connections(ConnectionStatus.PENDING);
  if (pending.first)
    return `${pending.count} waiting for a user's consent.\nGet a new link: ${program} connect ${pending.word}`;
  const { providers } = await call("list the providers", daemon.providers.listProviders, { pageSize: 1 });
  return providers[0]
    ? `The daemon is running and no account is connected.\nConnect an account: ${program} connect ${providers[0].name}`
    : `The daemon is running and has no providers yet.\nAdd one: ${program} provider add`;
}

import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { CommandFailure } from "./shell/command_failure.js";

/** What a person or a supervisor sends to the one process that it sees. */
const passedOn = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
/** A terminal sends these to all processes of its foreground: passed on, the program would get them twice. */
const sentByTerminal: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];

/** As `Shell` has it. */
export async function runProgram(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [program = ""] = argv;
  const child = start(argv, env);
  const hasTerminal = process.stdin.isTTY === true;
  const passOn = (signal: NodeJS.Signals): void => {
    if (!(hasTerminal && sentByTerminal.includes(signal))) child.kill(signal);
  };
  for (const signal of passedOn) process.on(signal, passOn);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) => reject(notStarted(program, error.code)));
      child.once("exit", (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
    });
  } finally {
    for (const signal of passedOn) process.off(signal, passOn);
  }
}

function start([program = "", ...args]: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  try {
    return spawn(program, args, { env, stdio: "inherit", shell: false });
  } catch (error) {
    // Some failures are thrown, as E2BIG; most come as an event.
    throw notStarted(program, (error as NodeJS.ErrnoException).code);
  }
}

function notStarted(program: string, code = "unknown error"): CommandFailure {
  const isMissing = code === "ENOENT";
  const why = isMissing ? "there is no such program" : code;
  return new CommandFailure(isMissing ? 127 : 126, `${program} cannot be started: ${why}`);
}

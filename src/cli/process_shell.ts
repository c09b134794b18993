import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import type { Option } from "@clack/prompts";
import { processEnvironment } from "../config/environment.js";
import { exitCodes } from "../core/exit_codes.js";
import type { Extension } from "../core/registry.js";
import { SystemClock } from "../runtime/clock.js";
import { platform } from "../runtime/platform/platform.js";
import { CommandFailure, usageFailure } from "./shell/command_failure.js";
import { programName } from "./shell/program_name.js";
import type { Choices, Input, Output, ProgramApart, Shell } from "./shell/shell.js";

/** As a shell says that SIGINT ended a program. */
const interruptedExitCode = 130;

/**
 * Runs the command that this process was started with, and ends the process.
 *
 * @param run takes what stands after `nexusd`, and resolves with the exit code
 */
export async function runProcess(
  run: (args: readonly string[], shell: Shell) => Promise<number>,
  extensions: readonly Extension[],
): Promise<never> {
  // Timers of the clock do not keep the process alive; this does, while a command waits for nothing else.
  const alive = new MessageChannel();
  alive.port1.on("message", () => {});
  // The reader has enough: `nexusd watch | head`.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? exitCodes.ok : exitCodes.failed);
  });
  const exitCode = await run(process.argv.slice(2), processShell(extensions));
  await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
  process.exit(exitCode);
}

function processShell(extensions: readonly Extension[]): Shell {
  const env = processEnvironment();
  return {
    env,
    program: programName({ env, script: process.argv[1] ?? "nexusd", folder: process.cwd() }),
    stdin: processInput(),
    stdout: processOutput(process.stdout),
    stderr: processOutput(process.stderr),
    clock: new SystemClock(),
    random: Math.random,
    userName,
    runProgram,
    orInterrupted,
    withTemporaryFolder,
    extensions,
    openStandardStreams: () => ({ input: process.stdin, output: process.stdout }),
    openBrowser: async (url) => {
      if (!hasBrowser(env)) throw new Error("this machine has no display");
      const { default: open } = await import("open");
      await open(url);
    },
    runDaemon: async (options) => {
      const { runDaemon } = await import("../daemon/run_daemon.js");
      return await runDaemon(options);
    },
  };
}

async function orInterrupted<Result>(last: string, work: () => Promise<Result>): Promise<Result> {
  const end = (): void => {
    process.stderr.write(last);
    process.exit(interruptedExitCode);
  };
  process.once("SIGINT", end);
  try {
    return await work();
  } finally {
    process.off("SIGINT", end);
  }
}

/** What ends a process that does not listen to it, of what a person or a supervisor sends. */
const endings = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] as const;

/** As `Shell` has it. */
async function withTemporaryFolder<Result>(
  name: string,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  const made: string[] = [];
  const remove = (): void => {
    for (const folder of made) rmSync(folder, { recursive: true, force: true });
  };
  const endBy = (signal: NodeJS.Signals): void => {
    // A program that runs is told by a listener of its own, and its end is awaited.
    if (process.listenerCount(signal) > 1) return;
    remove();
    process.off(signal, endBy);
    process.kill(process.pid, signal);
  };
  for (const signal of endings) process.on(signal, endBy);
  try {
    const folder = mkdtempSync(join(tmpdir(), `${name}-`));
    made.push(folder);
    return await work(folder);
  } finally {
    remove();
    for (const signal of endings) process.off(signal, endBy);
  }
}

/** Without a display the program that opens a browser starts one without a window, or none, and does not report it. */
function hasBrowser(env: NodeJS.ProcessEnv): boolean {
  const names = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"];
  return !platform.hasDisplayVariables || names.some((name) => (env[name] ?? "") !== "");
}

function processOutput(stream: NodeJS.WriteStream): Output {
  return {
    isTTY: stream.isTTY === true,
    // A terminal can change its size; one that has none says 0.
    get columns() {
      return stream.columns || undefined;
    },
    get rows() {
      return stream.rows || undefined;
    },
    write: (text) => void stream.write(text),
    writeBytes: (bytes) => new Promise((resolve) => stream.write(bytes, () => resolve())),
  };
}

function processInput(): Input {
  return {
    isTTY: process.stdin.isTTY === true,
    readAll: async () => (await readBytes()).toString("utf8"),
    readBytes,
    ask,
    search,
  };
}

async function readBytes(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** The terminal is in raw mode while the question stands, so only what the interface writes is seen. */
async function ask(question: string, { echo }: { readonly echo: boolean }): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({
    input: process.stdin,
    output: echo ? process.stderr : nowhere,
    terminal: true,
    historySize: 0,
  });
  if (!echo) process.stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      const giveUp = (): void => reject(new CommandFailure(exitCodes.failed, "no answer"));
      lines.once("SIGINT", giveUp);
      lines.once("close", giveUp);
      lines.question(echo ? question : "", resolve);
    });
  } finally {
    lines.close();
    if (!echo) process.stderr.write("\n");
  }
}

async function search<Item>(question: string, { find, lineOf }: Choices<Item>): Promise<Item | undefined> {
  const { autocomplete, isCancel } = await import("@clack/prompts");
  const item = await autocomplete<Item>({
    message: question,
    options() {
      return find(this.userInput).map((value) => ({ value, label: lineOf(value) }) as Option<Item>);
    },
    maxItems: 8,
    output: process.stderr,
  });
  return isCancel(item) ? undefined : item;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    throw usageFailure("this system knows no name for the user: give --user");
  }
}

/** What a person or a supervisor sends to the one process that it sees. */
const passedOn = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
/** A terminal sends these to all processes of its foreground: passed on, the program would get them twice. */
const sentByTerminal: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];

/** A terminal tells these to the session that it belongs to. */
const ofTerminal = ["SIGWINCH", "SIGTSTP", "SIGCONT"] as const;

/** As `Shell` has it. */
async function runProgram(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  apart?: ProgramApart,
): Promise<number> {
  const [program = ""] = argv;
  const child = start(argv, env, apart);
  const passOn = apart ? teller(child) : sender(child);
  const heard = apart ? [...passedOn, ...ofTerminal] : passedOn;
  for (const signal of heard) process.on(signal, passOn);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) => reject(notStarted(program, error.code)));
      child.once("exit", (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
    });
  } finally {
    for (const signal of heard) process.off(signal, passOn);
  }
}

function sender(child: ChildProcess): (signal: NodeJS.Signals) => void {
  const hasTerminal = process.stdin.isTTY === true;
  return (signal) => {
    if (!(hasTerminal && sentByTerminal.includes(signal))) child.kill(signal);
  };
}

/** Of a program in a session of its own: it stops first when this process is stopped. */
function teller({ stdio }: ChildProcess): (signal: NodeJS.Signals) => void {
  const signals = stdio[3] as Writable;
  signals.on("error", () => undefined);
  return (signal) => {
    signals.write(`${signal}\n`);
    if (signal === "SIGTSTP") process.kill(process.pid, "SIGSTOP");
  };
}

function start(
  [program = "", ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
  apart?: ProgramApart,
): ChildProcess {
  const own = ["inherit", "inherit", "inherit"] as const;
  try {
    if (!apart) return spawn(program, args, { env, stdio: [...own], shell: false });
    const stdio = [...own, "pipe" as const, ...apart.files];
    return spawn(program, args, { env, stdio, shell: false, detached: true });
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

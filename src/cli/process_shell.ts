import { userInfo } from "node:os";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { processEnvironment } from "../config/environment.js";
import { exitCodes } from "../daemon/exit_codes.js";
import { SystemClock } from "../runtime/clock.js";
import { runProgram } from "./child_program.js";
import { run } from "./program.js";
import { CommandFailure, usageFailure } from "./shell/command_failure.js";
import { programName } from "./shell/program_name.js";
import type { Input, Output, Shell } from "./shell/shell.js";

/** Runs the command that this process was started with, and ends the process. */
export async function runProcess(): Promise<never> {
  // Timers of the clock do not keep the process alive; this does, while a command waits for nothing else.
  const alive = new MessageChannel();
  alive.port1.on("message", () => {});
  // The reader has enough: `nexusd watch | head`.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? exitCodes.ok : exitCodes.failed);
  });
  const exitCode = await run(process.argv.slice(2), processShell());
  await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
  process.exit(exitCode);
}

function processShell(): Shell {
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
    openStandardStreams: () => ({ input: process.stdin, output: process.stdout }),
    openBrowser: async (url) => {
      const { default: open } = await import("open");
      await open(url);
    },
    runDaemon: async (options) => {
      const { runDaemon } = await import("../daemon/run_daemon.js");
      return await runDaemon(options);
    },
  };
}

function processOutput(stream: NodeJS.WriteStream): Output {
  return {
    isTTY: stream.isTTY === true,
    columns: stream.columns,
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

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    throw usageFailure("this system knows no name for the user: give --user");
  }
}

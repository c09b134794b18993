import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "../runtime/clock.js";
import { KeyError } from "./key_file.js";

/** A secret manager over a network answers within this. */
export const commandTimeoutMs = 30_000;
/** A full ring has less than 1 KiB. */
const maxOutputBytes = 64 * 1024;

/**
 * Runs a command that prints the key ring, without a shell. Its standard error is not read: it may hold what it should not.
 *
 * @param argv program and arguments
 * @param environment of the child
 * @throws KeyError when it fails, is not done in 30 s, or prints more than 64 KiB; nothing that it printed is in the message
 */
export function runKeyCommand(
  argv: readonly string[],
  options: { readonly environment: NodeJS.ProcessEnv; readonly clock: Clock },
): Promise<string> {
  const [program = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new KeyError(`the encryption key command ${program} ${why}`));
    // A group of its own, so that what it started ends with it.
    const child = spawn(program, args, {
      env: options.environment,
      stdio: ["ignore", "pipe", "ignore"],
      shell: false,
      detached: true,
    });
    const timer = options.clock.setTimer(commandTimeoutMs, () => {
      endGroup(child);
      fail(`was not done after ${commandTimeoutMs / 1000} s`);
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= maxOutputBytes) return;
      endGroup(child);
      fail(`printed more than ${maxOutputBytes} bytes`);
    });
    child.once("error", (error: NodeJS.ErrnoException) => {
      timer.cancel();
      fail(`cannot be run: ${error.code ?? error.name}`);
    });
    child.once("close", (code, signal) => {
      timer.cancel();
      if (code !== 0) fail(`ended with ${code ?? signal}`);
      else resolve(Buffer.concat(chunks).toString("utf8"));
      for (const chunk of chunks) chunk.fill(0);
    });
  });
}

function endGroup(child: ChildProcess): void {
  child.stdout?.destroy();
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

import { spawn } from "node:child_process";
import type { Clock } from "../../runtime/runtime.js";
import type { Delivery, NotificationMessage } from "./receiver.js";

/** As long as a webhook may take. */
const timeoutMs = 10_000;

/**
 * Runs a command that gets the notification as JSON on its standard input, without a shell. It has taken the notification when it ends
 * with 0. What it prints is not read.
 *
 * @param argv program and arguments
 * @param environment of the child
 */
export function sendToCommand(
  argv: readonly string[],
  options: { readonly environment: NodeJS.ProcessEnv; readonly clock: Clock },
  { body }: NotificationMessage,
  signal: AbortSignal,
): Promise<Delivery> {
  const [program = "", ...args] = argv;
  return new Promise((resolve) => {
    // A group of its own, so that what it started ends with it.
    const child = spawn(program, args, {
      env: options.environment,
      stdio: ["pipe", "ignore", "ignore"],
      shell: false,
      detached: true,
    });
    let why: string | undefined;
    const end = (reason: string): void => {
      why ??= reason;
      if (child.pid !== undefined) endGroup(child.pid);
    };
    const onAbort = (): void => end("aborted");
    const timer = options.clock.setTimer(timeoutMs, () => end("timeout"));
    signal.addEventListener("abort", onAbort, { once: true });
    const done = (delivery: Delivery): void => {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      resolve(delivery);
    };
    child.once("error", (error: NodeJS.ErrnoException) => done(failed(error.code ?? error.name)));
    child.once("close", (code, by) => {
      done(code === 0 ? { kind: "taken" } : failed(why ?? (code === null ? `${by}` : `exit_${code}`)));
    });
    // One that does not read its input may have ended already.
    child.stdin.once("error", () => undefined);
    child.stdin.end(`${body}\n`);
    if (signal.aborted) onAbort();
  });
}

function failed(reason: string): Delivery {
  const isUnreachable = /^E[A-Z]/.test(reason) || reason === "timeout" || reason === "aborted";
  return { kind: "failed", reason, retryAfterMs: undefined, isUnreachable };
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

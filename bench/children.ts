import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { constants, setPriority } from "node:os";
import { join } from "node:path";

/** Starts a script of this folder as a process of its own. */
export function start(script: string, args: readonly string[]): ChildProcess {
  return fork(join(import.meta.dirname, script), [...args], { execArgv: ["--import", "tsx"] });
}

/** Starts what works on another machine in real life: here it takes what the daemon and the agent leave of the cores. */
export function startElsewhere(script: string, args: readonly string[]): ChildProcess {
  const child = start(script, args);
  setPriority(child.pid ?? 0, constants.priority.PRIORITY_BELOW_NORMAL);
  return child;
}

/** Starts a server of this folder, and waits until it says that it is ready. */
export async function startServer(script: string, args: readonly string[]): Promise<ChildProcess> {
  const child = start(script, args);
  await once(child, "message");
  return child;
}

/** Runs a script of this folder to the one message that it sends. */
export async function answerOf<T>(script: string, args: readonly string[]): Promise<T> {
  const child = startElsewhere(script, args);
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`${script} ended with ${code} before it answered`);
  });
  const answered = once(child, "message").then(([message]) => message as T);
  const answer = await Promise.race([answered, ended]);
  ended.catch(() => undefined);
  return answer;
}

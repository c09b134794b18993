import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** A TypeScript file of `children/` in a process of its own. */
export interface Child {
  readonly pid: number;
  /** The next line that it prints; undefined at the end of its output. */
  nextLine(): Promise<string | undefined>;
  /** SIGKILL. Resolves when it is gone and every line that it printed can be read. */
  kill(): Promise<void>;
  /** With which code, or by which signal. */
  ended(): Promise<number | string>;
}

/** @param shellPrefix runs in the shell that becomes the child */
export function startChild(name: string, args: readonly string[], shellPrefix = ":"): Child {
  const script = fileURLToPath(new URL(`./children/${name}.ts`, import.meta.url));
  const child: ChildProcess = spawn(
    "/bin/sh",
    ["-c", `${shellPrefix}; exec "$@"`, "sh", process.execPath, "--import", "tsx", script, ...args],
    { stdio: ["ignore", "pipe", process.env["DEBUG"] === undefined ? "ignore" : "inherit"] },
  );
  const gone = once(child, "close");
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  if (child.stdout === null || child.pid === undefined) throw new Error(`${name} did not start`);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid,
    async nextLine() {
      const { done, value } = await lines.next();
      return done ? undefined : value;
    },
    async kill() {
      child.kill("SIGKILL");
      await gone;
    },
    async ended() {
      const [code, signal] = await gone;
      return code ?? signal;
    },
  };
}

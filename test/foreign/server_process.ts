import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { eventually } from "./eventually.js";

export interface Command {
  readonly path: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly environment?: NodeJS.ProcessEnv;
}

/** Long enough for a JVM on a machine where thirty processes want to run: nothing is measured. */
const maxStartSeconds = 360;

const running = new Set<ServerProcess>();
process.once("exit", () => {
  for (const server of running) server.kill();
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

/** Somebody else's server, in a group of processes of its own. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #output = "";

  private constructor({ path, args, folder, environment }: Command) {
    this.#child = spawn(path, args, {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    running.add(this);
    this.#closed = once(this.#child, "close").finally(() => running.delete(this));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-4_000);
      });
    }
  }

  /** @param url answers 200 once the server is up */
  static async start(command: Command, url: string): Promise<ServerProcess> {
    const server = new ServerProcess(command);
    try {
      await eventually(`${command.path} answers at ${url}`, maxStartSeconds, async () => {
        if (server.#child.exitCode !== null) throw new Error(`it ended: ${server.#output}`);
        const { status } = await fetch(url);
        if (status !== 200) throw new Error(`it answers ${status}: ${server.#output}`);
      });
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  kill(): void {
    if (this.#child.exitCode === null && this.#child.pid !== undefined) {
      process.kill(-this.#child.pid, "SIGKILL");
    }
  }

  async stop(): Promise<void> {
    this.kill();
    await this.#closed;
  }
}

const maxDownloadAttempts = 3;

/** Runs a command that fetches from a registry, and again where it failed or stood still. @throws Error with what it wrote at last */
export async function download(command: Command): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await run(command);
      return;
    } catch (error) {
      if (attempt === maxDownloadAttempts) throw error;
      process.stderr.write(`it is begun again: ${(error as Error).message.slice(-500)}\n`);
    }
  }
}

/** Runs a command to its end. @returns its standard output @throws Error with what it wrote, when it failed */
export async function run({ path, args, folder, environment }: Command): Promise<string> {
  const options = { cwd: folder, env: { ...process.env, ...environment }, timeout: 300_000 };
  const { stdout } = await promisify(execFile)(path, args, options);
  return stdout;
}

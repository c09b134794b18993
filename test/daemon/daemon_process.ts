import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { leaveLog } from "../run_folder.js";

const root = join(import.meta.dirname, "../..");

/** `nexusd serve` as a process of its own, started as a user starts it. */
export class DaemonProcess {
  readonly #child: ChildProcess;
  #output = "";
  #errors = "";
  readonly exited: Promise<number | string>;

  /**
   * @param wrapper a command that runs the rest of its arguments
   * @param program of another version, or installed
   */
  constructor(
    environment: NodeJS.ProcessEnv,
    args: readonly string[] = ["serve"],
    wrapper: readonly string[] = [],
    program: readonly string[] = [process.execPath, join(root, "dist/main.js")],
  ) {
    const [command = "", ...rest] = [...wrapper, ...program, ...args];
    this.#child = spawn(command, rest, {
      env: { PATH: process.env["PATH"], HOME: environment["NEXUS_DATA_DIR"], ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors += text;
    });
    this.exited = once(this.#child, "close").then(([code, signal]) => {
      // A command may print what it is asked for, as `connect` does the URL with its state.
      if (args[0] === "serve") leaveLog(`${this.output}\n`);
      return (code ?? signal) as number | string;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Everything written so far. */
  get output(): string {
    return this.#output + this.#errors;
  }

  /** Resolves when the log says that every listener is open. */
  async ready(): Promise<void> {
    await this.wrote(/"nexusd is ready"/);
  }

  /** Resolves with the match once standard output has it. */
  async wrote(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match) return match;
      const stdout = this.#child.stdout;
      if (!stdout) throw new Error("no standard output");
      const ended = this.exited.then((code) => {
        throw new Error(`nexusd ended with ${code}: ${this.output}${holderOfPort(this.output)}`);
      });
      await Promise.race([once(stdout, "data"), ended]);
    }
  }

  /** Sends a signal that does not end the process. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  kill(signal: NodeJS.Signals): Promise<number | string> {
    this.#child.kill(signal);
    return this.exited;
  }
}

/** Who holds the port that a daemon could not have: by ss(8), where it is there. */
function holderOfPort(output: string): string {
  const [, port] = /:(\d+): [^\n]*EADDRINUSE/.exec(output) ?? [];
  if (port === undefined) return "";
  const { stdout } = spawnSync("ss", ["-tanp", `sport = :${port}`], { encoding: "utf8" });
  return `\nat port ${port} now: ${stdout ?? "unknown"}`;
}

/** Daemons of one environment, each a process of its own; `close` kills them all. */
export class DaemonProcesses {
  readonly all: DaemonProcess[] = [];

  constructor(private readonly environment: NodeJS.ProcessEnv) {}

  start(more: NodeJS.ProcessEnv = {}): DaemonProcess {
    const daemon = new DaemonProcess({ ...this.environment, ...more });
    this.all.push(daemon);
    return daemon;
  }

  async started(more?: NodeJS.ProcessEnv): Promise<DaemonProcess> {
    const daemon = this.start(more);
    await daemon.ready();
    return daemon;
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((daemon) => daemon.kill("SIGKILL")));
  }
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { within } from "../suites/stage.js";

/** An example agent at work: what it prints, line by line. */
export class AgentProcess {
  readonly lines: string[] = [];
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;

  constructor(command: readonly string[], args: readonly string[], environment: NodeJS.ProcessEnv) {
    const [program = "", ...rest] = command;
    this.#child = spawn(program, [...rest, ...args], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface({ input: stream }).on("line", (line) => void this.#take(line));
    }
    this.exited = new Promise((resolve) => {
      this.#child.on("error", (error) => resolve(error.message));
      this.#child.on("close", (code, signal) => resolve(code ?? signal ?? "no code"));
    });
  }

  /** Resolves once a line from `from` on matches. @throws Error with the end of what it printed */
  async printed(pattern: RegExp, from: number, maxSeconds: number): Promise<void> {
    const found = async (): Promise<void> => {
      const ended = this.exited.then((code) => {
        throw new Error(`it ended with ${code}`);
      });
      ended.catch(() => {});
      while (!this.lines.slice(from).some((line) => pattern.test(line))) {
        await Promise.race([once(this.#child, "printed"), ended]);
      }
    };
    try {
      await within(maxSeconds, `a line like ${pattern}`, found());
    } catch (error) {
      throw new Error(`${(error as Error).message}; it printed:\n${this.lines.slice(-12).join("\n")}`);
    }
  }

  /** Lines of states, and of a stream that begins anew, from `from` on. */
  statesSince(from: number): string[] {
    return this.lines.slice(from).filter((line) => / {2}revision \d|^reset/.test(line));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #take(line: string): void {
    this.lines.push(line);
    this.#child.emit("printed");
  }
}

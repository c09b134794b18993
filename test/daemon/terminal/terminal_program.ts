import type { Ended, Running, ToolWorld } from "../tools/tool_world.js";

/** A command at a terminal of its own, and the person who sits there. Its two outputs are one. */
export class TerminalProgram {
  /** How much of what it showed was waited for. */
  #seen = 0;

  private constructor(private readonly running: Running) {}

  static start(world: ToolWorld, command: string, env: NodeJS.ProcessEnv = {}): TerminalProgram {
    const terminal = { TERM: "xterm", ...env };
    return new TerminalProgram(
      world.start("script", ["-qec", command, "/dev/null"], { openStdin: true, env: terminal }),
    );
  }

  get ended(): Promise<Ended> {
    return this.running.ended;
  }

  /** Waits for the text, behind what was waited for before. @returns everything that the terminal has shown */
  async shows(text: string): Promise<string> {
    await this.running.wrote(text, this.#seen);
    this.#seen = this.running.stdout.indexOf(text, this.#seen) + text.length;
    return this.running.stdout;
  }

  /** Waits for the question and types the answer, with return. */
  async answer(question: string, answer: string): Promise<void> {
    await this.shows(question);
    this.type(`${answer}\r`);
  }

  type(keys: string): void {
    this.running.child.stdin?.write(keys);
  }
}

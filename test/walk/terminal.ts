import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";

export interface TerminalOptions {
  /** A command that runs the rest of its arguments as the user. */
  readonly as: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** How a command ended, and what the terminal showed meanwhile, without colors. */
export interface Shown {
  readonly code: number;
  readonly text: string;
}

/** What a user types while the command runs, once the terminal shows the text before. */
export type Typed = readonly [after: string | RegExp, keys: string];

const maxCommandMs = 30_000;
/** What bash writes before each prompt: the exit code of the last command. */
const ended = /\[ended (\d+)\]\n?/;
let steps = 0;

/** A window with bash, 80 columns wide, and the user before it. */
export class Terminal {
  readonly #child;
  readonly #folder: string;
  #all = "";
  #isBusy = false;

  constructor({ as, env, cwd }: TerminalOptions) {
    const [command = "", ...rest] = [
      ...as,
      "script",
      "-qefc",
      "bash --noprofile --norc --noediting",
      "/dev/null",
    ];
    this.#folder = cwd;
    this.#child = spawn(command, rest, {
      cwd,
      env: { ...env, TERM: "xterm", PS1: "", PS2: "", SHELL: "/bin/bash" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#all += text;
    });
    // How each command ended is written before the next prompt, even where Ctrl-C ended it.
    const prompt = "printf '[ended %s]\\n' $?";
    this.#child.stdin.write(
      `stty cols 80 rows 24; set +o history; PS1=; PROMPT_COMMAND="${prompt.replace("$", "\\$")}"\r`,
    );
  }

  /** Everything that it showed, without colors. */
  get all(): string {
    return stripVTControlCharacters(this.#all).replaceAll("\r", "");
  }

  /** Types the command and waits for its end. @param typed answers to what it asks, each typed once */
  async run(command: string, typed: readonly Typed[] = []): Promise<Shown> {
    const from = await this.#type(command);
    return await this.#end(from, typed, command);
  }

  async #end(from: number, typed: readonly Typed[], command: string): Promise<Shown> {
    const open = [...typed];
    const deadlineMs = Date.now() + maxCommandMs;
    for (;;) {
      const shown = this.#all.slice(from);
      const [, code] = ended.exec(shown) ?? [];
      if (code !== undefined) {
        this.#isBusy = false;
        return { code: Number(code), text: tidied(shown) };
      }
      const next = open[0];
      if (next && has(shown, next[0])) {
        this.#child.stdin.write(next[1]);
        open.shift();
      }
      if (Date.now() > deadlineMs) throw new Error(`it has not ended: ${command}\n${tidied(shown)}`);
      await sleep(20);
    }
  }

  /** Types a command that goes on, then the keys, and waits until it has shown the text. @returns what it showed */
  async begin(command: string, until: RegExp, keys = ""): Promise<string> {
    const from = await this.#type(command);
    this.#child.stdin.write(keys);
    const deadlineMs = Date.now() + maxCommandMs;
    for (;;) {
      const shown = this.#all.slice(from);
      if (has(shown, until)) return tidied(shown);
      if (ended.test(shown)) throw new Error(`it has ended: ${command}\n${tidied(shown)}`);
      if (Date.now() > deadlineMs) throw new Error(`it does not show ${until}: ${command}\n${tidied(shown)}`);
      await sleep(20);
    }
  }

  /** Presses Ctrl-C, and waits for the end of the command. */
  async interrupt(): Promise<Shown> {
    const from = this.#all.length;
    this.#child.stdin.write("\x03");
    return await this.#end(from, [], "Ctrl-C");
  }

  /** Ends what still runs, and bash. A daemon would only read its files again where the window goes away. */
  async close(): Promise<void> {
    const closed = once(this.#child, "close");
    if (this.#isBusy) await this.interrupt().catch(() => {});
    this.#child.stdin.write("exit\r");
    const killed = setTimeout(() => this.#child.kill("SIGKILL"), 5_000);
    await closed;
    clearTimeout(killed);
  }

  /** The command lies in a file, so that what a program reads from the terminal is what the user types. @returns where its output begins */
  async #type(command: string): Promise<number> {
    // The first prompt.
    while (!ended.test(this.#all)) await sleep(20);
    const file = join(this.#folder, `.typed-${++steps}`);
    writeFileSync(file, `${command}\n`, { mode: 0o644 });
    const from = this.#all.length;
    this.#isBusy = true;
    this.#child.stdin.write(`. ${file}\r`);
    return from;
  }
}

function has(text: string, wanted: string | RegExp): boolean {
  const bare = stripVTControlCharacters(text);
  return typeof wanted === "string" ? bare.includes(wanted) : wanted.test(bare);
}

function tidied(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll("\r", "")
    .replace(/^\. \S+\n/, "")
    .replace(ended, "")
    .trimEnd();
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandWorld, type Ended } from "../command_world.js";
import { ScriptedWorld } from "../scripted_world.js";

export type { Ended };

const main = join(import.meta.dirname, "../../../dist/main.js");

interface RunOptions {
  readonly stdin?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** What standard input gets later. */
  readonly openStdin?: boolean;
}

/** A program that runs. */
export class Running {
  #stdout = "";
  #stderr = "";
  readonly ended: Promise<Ended>;

  constructor(readonly child: ChildProcess) {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    this.ended = once(child, "close").then(([code]) => ({
      code: code as number | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
  }

  /** What came to standard output so far. */
  get stdout(): string {
    return this.#stdout;
  }

  /** Resolves once standard output has the text, behind its first `from` characters. */
  async wrote(text: string, from = 0): Promise<void> {
    const { stdout } = this.child;
    while (!this.#stdout.includes(text, from)) {
      const early = this.ended.then(({ code, stderr }) => {
        throw new Error(`ended with ${code}: ${stderr}`);
      });
      await Promise.race([stdout ? once(stdout, "data") : early, early]);
    }
  }
}

/** A live daemon, and a machine on which `nexusd` is installed. */
export class ToolWorld extends CommandWorld {
  readonly #bin = join(this.home, "bin");

  private constructor(scripted: ScriptedWorld) {
    super(scripted);
    mkdirSync(this.#bin);
    symlinkSync(main, join(this.#bin, "nexusd"));
  }

  static override async make(environment: NodeJS.ProcessEnv = {}): Promise<ToolWorld> {
    return new ToolWorld(await ScriptedWorld.make(environment));
  }

  get env(): NodeJS.ProcessEnv {
    const { dataDir } = this.scripted.place.config;
    return { PATH: `${this.#bin}:${process.env["PATH"]}`, HOME: this.home, NEXUS_DATA_DIR: dataDir };
  }

  /** Puts a program on the path. */
  install(name: string, text: string): void {
    writeFileSync(join(this.#bin, name), text, { mode: 0o755 });
  }

  /** A program of Node on the path. */
  installNode(name: string, text: string): void {
    this.install(name, `#!${process.execPath}\n${text}`);
  }

  start(program: string, args: readonly string[], { stdin, env, cwd, openStdin }: RunOptions = {}): Running {
    const child = spawn(program, args, { env: { ...this.env, ...env }, cwd: cwd ?? this.home });
    child.stdin.on("error", () => {});
    if (!openStdin) child.stdin.end(stdin ?? "");
    return new Running(child);
  }

  run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.start(program, args, options).ended;
  }

  /** `nexusd` as a process of its own. */
  nexusd(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.run("nexusd", args, options);
  }
}

import type { Config } from "../../config/config.js";
import type { Clock } from "../../runtime/clock.js";

/** Where a command writes. */
export interface Output {
  readonly isTTY: boolean;
  /** How wide the terminal is; undefined where there is none. */
  readonly columns?: number | undefined;
  write(text: string): void;
}

/** Where a person answers, or a script pipes something in. */
export interface Input {
  readonly isTTY: boolean;
  /** Everything up to the end. */
  readAll(): Promise<string>;
  /** One line after `question`, which goes to standard error; with `echo: false` what is typed is not shown. */
  ask(question: string, options: { readonly echo: boolean }): Promise<string>;
}

/** What a command sees of the process that it runs in. */
export interface Shell {
  readonly env: NodeJS.ProcessEnv;
  /** What a person types before a command: `nexusd`, `npx nexusd`. */
  readonly program: string;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly userName: () => string;
  readonly openBrowser: (url: string) => Promise<void>;
  /** Resolves with the exit code once the daemon has ended. */
  readonly runDaemon: (options: {
    readonly config: Config;
    readonly warnings: readonly string[];
  }) => Promise<number>;
}

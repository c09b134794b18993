import type { Readable, Writable } from "node:stream";
import type { Command } from "commander";
import type { Config } from "../../config/config.js";
import type { Extension } from "../../core/registry.js";
import type { GetStatusResponse } from "../../gen/nexus/v1/status_pb.js";
import type { Token } from "../../gen/nexus/v1/token_pb.js";
import type { Clock } from "../../runtime/clock.js";

/** Where a command writes. */
export interface Output {
  readonly isTTY: boolean;
  /** How wide the terminal is; undefined where there is none. */
  readonly columns?: number | undefined;
  /** How high the terminal is; undefined where there is none. */
  readonly rows?: number | undefined;
  write(text: string): void;
  /** Writes as it is, and resolves when more may come: what a slow reader has not taken is not held in memory. */
  writeBytes(bytes: Uint8Array): Promise<void>;
}

/** Where a person answers, or a script pipes something in. */
export interface Input {
  readonly isTTY: boolean;
  /** Everything up to the end. */
  readAll(): Promise<string>;
  /** The same as it came. */
  readBytes(): Promise<Uint8Array>;
  /** One line after `question`, which goes to standard error; with `echo: false` the terminal does not echo what is typed. */
  ask(question: string, options: { readonly echo: boolean }): Promise<string>;
  /** Lets a person type until one item is chosen; undefined when the person gives up. Only at a terminal. */
  search<Item>(question: string, choices: Choices<Item>): Promise<Item | undefined>;
}

/** What a person chooses from. */
export interface Choices<Item> {
  /** The items that `query` finds, the best first. */
  readonly find: (query: string) => readonly Item[];
  /** One line, without control characters. */
  readonly lineOf: (item: Item) => string;
}

export type MakeCommand = (shell: Shell) => Command;

/** A command of `nexusd`, or a group of commands. */
export interface CommandRow {
  /** The heading under which `nexusd --help` lists it. */
  readonly group:
    | "Get started"
    | "Use a credential"
    | "Look after connections"
    | "Control access"
    | "Operate the daemon";
  readonly name: string;
  /** What it does, in a line of 80 columns. */
  readonly summary: string;
  /** What follows the command in an example; of a group by the name of each of its commands. */
  readonly examples: string | Readonly<Record<string, string>>;
  readonly make: MakeCommand;
}

/** A credential as it is now. */
export interface ReadCredential {
  readonly connectionId: string;
  readonly token: Token;
  /** As it was named. */
  readonly field: string | undefined;
}

/** A document that `nexusd token --format` prints. */
export interface TokenFormat {
  /** Whether `--host` belongs to it. */
  readonly takesHost?: true;
  /** The document, with the line break at its end. @throws CommandFailure when the credential does not fit into the format */
  write(credential: ReadCredential, context: FormatContext): string | Promise<string>;
}

/** What a document holds beside the credential. */
export interface FormatContext {
  readonly env: NodeJS.ProcessEnv;
  readonly host: string | undefined;
  /** Of the provider; empty where it has none. */
  readonly readApiBaseUrl: () => Promise<string>;
}

declare module "../../core/registry.js" {
  /** What an extension adds to the program beside the daemon. */
  interface Extension {
    readonly commands?: readonly CommandRow[];
    /** For programs: help does not list them. */
    readonly hiddenCommands?: readonly MakeCommand[];
    /** By the words of `nexusd token --format`. */
    readonly tokenFormats?: Readonly<Record<string, TokenFormat>>;
    /** Lines of `nexusd status`, by their names, from what the daemon answers of it. */
    readonly statusFields?: (status: GetStatusResponse) => readonly (readonly [string, string])[];
  }
}

/** How a program runs that shares no session with this process. */
export interface ProgramApart {
  /** Descriptors of this process, which it gets as 4, 5, ... */
  readonly files: readonly number[];
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
  /**
   * Runs a program to its end: its input and outputs are those of this process, and signals are passed on to it.
   *
   * @param argv the program and its arguments
   * @param env of the program, all of it
   * @param apart in a session of its own, which gets signals as lines of its descriptor 3
   * @returns its exit code; 128 and the number of the signal that ended it
   * @throws CommandFailure when it cannot be started, as a shell does: 127 when there is none, else 126
   */
  readonly runProgram: (
    argv: readonly string[],
    env: NodeJS.ProcessEnv,
    apart?: ProgramApart,
  ) => Promise<number>;
  /**
   * Does `work`; Ctrl-C meanwhile ends the process as it does without, after a last message.
   *
   * @param last what it says, on standard error
   */
  readonly orInterrupted: <Result>(last: string, work: () => Promise<Result>) => Promise<Result>;
  /**
   * Does `work` with a folder of its own, which only this user can read. It is removed at the end, also where a signal ends the process; a
   * signal that a program gets which runs meanwhile is that program's.
   *
   * @param name with which that of the folder begins
   */
  readonly withTemporaryFolder: <Result>(
    name: string,
    work: (folder: string) => Promise<Result>,
  ) => Promise<Result>;
  /** Standard input and output as they are, for a protocol that has them to itself. */
  readonly openStandardStreams: () => { readonly input: Readable; readonly output: Writable };
  readonly openBrowser: (url: string) => Promise<void>;
  /** What the program has beyond its core. */
  readonly extensions: readonly Extension[];
  /** Resolves with the exit code once the daemon has ended. */
  readonly runDaemon: (options: {
    readonly config: Config;
    readonly warnings: readonly string[];
    readonly extensions: readonly Extension[];
    /** Called when every listener is open. */
    onReady(): void;
  }) => Promise<number>;
}

import type { Input, Shell } from "../../src/cli/shell/shell.js";
import type { Key } from "../../src/cli/terminal/search_prompt.js";
import { extensions } from "../../src/ext/extensions.js";
import { ManualClock } from "../../src/runtime/manual_clock.js";

/** Noon of a day in 2026, UTC. */
export const startMs = Date.UTC(2026, 10, 24, 12, 0, 0);

export interface FakeShell extends Shell {
  readonly clock: ManualClock;
  readonly opened: string[];
  readonly questions: { question: string; echo: boolean }[];
  readonly served: Parameters<Shell["runDaemon"]>[0][];
  readonly programs: { argv: readonly string[]; env: NodeJS.ProcessEnv }[];
  /** What Ctrl-C would have said. */
  readonly lasts: string[];
  /** What was written so far. */
  out(): string;
  err(): string;
}

const keyNames: Readonly<Record<string, string>> = { "\n": "return", "\x1b": "escape" };

/** A process in memory. With `answers` a person sits at standard input. */
export function fakeShell(
  given: {
    env?: Record<string, string>;
    answers?: string[];
    /** What a person types where each key counts: one character a key; `\n` is return, `\x1b` escape. */
    keys?: string;
    piped?: string;
    outIsTTY?: boolean;
    program?: string;
    columns?: number | undefined;
    rows?: number;
    daemonExitCode?: number;
    programExitCode?: number;
    browserFails?: boolean;
    userName?: () => string;
  } = {},
): FakeShell {
  const written = { out: "", err: "" };
  const opened: string[] = [];
  const questions: FakeShell["questions"] = [];
  const served: FakeShell["served"] = [];
  const programs: FakeShell["programs"] = [];
  const lasts: string[] = [];
  const answers = [...(given.answers ?? [])];
  const keys = [...(given.keys ?? "")];
  const stdin: Input = {
    isTTY: given.answers !== undefined,
    readAll: async () => given.piped ?? "",
    readBytes: async () => Buffer.from(given.piped ?? ""),
    ask: async (question, { echo }) => {
      questions.push({ question, echo });
      const answer = answers.shift();
      if (answer === undefined) throw new Error(`nobody answers ${question}`);
      return answer;
    },
    readKeys: async (onKey, onReady) => {
      onReady();
      for (;;) {
        const text = keys.shift();
        if (text === undefined) throw new Error("nobody presses a key any more");
        const key: Key = { text, name: keyNames[text] ?? text, ctrl: false };
        if (onKey(key) === "end") return;
      }
    },
  };
  return {
    env: given.env ?? {},
    program: given.program ?? "nexusd",
    stdin,
    stdout: {
      isTTY: given.outIsTTY ?? false,
      columns: given.columns,
      rows: given.rows,
      write: (text) => {
        written.out += text;
      },
      writeBytes: async (bytes) => {
        written.out += Buffer.from(bytes).toString("utf8");
      },
    },
    stderr: {
      isTTY: false,
      write: (text) => {
        written.err += text;
      },
      writeBytes: async (bytes) => {
        written.err += Buffer.from(bytes).toString("utf8");
      },
    },
    clock: new ManualClock(startMs),
    random: () => 0,
    userName: given.userName ?? (() => "alice"),
    runProgram: async (argv, env) => {
      programs.push({ argv, env });
      return given.programExitCode ?? 0;
    },
    orInterrupted: (last, work) => {
      lasts.push(last);
      return work();
    },
    extensions,
    openStandardStreams: () => {
      throw new Error("this process has no streams");
    },
    openBrowser: async (url) => {
      if (given.browserFails) throw new Error("no display");
      opened.push(url);
    },
    runDaemon: async (options) => {
      served.push(options);
      return given.daemonExitCode ?? 0;
    },
    opened,
    questions,
    served,
    programs,
    lasts,
    out: () => written.out,
    err: () => written.err,
  };
}

/** The objects of a JSON answer, one a line. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

import { run } from "../../src/cli/program.js";
import type { Input, Shell } from "../../src/cli/shell/shell.js";
import { extensions } from "../../src/ext/extensions.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { temporaryFolder } from "../temporary_folder.js";

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

/** A process in memory. With `answers` a person sits at standard input. */
export function fakeShell(
  given: {
    env?: Record<string, string>;
    answers?: string[];
    /** What a person types to search, and takes the first that is found; nobody chooses without it. */
    query?: string;
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
    search: async (_question, { find }) => (given.query === undefined ? undefined : find(given.query)[0]),
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
    withTemporaryFolder: (_name, work) => work(temporaryFolder()),
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

/** The shell of a command that ended with `code`. @throws Error when it ended otherwise */
export async function ended(code: number, args: readonly string[], shell: FakeShell): Promise<FakeShell> {
  const actual = await run(args, shell);
  if (actual !== code) throw new Error(`it ended with ${actual} instead of ${code}: ${shell.err()}`);
  return shell;
}

/** The objects of a JSON answer, one a line. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

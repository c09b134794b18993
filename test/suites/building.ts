import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { pathOf } from "../needs.js";
import type { Language, Step } from "./languages.js";

/** A build that takes longer hangs, on two cores under load too. */
const maxBuildSeconds = 420;
/** A download that takes longer stands still. */
const maxDownloadSeconds = 200;
const maxDownloadAttempts = 3;

interface Ended {
  readonly code: number | string;
  readonly output: string;
}

export type Built = "ok" | { readonly missing: string } | { readonly failed: string };

/** Generates and builds; a toolchain that is not there is named. */
export async function build(language: Language): Promise<Built> {
  for (const program of language.needs) {
    if (pathOf(program) === undefined) return { missing: program };
  }
  for (const step of language.build) {
    const { code, output } = step.downloads ? await download(step) : await run(step, maxBuildSeconds);
    if (code !== 0)
      return { failed: `${step.command.join(" ")} ended with ${code}:\n${output.slice(-3000)}` };
  }
  return "ok";
}

/** Runs a command that fetches from a registry, and again where it failed or stood still. @returns how it ended at last */
export async function download(step: Step): Promise<Ended> {
  for (let attempt = 1; ; attempt++) {
    const ended = await run(step, maxDownloadSeconds);
    if (ended.code === 0 || attempt === maxDownloadAttempts) return ended;
    process.stderr.write(
      `${step.command.join(" ")} ended with ${ended.code}, and is begun again: ${ended.output.slice(-500)}\n`,
    );
  }
}

/**
 * Runs a command to its end.
 * @returns its exit code or signal, and all that it wrote
 */
export async function run(
  { cwd, command: [program = "", ...args], environment = {} }: Step,
  maxSeconds: number,
  input = "",
): Promise<Ended> {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...environment },
    stdio: ["pipe", "pipe", "pipe"],
    timeout: maxSeconds * 1000,
    killSignal: "SIGKILL",
  });
  // A program that reads no input may be gone before it has all.
  child.stdin.on("error", () => {}).end(input);
  const ended = new Promise<number | string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(code ?? signal ?? "no code"));
  });
  const [code, out, err] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, output: out + err };
}

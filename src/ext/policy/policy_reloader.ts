import { type Part, StartRefused } from "../../core/registry.js";
import {
  DocumentError,
  FileUnreadable,
  formatViolations,
  type KeepableFile,
  KeptFile,
} from "../../document/document.js";
import type { Policy } from "../../model/access/access.js";
import type { Clock, Log } from "../../runtime/runtime.js";
import { readPolicy } from "./policy_document.js";

/**
 * Keeps the policy in force what a file says: read at start, when it changes, and on request. At start a file that cannot be
 * used is refused; later it changes nothing.
 */
export class PolicyReloader implements Part {
  readonly #kept: KeptFile;
  #digest: string | undefined;

  constructor(
    private readonly deps: {
      readonly path: string;
      readonly clock: Clock;
      readonly log: Log;
      /** Takes the policy over; called for another one than before only. */
      readonly apply: (policy: Policy) => Promise<void>;
      readonly file?: KeepableFile;
    },
  ) {
    this.#kept = new KeptFile({
      ...deps,
      take: (text) => this.#take(text),
      onFailure: (error) => {
        const fields = { file: deps.path, violations: this.#violationsOf(error) };
        this.deps.log.error(fields, "the policy file is broken: the policy before it stays in force");
      },
    });
  }

  /** Takes the file over once, and watches it from then on. @throws StartRefused naming every error with its line */
  async start(): Promise<void> {
    await this.#kept.watch();
    try {
      await this.#kept.load();
    } catch (error) {
      await this.#kept.stop();
      const lines = this.#violationsOf(error).map((line) => `\n  ${line}`);
      throw new StartRefused(`the policy file cannot be used:${lines.join("")}`);
    }
  }

  /** Reads the file again, changed or not. */
  reload(): Promise<void> {
    return this.#kept.reload();
  }

  /** Ends the watching; what is being taken over is finished. */
  stop(): Promise<void> {
    return this.#kept.stop();
  }

  async #take(text: string): Promise<void> {
    const policy = readPolicy(text);
    if (policy.digest === this.#digest) return;
    await this.deps.apply(policy);
    this.#digest = policy.digest;
    const fields = { file: this.#kept.path, bindings: policy.bindings.length, rules: policy.rules.length };
    this.deps.log.info(fields, "the policy file is in force");
  }

  #violationsOf(error: unknown): string[] {
    const file = this.#kept.path;
    if (error instanceof DocumentError)
      return formatViolations(error).map((violation) => `${file}:${violation}`);
    if (error instanceof FileUnreadable) return [`${file}: cannot be read: ${error.why}`];
    return [`${file}: ${(error as Error).message}`];
  }
}

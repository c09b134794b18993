import { DocumentError, formatFaults } from "../document/document_fault.js";
import { WatchedFile } from "../document/watched_file.js";
import type { Policy } from "../model/policy.js";
import type { Clock } from "../runtime/clock.js";
import { readPolicy } from "./policy_document.js";
import { PolicyFault } from "./policy_fault.js";

/** Constant messages, variables as fields. */
export interface KeeperLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * Keeps the policy in force what a file says: read at start, when it changes, and when it is told to. At start a file that cannot be
 * used is refused; later it changes nothing.
 */
export class PolicyKeeper {
  readonly #file: Pick<WatchedFile, "path" | "read" | "watch" | "close">;
  readonly #log: KeeperLog;
  readonly #apply: (policy: Policy) => Promise<void>;
  /** Text that was looked at last: other events in its folder are none of ours. */
  #seen: string | undefined;
  #digest: string | undefined;
  #working: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: {
    readonly path: string;
    readonly clock: Clock;
    readonly log: KeeperLog;
    /** Takes the policy over; called for another one than before only. */
    readonly apply: (policy: Policy) => Promise<void>;
    readonly file?: Pick<WatchedFile, "path" | "read" | "watch" | "close">;
  }) {
    this.#file = options.file ?? new WatchedFile(options.path, { clock: options.clock });
    this.#log = options.log;
    this.#apply = options.apply;
  }

  /** Takes the file over once, and watches it from then on. @throws PolicyFault naming every fault with its line */
  async start(): Promise<void> {
    // Watched first: what is written while it is read is not missed.
    await this.#watch();
    try {
      await this.#load();
    } catch (error) {
      this.#file.close();
      const lines = this.#faultsOf(error).map((line) => `\n  ${line}`);
      throw new PolicyFault(`the policy file cannot be used:${lines.join("")}`);
    }
  }

  /** Reads the file again, changed or not. */
  reload(): Promise<void> {
    return this.#inTurn(true);
  }

  /** Ends the watching; what is being taken over is finished. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#file.close();
    await this.#working;
  }

  async #watch(): Promise<void> {
    const failed = await this.#file.watch(() => void this.#inTurn(false));
    if (failed.length === 0) return;
    const fields = { file: this.#file.path, folders: failed };
    this.#log.error(fields, "the folder of the policy file cannot be watched: send SIGHUP after a change");
  }

  #inTurn(evenIfSeen: boolean): Promise<void> {
    this.#working = this.#working.then(async () => {
      if (this.#stopped) return;
      if (evenIfSeen) this.#seen = undefined;
      try {
        await this.#load();
      } catch (error) {
        const fields = { file: this.#file.path, faults: this.#faultsOf(error) };
        this.#log.error(fields, "the policy file is broken: the policy before it stays in force");
      }
      await this.#watch();
    });
    return this.#working;
  }

  async #load(): Promise<void> {
    let text: string;
    try {
      text = await this.#file.read();
    } catch (error) {
      this.#seen = undefined;
      throw error;
    }
    if (text === this.#seen) return;
    this.#seen = text;
    const policy = readPolicy(text);
    if (policy.digest === this.#digest) return;
    await this.#apply(policy);
    this.#digest = policy.digest;
    const fields = { file: this.#file.path, bindings: policy.bindings.length };
    this.#log.info(fields, "the policy file is in force");
  }

  #faultsOf(error: unknown): string[] {
    const file = this.#file.path;
    if (error instanceof DocumentError) return formatFaults(error).map((fault) => `${file}:${fault}`);
    const { code, message } = error as NodeJS.ErrnoException;
    return [code === undefined ? `${file}: ${message}` : `${file}: cannot be read: ${code}`];
  }
}

import type { AppendVerdict, CommitLog, LogBatch } from "../../src/ext/fleet/replication/log.js";
import type { MemoryLog } from "../ext/fleet/memory_log.js";

/** The log as one leader has it: behind a link that may be cut, and with the fence of its reign. */
export class FencedLog implements CommitLog {
  #cut: Promise<void> | undefined;
  #heal: () => void = () => undefined;

  /** @param leads whether the fence is the newest one */
  constructor(
    private readonly log: MemoryLog,
    readonly leads: () => boolean,
  ) {}

  async append(batch: LogBatch): Promise<AppendVerdict> {
    await this.#cut;
    return this.leads() ? await this.log.append(batch) : "fenced";
  }

  cut(): void {
    this.#cut = new Promise((resolve) => {
      this.#heal = resolve;
    });
  }

  heal(): void {
    this.#cut = undefined;
    this.#heal();
  }
}

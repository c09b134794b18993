import { DataLoss, NexusError } from "../../model/errors.js";
import { importDeferredUntilMs } from "../../model/refresh/foreign_intent.js";
import { type Backoff, retryDelayMs } from "../../runtime/backoff.js";
import { DueTimes, type DueWork, DueWorker } from "../../runtime/due_worker.js";
import type { StoreParts } from "../connections/connections.js";
import type { ConnectionImporter } from "./connection_importer.js";

const retryBackoff: Backoff = { baseMs: 2_000, maxMs: 10 * 60_000 };
/** An import whose provider does not answer for so long is abandoned, and its token forgotten. */
const giveUpAfterMs = 7 * 24 * 60 * 60_000;

/** Settles the imports that a crash cut off, and forgets those whose connection is gone. */
export class ImportRecovery {
  readonly #times = new DueTimes();
  /** Attempts that came to nothing, by the key of the import. */
  readonly #failures = new Map<string, number>();
  readonly #worker: DueWorker<DueWork>;
  #forgotten: Promise<void> = Promise.resolve();

  constructor(
    private readonly deps: StoreParts & {
      readonly importer: Pick<ConnectionImporter, "resume" | "abandon">;
      readonly random: () => number;
    },
  ) {
    const { clock, log } = deps;
    this.#worker = new DueWorker({
      ...{ clock, stopMs: 0, isMonotonic: true },
      ...{ atMost: Number.POSITIVE_INFINITY, atMostIn: () => Number.POSITIVE_INFINITY },
      next: (nowMs) => this.#times.next(nowMs),
      run: ({ key }) => this.#settle(key),
      onError: (error) => log.error({ err: error }, "import not resumed"),
    });
  }

  start(): void {
    const { store, clock, log } = this.deps;
    const gone: string[] = [];
    for (const { key, pending } of store.listImports()) {
      const connection = store.getConnection(pending.connectionId);
      // Another daemon may be at it, and bring the connection.
      const waitMs = (importDeferredUntilMs(pending, store.owner) ?? 0) - clock.nowMs();
      if (pending.sealed) this.#times.put(key, clock.monotonicMs() + Math.max(0, waitMs));
      else if (!connection || connection.status === "revoked") gone.push(key);
    }
    this.#worker.start();
    if (gone.length === 0) return;
    this.#forgotten = store
      .commit((tx) => void gone.forEach((key) => void tx.deleteImport(key)))
      .catch((error: unknown) => log.error({ err: error }, "import not forgotten"));
  }

  /** What is under way is stored before this resolves; what waits is tried again after the next start. */
  async stop(): Promise<void> {
    await Promise.all([this.#worker.stop(), this.#forgotten]);
  }

  async #settle(key: string): Promise<void> {
    const { store, clock, importer, random } = this.deps;
    const startedAtMs = store.getImport(key)?.startedAtMs ?? 0;
    if (store.getImport(key)?.sealed) await this.#resume(key);
    this.#times.delete(key);
    if (!store.getImport(key)?.sealed) return void this.#failures.delete(key);
    if (clock.nowMs() - startedAtMs >= giveUpAfterMs) {
      this.#failures.delete(key);
      return await importer.abandon(key, "provider_unavailable");
    }
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    this.#times.put(key, clock.monotonicMs() + retryDelayMs(retryBackoff, failures, random()));
  }

  async #resume(key: string): Promise<void> {
    const { importer } = this.deps;
    try {
      await importer.resume(key);
    } catch (error) {
      if (error instanceof DataLoss) await importer.abandon(key, "data_loss");
      else if (!(error instanceof NexusError)) throw error;
    }
  }
}

import type { PendingImport } from "../../model/connections/pending_import.js";
import { DataLoss, NexusError } from "../../model/errors.js";
import { importDeferredUntilMs } from "../../model/refresh/foreign_intent.js";
import { type Backoff, fullJitterMs } from "../../runtime/backoff.js";
import { delay } from "../../runtime/clock.js";
import type { StoreParts } from "../credentials/parts.js";
import type { ConnectionImporter } from "./connection_importer.js";

const retryBackoff: Backoff = { baseMs: 2_000, maxMs: 10 * 60_000 };
/** Full jitter may draw 0. */
const minRetryMs = 1_000;
/** An import whose provider does not answer for so long is abandoned, and its token forgotten. */
const giveUpAfterMs = 7 * 24 * 60 * 60_000;

/** Settles the imports that a crash cut off, and forgets those whose connection is gone. */
export class ImportRecovery {
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(
    private readonly deps: StoreParts & {
      readonly importer: Pick<ConnectionImporter, "resume" | "abandon">;
      readonly random: () => number;
    },
  ) {}

  start(): void {
    const gone: string[] = [];
    for (const { key, pending } of this.deps.store.listImports()) {
      const connection = this.deps.store.getConnection(pending.connectionId);
      if (pending.sealed) this.#track(this.#settle(key, pending));
      else if (!connection || connection.status === "revoked") gone.push(key);
    }
    if (gone.length === 0) return;
    this.#track(this.deps.store.commit((tx) => void gone.forEach((key) => void tx.deleteImport(key))));
  }

  /** What is under way is stored before this resolves; what waits is tried again after the next start. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.deps.log.error({ err: error }, "import not resumed"))
      .finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  async #settle(key: string, pending: PendingImport): Promise<void> {
    const { startedAtMs } = pending;
    const { clock, store } = this.deps;
    // Another daemon may be at it, and bring the connection.
    const waitMs = (importDeferredUntilMs(pending, store.owner) ?? 0) - clock.nowMs();
    if (waitMs > 0) await delay(clock, waitMs, this.#stop.signal);
    if (!store.getImport(key)?.sealed) return;
    for (let failures = 1; !this.#stop.signal.aborted; failures++) {
      try {
        await this.deps.importer.resume(key);
      } catch (error) {
        if (error instanceof DataLoss) await this.deps.importer.abandon(key, "data_loss");
        else if (!(error instanceof NexusError)) throw error;
      }
      if (!this.deps.store.getImport(key)?.sealed) return;
      if (this.deps.clock.nowMs() - startedAtMs >= giveUpAfterMs) {
        return await this.deps.importer.abandon(key, "provider_unavailable");
      }
      const waitMs = Math.max(minRetryMs, fullJitterMs(retryBackoff, failures, this.deps.random()));
      await delay(this.deps.clock, waitMs, this.#stop.signal);
    }
  }
}

import type { VaultParts } from "../../domain/connections/connections.js";
import { sealedPages } from "../../domain/operations/operations.js";
import { by, daemon } from "../../model/access/access.js";
import { DataLoss } from "../../model/model.js";
import type { SealedEntry, SealedKind } from "../../store/store.js";
import type { Vault } from "../../vault/vault.js";
import { resealers } from "./reseal.js";

export interface KeyRotationOptions extends VaultParts {
  readonly ring: Vault;
}

/**
 * Seals every record with the primary key, a page a commit, beside all other work. Where it stands is in the records themselves: after a
 * crash it begins again and finds done what is done.
 */
export class KeyRotation {
  readonly #parts: KeyRotationOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #wantsMore = false;
  #unreadable = 0;

  constructor(options: KeyRotationOptions) {
    this.#parts = options;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Records that the last pass could not open. */
  get unreadable(): number {
    return this.#unreadable;
  }

  /** Records that still need another key than the primary. */
  remaining(): number {
    const { store, ring } = this.#parts;
    const others = [...store.sealedCounts()].filter(([keyId]) => keyId !== ring.keyId);
    return others.reduce((sum, [, records]) => sum + Number(records), 0);
  }

  /** Begins, or goes on when the primary has changed once more meanwhile. */
  start(): void {
    this.#wantsMore = true;
    if (this.#running || this.#stop.signal.aborted) return;
    this.#running = this.#run()
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#parts.log.error({ err: error }, "key rotation failed");
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Ends after the page under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { store, ring, clock, log } = this.#parts;
    let total = 0;
    while (this.#wantsMore) {
      this.#wantsMore = false;
      const resealed = await this.#pass();
      total += resealed;
      // What was sealed before the primary changed and stored after it was passed is found the next time.
      if (resealed > 0 && this.remaining() > 0) this.#wantsMore = true;
    }
    const { keyId } = ring;
    const timeMs = clock.nowMs();
    // What does not open is met at every start, and nothing happens to it.
    if (total === 0 && this.remaining() > 0) return;
    await store.commit((tx) =>
      tx.appendAudit({
        timeMs,
        type: "keyring.rotation_finished",
        ...by(daemon),
        reason: keyId,
        count: total,
      }),
    );
    const unreadable = this.#unreadable;
    log.info(
      { keyId, resealed: total, unreadable },
      "every record that opens is sealed with the primary key",
    );
  }

  /** @returns how many records were sealed again */
  async #pass(): Promise<number> {
    const { store, ring } = this.#parts;
    let resealed = 0;
    let unreadable = 0;
    for await (const { kind, entries } of sealedPages(store, this.#stop.signal)) {
      const old = entries.filter(({ sealed }) => sealed && !ring.isCurrent(sealed));
      if (old.length === 0) continue;
      const done = await this.#resealPage(kind, old);
      resealed += done;
      unreadable += old.length - done;
      this.#stop.signal.throwIfAborted();
    }
    this.#unreadable = unreadable;
    return resealed;
  }

  async #resealPage(kind: SealedKind, entries: readonly SealedEntry[]): Promise<number> {
    const { store, vault } = this.#parts;
    return await store.commit((tx) => {
      let done = 0;
      for (const { key } of entries) {
        try {
          resealers[kind](tx, vault, key);
          done++;
        } catch (error) {
          if (!(error instanceof DataLoss)) throw error;
        }
      }
      return done;
    });
  }
}

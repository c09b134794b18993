import { FailedPrecondition } from "../../model/errors.js";
import type { Changes } from "../../runtime/changes.js";
import { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { Store } from "../../store/store.js";
import { KeyError } from "../../vault/key_file.js";
import type { KeyRingSource } from "../../vault/key_source.js";
import { RingError, type Vault } from "../../vault/vault.js";

/** The keys that seal the store, read from their source again while the store is in use. */
export class KeyRing {
  readonly #lock = new KeyedMutex<"ring">();

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly ring: Vault;
      readonly source: Pick<KeyRingSource, "read">;
      /** Of a fleet: which of its hubs do not hold a key. */
      readonly member?: { lacking(keyId: string): readonly string[] } | undefined;
      readonly changes: Changes;
    },
  ) {
    deps.changes.on("followed", ({ storeRecord }) => {
      if (storeRecord) this.#followPrimary();
    });
  }

  /** One change of the ring at a time. */
  exclusively<Result>(change: () => Promise<Result>): Promise<Result> {
    return this.#lock.run("ring", change);
  }

  /** Reads the source again, within `exclusively`. @throws FailedPrecondition KEY_SOURCE; then the ring is what it was */
  async reload(): Promise<void> {
    const { store, ring, source, changes } = this.deps;
    const needed = [...store.sealedCounts().keys()];
    try {
      const keys = await source.read();
      ring.replace(keys, needed, store.keyCheck?.keyId);
      for (const key of keys) key.fill(0);
      changes.emit("ring");
    } catch (error) {
      throw keySourceFailure(error);
    }
  }

  /** The hubs of the fleet that do not hold a key. */
  lacking(keyId: string): readonly string[] {
    return this.deps.member?.lacking(keyId) ?? [];
  }

  /** Of a hub that follows: another one may have rotated to another key. */
  #followPrimary(): void {
    const { store, ring, changes } = this.deps;
    const keyId = store.keyCheck?.keyId;
    if (keyId === undefined || !ring.has(keyId)) return;
    ring.usePrimary(keyId);
    changes.emit("ring");
  }
}

/** An error of the source or its keys as FailedPrecondition KEY_SOURCE; any other as it is. */
export function keySourceFailure(error: unknown): unknown {
  if (!(error instanceof KeyError) && !(error instanceof RingError)) return error;
  return new FailedPrecondition("KEY_SOURCE", error.message, error);
}

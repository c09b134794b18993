import type { VaultParts } from "../../domain/connections/connections.js";
import {
  type KeyRing,
  keySourceFailure,
  sealedPages,
  sealedPlaceOf,
  sealKeyCheck,
} from "../../domain/operations/operations.js";
import { type AuditEvent, type AuditEventType, by, type Principal } from "../../model/access/access.js";
import { FailedPrecondition, NotFound } from "../../model/model.js";
import type { Changes } from "../../runtime/runtime.js";
import type { KeyRingSource, Vault } from "../../vault/vault.js";
import type { KeyRotation } from "./key_rotation.js";

/** One key, as people see it: never the key itself. */
export interface KeyState {
  readonly keyId: string;
  readonly isPrimary: boolean;
  /** Records that need it. */
  readonly records: number;
}

export interface KeyringState {
  readonly source: KeyRingSource["kind"];
  /** The file that holds the ring; undefined when none does. */
  readonly path: string | undefined;
  /** The newest last. */
  readonly keys: readonly KeyState[];
  readonly isRotating: boolean;
  /** Records that need another key than the primary. */
  readonly remaining: number;
  /** Records that the last rotation could not open. */
  readonly unreadable: number;
}

/** Adds, changes and retires the keys that seal the store, while it is in use. */
export class KeyringManager {
  constructor(
    private readonly deps: VaultParts & {
      readonly ring: Vault;
      readonly source: Pick<KeyRingSource, "kind" | "path" | "add" | "remove">;
      readonly keyring: KeyRing;
      readonly rotation: KeyRotation;
      readonly changes: Changes;
    },
  ) {}

  /** Goes on with a rotation that the end of the process cut off. */
  start(): void {
    const remaining = this.deps.rotation.remaining();
    if (remaining === 0) return;
    this.deps.log.info({ keyId: this.deps.ring.keyId, remaining }, "going on with a key rotation");
    this.deps.rotation.start();
  }

  async stop(): Promise<void> {
    await this.deps.rotation.stop();
  }

  state(): KeyringState {
    const counts = this.deps.store.sealedCounts();
    const keys = this.deps.ring.keyIds.map((keyId) => ({
      keyId,
      isPrimary: keyId === this.deps.ring.keyId,
      records: Number(counts.get(keyId) ?? 0n),
    }));
    return {
      source: this.deps.source.kind,
      path: this.deps.source.path,
      keys,
      isRotating: this.deps.rotation.isRunning,
      remaining: this.deps.rotation.remaining(),
      unreadable: this.deps.rotation.unreadable,
    };
  }

  /** Reads the source again. @throws FailedPrecondition KEY_SOURCE; then the ring is what it was */
  async reload(): Promise<KeyringState> {
    const { keyring } = this.deps;
    await keyring.exclusively(() => keyring.reload());
    return this.state();
  }

  /**
   * Makes a new key in the file that holds the ring; nothing is sealed with it before it is the primary.
   *
   * @returns its id
   * @throws FailedPrecondition KEY_SOURCE when the ring is in no file, saying what to do instead
   */
  async add(principal: Principal): Promise<string> {
    return await this.deps.keyring.exclusively(async () => {
      const keyId = sourced(() => this.deps.source.add());
      await this.deps.keyring.reload();
      const event = this.#event("keyring.key_added", principal, keyId);
      await this.deps.store.commit((tx) => tx.appendAudit(event));
      this.deps.log.info(
        { keyId, path: this.deps.source.path },
        "created an encryption key: back it up before you rotate to it",
      );
      return keyId;
    });
  }

  /**
   * Makes a key the primary and begins to seal every record with it.
   *
   * @param target undefined for the newest of the ring
   * @throws NotFound; FailedPrecondition NO_OTHER_KEY, KEY_SOURCE
   */
  async rotate(target: string | undefined, principal: Principal): Promise<KeyringState> {
    return await this.deps.keyring.exclusively(async () => {
      await this.deps.keyring.reload();
      const keyId = target ?? this.deps.ring.keyIds.at(-1) ?? "";
      if (!this.deps.ring.has(keyId)) throw new NotFound("key");
      const lacking = this.deps.keyring.lacking(keyId);
      if (lacking.length > 0) {
        const words = `not every hub holds key ${keyId}: give it to ${lacking.join(", ")} first`;
        throw new FailedPrecondition("KEY_SOURCE", words);
      }
      const isPrimary = keyId === this.deps.ring.keyId;
      if (isPrimary && target === undefined && this.deps.rotation.remaining() === 0) {
        throw new FailedPrecondition(
          "NO_OTHER_KEY",
          `key ${keyId}, the newest of the ring, seals every record already: add a key first`,
        );
      }
      if (!isPrimary) await this.#makePrimary(keyId, principal);
      this.deps.rotation.start();
      return this.state();
    });
  }

  /**
   * Ends a key that no record needs, and removes it from the file that holds it.
   *
   * @returns whether it was removed from the source; when not, a person must
   * @throws NotFound; FailedPrecondition KEY_IN_USE, KEY_SOURCE
   */
  async retire(keyId: string, principal: Principal): Promise<{ readonly isRemoved: boolean }> {
    return await this.deps.keyring.exclusively(async () => {
      if (!this.deps.ring.has(keyId)) throw new NotFound("key");
      if (keyId === this.deps.ring.keyId) {
        throw new FailedPrecondition(
          "KEY_IN_USE",
          `key ${keyId} is the primary: rotate to another one first`,
        );
      }
      await this.#refuseNeeded(keyId);
      const event = this.#event("keyring.key_retired", principal, keyId);
      await this.deps.store.commit((tx) => {
        tx.setSealedCount(keyId, 0n);
        tx.appendAudit(event);
      });
      const isRemoved = this.deps.source.path !== undefined;
      if (isRemoved) sourced(() => this.deps.source.remove(keyId));
      this.deps.ring.forget(keyId);
      this.deps.log.info({ keyId, isRemoved }, "encryption key retired: backups made with it still need it");
      return { isRemoved };
    });
  }

  async #makePrimary(keyId: string, principal: Principal): Promise<void> {
    const before = this.deps.ring.keyId;
    await this.deps.store.commit((tx) => {
      try {
        // In the transaction, so that what is sealed in later ones is sealed with the new key.
        this.deps.ring.usePrimary(keyId);
        tx.setKeyCheck(sealKeyCheck(this.deps.store.databaseId, this.deps.ring));
        tx.appendAudit(this.#event("keyring.rotation_started", principal, keyId));
      } catch (error) {
        this.deps.ring.usePrimary(before);
        throw error;
      }
    });
    this.deps.changes.emit("ring");
    this.deps.log.info({ keyId, before }, "key rotation begins");
  }

  /** Looks at every record: counters are kept, this is to be sure. One that does not open needs no key. */
  async #refuseNeeded(keyId: string): Promise<void> {
    const counted = this.deps.store.sealedCounts().get(keyId) ?? 0n;
    if (this.deps.rotation.isRunning && counted > 0n) {
      throw new FailedPrecondition(
        "KEY_IN_USE",
        `${counted} records need key ${keyId} still: the rotation is not done`,
      );
    }
    let needed = 0;
    for await (const { kind, entries } of sealedPages(this.deps.store)) {
      for (const { key, sealed } of entries) {
        if (sealed?.keyId !== keyId) continue;
        const place = sealedPlaceOf(this.deps.store, kind, key);
        if (place && this.deps.vault.opens(place, sealed)) needed++;
      }
    }
    if (needed === 0) return;
    throw new FailedPrecondition("KEY_IN_USE", `${needed} records need key ${keyId}: rotate first`);
  }

  #event(type: AuditEventType, principal: Principal, keyId: string): AuditEvent {
    return { timeMs: this.deps.clock.nowMs(), type, ...by(principal), reason: keyId };
  }
}

function sourced<T>(change: () => T): T {
  try {
    return change();
  } catch (error) {
    throw keySourceFailure(error);
  }
}

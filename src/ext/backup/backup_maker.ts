import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CredentialVault } from "../../domain/connections/connections.js";
import { by, type Principal } from "../../model/access/access.js";
import type { AssociatedData } from "../../model/credentials/credentials.js";
import { Aborted, FailedPrecondition } from "../../model/model.js";
import type { Clock, Log } from "../../runtime/runtime.js";
import { Store, storeFileName } from "../../store/store.js";
import type { Vault } from "../../vault/vault.js";
import {
  type BackupManifest,
  digestFile,
  encodeBackupHeader,
  fileChunks,
  manifestText,
} from "./backup_file.js";
import { type SealedVerdict, verifySealed } from "./sealed_verdict.js";

/** Names of the folders in which copies are made; what a crash leaves of them is removed at the next start. */
const folderPrefix = "backup-";
export const restoreFolderPrefix = "restore-";
/** Six characters are what `mkdtemp` puts behind a prefix: a person may keep a backup of another name, or a file, in the data folder. */
const leftName = new RegExp(`^(${folderPrefix}|${restoreFolderPrefix})[A-Za-z0-9]{6}$`);
/** Records that do not open and are named in an error. */
const maxNamed = 5;

/** A copy that was verified; it lies in the data folder until it is discarded. */
export interface Backup {
  readonly manifest: BackupManifest;
  /** Of the whole file. */
  readonly bytes: number;
  /** Of the whole file, in hexadecimal. */
  readonly sha256: string;
  /** The whole file. */
  chunks(): AsyncGenerator<Uint8Array>;
  discard(): void;
}

/** Place of a manifest's seal. */
export function backupPlace(databaseId: string): AssociatedData {
  return { databaseId, kind: "backup", providerId: "", connectionId: "", revision: 0n };
}

/** Copies the store while it is in use. */
export class BackupMaker {
  #isBusy = false;

  /** @param options `folder` is the data folder */
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly ring: Vault;
      readonly folder: string;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  /** Removes what a crash has left. */
  removeLeft(): void {
    for (const entry of readdirSync(this.deps.folder, { withFileTypes: true })) {
      const isLeft = entry.isDirectory() && leftName.test(entry.name);
      if (isLeft) rmSync(join(this.deps.folder, entry.name), { recursive: true, force: true });
    }
  }

  /**
   * Makes a copy of one committed state and opens every sealed record of it. The caller discards it.
   *
   * @throws FailedPrecondition BACKUP_NOT_VERIFIED, unless `allowUnreadable`; Aborted while another one is made; the reason of `signal`
   */
  async make(
    options: { readonly allowUnreadable: boolean; readonly principal: Principal },
    signal: AbortSignal,
  ): Promise<Backup> {
    if (this.#isBusy) throw new Aborted("another backup is under way: try again when it is done");
    this.#isBusy = true;
    const folder = mkdtempSync(join(this.deps.folder, folderPrefix));
    const discard = (): void => {
      rmSync(folder, { recursive: true, force: true });
      this.#isBusy = false;
    };
    try {
      await this.deps.store.copyTo(folder);
      const contents = await this.#verify(folder, signal);
      const { unreadable } = contents.verdict;
      if (unreadable.length > 0 && !options.allowUnreadable) throw notVerified(unreadable);
      const path = join(folder, storeFileName);
      const digest = await digestFile(path);
      // The seal's key too: a hub that lacks the primary of its fleet seals with an older one.
      const keyIds = [...new Set([this.deps.ring.keyId, ...contents.manifest.keyIds])];
      const manifest = { ...contents.manifest, ...digest, keyIds };
      const seal = this.deps.ring.seal(Buffer.from(manifestText(manifest)), backupPlace(manifest.databaseId));
      const header = encodeBackupHeader({ manifest, seal });
      const whole = await digestFile(path, header);
      await this.#record(manifest, options.principal);
      async function* chunks(): AsyncGenerator<Uint8Array> {
        yield header;
        yield* fileChunks(path);
      }
      return { manifest, ...whole, chunks, discard };
    } catch (error) {
      discard();
      throw error;
    }
  }

  async #verify(
    folder: string,
    signal: AbortSignal,
  ): Promise<{ manifest: Omit<BackupManifest, "bytes" | "sha256">; verdict: SealedVerdict }> {
    const nowMs = this.deps.clock.nowMs();
    const copy = Store.open({ folder, nowMs, leavesLog: true });
    try {
      const { databaseId } = copy;
      const vault = new CredentialVault({ vault: this.deps.ring, databaseId });
      const verdict = await verifySealed(copy, vault, signal);
      const manifest = {
        databaseId,
        createdAtMs: nowMs,
        keyIds: [...(copy.keyCheck ? [copy.keyCheck.keyId] : []), ...copy.sealedCounts().keys()],
        providers: verdict.profiles,
        connections: Object.values(copy.countByStatus()).reduce((sum, count) => sum + count, 0),
        verifiedRecords: Object.values(verdict.records).reduce((sum, count) => sum + count, 0),
        unreadableRecords: verdict.unreadable.length,
      };
      return { manifest, verdict };
    } finally {
      await copy.close();
    }
  }

  async #record(manifest: BackupManifest, principal: Principal): Promise<void> {
    const timeMs = this.deps.clock.nowMs();
    const count = manifest.verifiedRecords;
    await this.deps.store.record((tx) =>
      tx.appendAudit({ timeMs, type: "store.backed_up", ...by(principal), count }),
    );
    this.deps.log.info({ bytes: manifest.bytes, verified: count }, "backup made");
  }
}

function notVerified(unreadable: SealedVerdict["unreadable"]): FailedPrecondition {
  const named = unreadable.slice(0, maxNamed).map(({ kind, key }) => `${kind} ${key}`);
  const more = unreadable.length > maxNamed ? `, and ${unreadable.length - maxNamed} more` : "";
  return new FailedPrecondition(
    "BACKUP_NOT_VERIFIED",
    `${unreadable.length} sealed records do not open: ${named.join(", ")}${more}`,
  );
}

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isJsonObject, type JsonValue } from "../../model/model.js";
import { copyFileName, syncFolder } from "../../store/store.js";

/** Up to where a spoke has what its hubs send, and when one of them last sent a message. */
export interface CopyPosition {
  /** Of the store that has it: that of another one says nothing of this. */
  readonly databaseId: string;
  /** Of the hubs; undefined when they must send everything. */
  readonly position: { readonly epoch: string; readonly revision: bigint } | undefined;
  /** Undefined when none ever was. */
  readonly lastContactAtMs: number | undefined;
}

/**
 * The file of it, beside the store. It is written after what it says is durable in the store, so that it is never ahead; an older one has
 * the hub send more than is needed.
 */
export class CopyPositionFile {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, copyFileName);
  }

  /**
   * Undefined when there is none, or that of another store. One that cannot be read does not show when a hub sent a message: it counts as one
   * longer ago than any credential is served without that.
   */
  read(databaseId: string): CopyPosition | undefined {
    if (!existsSync(this.#path)) return undefined;
    const unreadable = { databaseId, position: undefined, lastContactAtMs: 1 };
    let parsed: JsonValue;
    try {
      parsed = JSON.parse(readFileSync(this.#path, "utf8"));
    } catch {
      return unreadable;
    }
    if (!isJsonObject(parsed)) return unreadable;
    if (parsed["databaseId"] !== databaseId) return undefined;
    const { lastContactAtMs, epoch, revision } = parsed;
    if (lastContactAtMs !== undefined && !Number.isSafeInteger(lastContactAtMs)) return unreadable;
    const isPosition =
      typeof epoch === "string" && typeof revision === "string" && /^\d{1,20}$/.test(revision);
    const position = isPosition ? { epoch, revision: BigInt(revision) } : undefined;
    return {
      databaseId,
      position,
      lastContactAtMs: lastContactAtMs === undefined ? undefined : Number(lastContactAtMs),
    };
  }

  /** @throws Error of the system */
  write({ databaseId, position, lastContactAtMs }: CopyPosition): void {
    const place = position && { epoch: position.epoch, revision: position.revision.toString() };
    const next = `${this.#path}.next`;
    rmSync(next, { force: true });
    const text = `${JSON.stringify({ databaseId, lastContactAtMs, ...place })}\n`;
    writeFileSync(next, text, { mode: 0o600, flush: true });
    renameSync(next, this.#path);
    syncFolder(dirname(this.#path));
  }
}

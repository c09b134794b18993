import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonValue } from "../../model/json.js";
import { isJsonObject } from "../../model/json_fields.js";

const fileName = "upstream.json";

/** Up to where a spoke has what its hubs tell, and when it last heard one of them. */
export interface CopyPosition {
  /** Of the store that has it: that of another one says nothing of this. */
  readonly databaseId: string;
  /** Of the hubs; undefined when they must tell everything. */
  readonly position: { readonly epoch: string; readonly revision: bigint } | undefined;
  readonly heardAtMs: number;
}

/**
 * The file of it, beside the store. It is written after what it says is durable in the store, so that it is never ahead; an older one has
 * the hub tell more than is needed.
 */
export class CopyPositionFile {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, fileName);
  }

  /** Undefined when there is none, or none that can be read. */
  read(databaseId: string): CopyPosition | undefined {
    let parsed: JsonValue;
    try {
      parsed = JSON.parse(readFileSync(this.#path, "utf8"));
    } catch {
      return undefined;
    }
    if (!isJsonObject(parsed) || parsed["databaseId"] !== databaseId) return undefined;
    const { heardAtMs, epoch, revision } = parsed;
    if (typeof heardAtMs !== "number" || !Number.isSafeInteger(heardAtMs)) return undefined;
    const isPosition =
      typeof epoch === "string" && typeof revision === "string" && /^\d{1,20}$/.test(revision);
    const position = isPosition ? { epoch, revision: BigInt(revision) } : undefined;
    return { databaseId, position, heardAtMs };
  }

  /** @throws Error of the system */
  write({ databaseId, position, heardAtMs }: CopyPosition): void {
    const place = position && { epoch: position.epoch, revision: position.revision.toString() };
    const next = `${this.#path}.next`;
    rmSync(next, { force: true });
    writeFileSync(next, `${JSON.stringify({ databaseId, heardAtMs, ...place })}\n`, { mode: 0o600 });
    renameSync(next, this.#path);
  }
}

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Store } from "../../src/store/store.js";
import { MemoryLog } from "../fakes/memory_log.js";

/** The log that the daemon of the model leads, life after life, and a follower of it. */
export class ModelFleet {
  readonly #log = new MemoryLog();
  #follower: Store | undefined;
  #heard = 0n;
  readonly #violations: string[] = [];

  constructor(private readonly folder: string) {}

  /** Opens the store of the next life: what the log has and the last life had not applied comes first. */
  async lead(nowMs: number): Promise<Store> {
    if (!this.#follower) this.#follower = await this.#begin(nowMs);
    const store = Store.open({ folder: this.folder, nowMs, replica: true });
    await store.apply(this.#log.after(store.position?.position ?? 0n));
    store.lead(this.#log);
    return store;
  }

  /** What the follower and a fresh copy have otherwise than the leader, and what the follower was told wrongly. */
  async differences(leader: Store): Promise<string[]> {
    const follower = this.#follower as Store;
    await leader.settled();
    await follower.apply(this.#log.after(follower.position?.position ?? 0n));
    const folder = this.#folderOf("copy");
    await Store.copyInto(folder, { entries: leader.entries(), position: { position: 0n, batchId: "" } });
    const copy = Store.open({ folder, nowMs: 0, replica: true });
    await copy.apply(this.#log.after(0n));
    const expected = textOf(leader);
    const found = [
      ...(textOf(follower) === expected ? [] : ["the follower holds other bytes than the leader"]),
      ...(textOf(copy) === expected ? [] : ["a fresh copy holds other bytes than the leader"]),
      ...this.#violations,
    ];
    await copy.close();
    return found;
  }

  async end(): Promise<void> {
    await this.#follower?.close();
  }

  async #begin(nowMs: number): Promise<Store> {
    const first = Store.open({ folder: this.#folderOf("first"), nowMs });
    const folder = this.#folderOf("follower");
    const position = { position: 0n, batchId: "" };
    for (const each of [this.folder, folder])
      await Store.copyInto(each, { entries: first.entries(), position });
    await first.close();
    const follower = Store.open({ folder, nowMs, replica: true });
    follower.onCommitted((changes) => {
      for (const { revision } of changes) {
        if (revision <= this.#heard) this.#violations.push(`the follower went back to revision ${revision}`);
        if (revision > this.#log.revision) this.#violations.push(`revision ${revision} is not in the log`);
        this.#heard = revision;
      }
    });
    return follower;
  }

  #folderOf(name: string): string {
    const folder = join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }
}

function textOf(store: Store): string {
  const lines: string[] = [];
  for (const page of store.entries()) {
    for (const { database, key, value } of page)
      lines.push(
        `${database} ${Buffer.from(key).toString("hex")} ${Buffer.from(value ?? "").toString("hex")}`,
      );
  }
  return lines.join("\n");
}

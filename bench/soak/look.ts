import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { storeFileName } from "../../src/store/store.js";
import { anonymousMiB, openDescriptors } from "../process_figures.js";
import type { StoredPages } from "./store_reader.js";

/** What the probe in the daemon counts; `heldMiB` is what is left of heap and buffers after a full collection. */
export interface Held {
  readonly heldMiB: number;
  readonly timers: number;
  readonly streams: number;
  readonly resources: number;
}

/** What the daemon holds, in its process and on its disk, while no watcher is there. */
export interface Look extends Held {
  readonly atMs: number;
  readonly residentMiB: number;
  readonly descriptors: number;
  /** Blocks that are allocated to the files of the data folder. */
  readonly diskMiB: number;
  /** Pages of the store that hold records; the rest of its file is free for new ones. */
  readonly storedMiB: number;
  readonly auditMiB: number;
  readonly auditEvents: number;
}

/** Looks at a daemon from outside, and through `probe.mjs` in it. */
export class Onlooker {
  readonly #reader: ChildProcess;

  constructor(
    private readonly daemon: { readonly pid: number; readonly folder: string; readonly probe: string },
  ) {
    const script = join(import.meta.dirname, "store_reader.ts");
    this.#reader = fork(script, [join(daemon.folder, storeFileName)], { execArgv: ["--import", "tsx"] });
  }

  async look(atMs: number): Promise<Look> {
    const { pid, folder } = this.daemon;
    const stored = await this.#stored();
    return {
      atMs,
      residentMiB: anonymousMiB(pid),
      descriptors: openDescriptors(pid),
      ...(await this.held()),
      diskMiB: allocatedBytes(folder) / 2 ** 20,
      storedMiB: stored.storedBytes / 2 ** 20,
      auditMiB: stored.auditBytes / 2 ** 20,
      auditEvents: stored.auditEvents,
    };
  }

  async held(): Promise<Held> {
    const answer = JSON.parse(await text(connect(this.daemon.probe))) as Omit<Held, "heldMiB"> & {
      readonly heldBytes: number;
    };
    const { heldBytes, ...counts } = answer;
    return { ...counts, heldMiB: heldBytes / 2 ** 20 };
  }

  close(): void {
    this.#reader.disconnect();
  }

  async #stored(): Promise<StoredPages> {
    const answered = once(this.#reader, "message");
    this.#reader.send("look");
    const [stored] = (await answered) as [StoredPages];
    return stored;
  }
}

/** Of all files of a folder: what they take from the disk, holes left out. */
function allocatedBytes(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const blocks = files.map(({ parentPath, name }) => statSync(join(parentPath, name)).blocks);
  return blocks.reduce((sum, count) => sum + count * 512, 0);
}

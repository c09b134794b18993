import { type FSWatcher, watch } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock, Timer } from "../runtime/clock.js";

/** An editor or a ConfigMap changes several entries at once: the file is read when it has been quiet for this long. */
const quietMs = 200;
/** Or after this long, in a folder that is never quiet. */
const patienceMs = 600;
/** Between two looks at the file itself: a folder that was replaced, and some file systems, tell nothing. */
const lookMs = 1_000;

/** Calls back on every change in a folder; the answer ends it. */
export type WatchFolder = (folder: string, changed: () => void) => () => void;

/**
 * A file that is watched through its folders, since what replaces it is another file: editors rename over it, and Kubernetes turns a
 * symbolic link beside it.
 */
export class WatchedFile {
  readonly #clock: Clock;
  readonly #watchFolder: WatchFolder;
  readonly #watched = new Map<string, () => void>();
  #changed: (() => void) | undefined;
  #timer: Timer | undefined;
  #firstEventMs: number | undefined;
  #stamp: string | undefined;
  #nextLook: Timer | undefined;

  constructor(
    readonly path: string,
    options: { readonly clock: Clock; readonly watchFolder?: WatchFolder },
  ) {
    this.#clock = options.clock;
    this.#watchFolder = options.watchFolder ?? watchWithSystem;
  }

  /** @throws Error of the system when it cannot be read */
  async read(): Promise<string> {
    return await readFile(this.path, "utf8");
  }

  /**
   * Calls `changed` when something happened beside the file, and possibly to it. Called again, it follows the links anew.
   *
   * @returns the folders that cannot be watched
   */
  async watch(changed: () => void): Promise<string[]> {
    this.#changed = changed;
    if (this.#nextLook === undefined) {
      this.#stamp = await stampOf(this.path);
      this.#lookLater();
    }
    const target = await realpath(this.path).catch(() => this.path);
    const folders = new Set([dirname(this.path), dirname(target)]);
    for (const [folder, close] of this.#watched) {
      if (folders.has(folder)) continue;
      close();
      this.#watched.delete(folder);
    }
    const failed: string[] = [];
    for (const folder of folders) {
      if (this.#watched.has(folder) || this.#changed === undefined) continue;
      try {
        this.#watched.set(
          folder,
          this.#watchFolder(folder, () => this.#noticed()),
        );
      } catch {
        failed.push(folder);
      }
    }
    return failed;
  }

  close(): void {
    this.#changed = undefined;
    this.#timer?.cancel();
    this.#nextLook?.cancel();
    for (const close of this.#watched.values()) close();
    this.#watched.clear();
  }

  #lookLater(): void {
    if (this.#changed === undefined) return;
    this.#nextLook = this.#clock.setTimer(lookMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const stamp = await stampOf(this.path);
    if (stamp !== this.#stamp) this.#noticed();
    this.#stamp = stamp;
    this.#lookLater();
  }

  #noticed(): void {
    if (this.#changed === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    this.#firstEventMs ??= nowMs;
    this.#timer?.cancel();
    const delayMs = Math.min(quietMs, this.#firstEventMs + patienceMs - nowMs);
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#firstEventMs = undefined;
      this.#changed?.();
    });
  }
}

/** Another one when the file was written or replaced; empty when there is none. */
async function stampOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path);
    return [dev, ino, size, mtimeMs, ctimeMs].join(" ");
  } catch {
    return "";
  }
}

function watchWithSystem(folder: string, changed: () => void): () => void {
  const watcher: FSWatcher = watch(folder, { persistent: false }, changed);
  // A folder that is taken away while it is watched: nothing more comes from it.
  watcher.on("error", () => watcher.close());
  return () => watcher.close();
}

import { readFile, stat } from "node:fs/promises";
import type { Clock, Timer } from "../runtime/clock.js";

/**
 * Between two looks at the file. No folder needs to be watched, whatever replaces the file: editors rename over it, Kubernetes turns
 * a symbolic link beside it, and some file systems tell nothing.
 */
export const lookEveryMs = 500;

/** A file that is looked at again and again. */
export class WatchedFile {
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(
    readonly path: string,
    private readonly clock: Clock,
  ) {}

  /** @throws Error of the system when it cannot be read */
  async read(): Promise<string> {
    return await readFile(this.path, "utf8");
  }

  /** Calls `changed` one look after the file was found to be another: it may be written in several steps. */
  async watch(changed: () => void): Promise<void> {
    let stamp = await stampOf(this.path);
    let isDue = false;
    const lookLater = (): void => {
      if (!this.#isClosed) this.#timer = this.clock.setTimer(lookEveryMs, () => void look());
    };
    const look = async (): Promise<void> => {
      const found = await stampOf(this.path);
      if (isDue && !this.#isClosed) changed();
      isDue = found !== stamp;
      stamp = found;
      lookLater();
    };
    lookLater();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
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

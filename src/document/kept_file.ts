import { readFile, stat } from "node:fs/promises";
import type { Clock, Timer } from "../runtime/clock.js";
import { DocumentError, whyUnread } from "./document_error.js";

/**
 * Between two looks at the file. No folder needs to be watched, whatever replaces the file: editors rename over it, Kubernetes turns
 * a symbolic link beside it, and some file systems report nothing.
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

/** What is needed of a file that is kept. */
export type KeepableFile = Pick<WatchedFile, "path" | "read" | "watch" | "close">;

/** The file is not there, or not for this process to read. */
export class FileUnreadable extends Error {
  override readonly name = "FileUnreadable";

  /** @param code of the system, such as `ENOENT` */
  constructor(readonly code: string | undefined) {
    super(`the file cannot be read: ${whyUnread(code)}`);
  }

  get why(): string {
    return whyUnread(this.code);
  }
}

export interface KeptFileOptions {
  readonly path: string;
  readonly clock: Clock;
  /** Takes a text over that is another one than the last, or was requested. */
  readonly take: (text: string) => Promise<void>;
  /**
   * Called with the reason why a change of the file, or a `reload`, was not taken over: `FileUnreadable`, or what `take` threw. Called once, until the file
   * or its error is another, or it is requested.
   */
  readonly onFailure: (error: unknown) => void;
  readonly file?: KeepableFile | undefined;
}

/** A file that is taken over whenever it changes: one turn after the other, each with the text as it is then. */
export class KeptFile {
  readonly #file: KeepableFile;
  /** Text that was looked at last: other events in its folder are none of ours. */
  #seen: string | undefined;
  /** The last failure and the text that it was about. */
  #failure = "";
  #isSameFailure = false;
  #working: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(private readonly deps: KeptFileOptions) {
    this.#file = deps.file ?? new WatchedFile(deps.path, deps.clock);
  }

  get path(): string {
    return this.#file.path;
  }

  /** Called before the first `load`, so that what is written while it reads is not missed. */
  watch(): Promise<void> {
    return this.#file.watch(() => void this.#inTurn());
  }

  /** @throws FileUnreadable, and what `take` throws */
  async load(): Promise<void> {
    let text = "";
    try {
      text = await this.#read();
      await this.#takeOver(text);
      this.#failure = "";
    } catch (error) {
      const failure = `${error} ${text}`;
      this.#isSameFailure = failure === this.#failure;
      this.#failure = failure;
      // A broken text stays broken; whatever else it was may be over.
      if (!(error instanceof DocumentError)) this.#forget();
      throw error;
    }
  }

  /** Takes the file over, changed or not. */
  reload(): Promise<void> {
    return this.#inTurn(() => {
      this.#forget();
      this.#failure = "";
    });
  }

  /** Has the same text taken over again at the next event. */
  #forget(): void {
    this.#seen = undefined;
  }

  /** Ends the watching; what is being taken over is finished. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#file.close();
    await this.#working;
  }

  async #read(): Promise<string> {
    try {
      return await this.#file.read();
    } catch (error) {
      throw new FileUnreadable((error as NodeJS.ErrnoException).code);
    }
  }

  async #takeOver(text: string): Promise<void> {
    if (text === this.#seen) return;
    this.#seen = text;
    await this.deps.take(text);
  }

  #inTurn(first?: () => void): Promise<void> {
    this.#working = this.#working.then(async () => {
      if (this.#stopped) return;
      first?.();
      await this.load().catch((error) => {
        if (!this.#isSameFailure) this.deps.onFailure(error);
      });
    });
    return this.#working;
  }
}

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const timeoutMs = 5_000;

/** What `probe.mjs` writes in a daemon. */
export class Probe {
  #read = 0;

  /** @param file does not exist yet */
  constructor(private readonly file: string) {}

  /** What the daemon is started with. */
  get environment(): NodeJS.ProcessEnv {
    const script = pathToFileURL(join(import.meta.dirname, "probe.mjs")).href;
    return { NODE_OPTIONS: `--import=${script}`, NEXUS_BENCH_PROBE: this.file };
  }

  /** When the last change of a connection since the last question was durable, in ns. */
  async committedNs(): Promise<bigint> {
    for (const untilMs = Date.now() + timeoutMs; Date.now() < untilMs; ) {
      const commits = this.#lines().filter(([kind]) => kind === "commit");
      const last = commits.at(-1)?.[1];
      if (commits.length > this.#read && last !== undefined) {
        this.#read = commits.length;
        return BigInt(last);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("the daemon did not tell of its commits");
  }

  /** Of the seconds so far that were measured: their p99 and longest delay of the event loop, in ms. */
  delays(): { readonly p99Ms: number; readonly maxMs: number }[] {
    return this.#lines()
      .filter(([kind]) => kind === "delay")
      .map(([, p99, max]) => ({ p99Ms: Number(p99), maxMs: Number(max) }));
  }

  #lines(): string[][] {
    let text = "";
    try {
      text = readFileSync(this.file, "utf8");
    } catch {
      // Nothing is written yet.
    }
    const lines = text.split("\n").slice(0, -1);
    return lines.map((line) => line.split(" "));
  }
}

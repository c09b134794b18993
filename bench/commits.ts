import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** How long the probe may take to write what it saw. */
const patienceMs = 5_000;

/** When the commits of a daemon were durable, as `commit_probe.mjs` in it saw them. */
export class Commits {
  #read = 0;

  /** @param file does not exist yet */
  constructor(private readonly file: string) {}

  /** What the daemon is started with. */
  get environment(): NodeJS.ProcessEnv {
    const probe = pathToFileURL(join(import.meta.dirname, "commit_probe.mjs")).href;
    return { NODE_OPTIONS: `--import=${probe}`, NEXUS_BENCH_COMMITS: this.file };
  }

  /** @returns of the commits since the last question: how many there were until the last one that changed a connection, and when that was durable, in ns */
  async ofUpdate(): Promise<{ readonly changedNs: bigint; readonly count: number }> {
    for (const untilMs = Date.now() + patienceMs; Date.now() < untilMs; ) {
      const commits = this.#lines().slice(this.#read);
      const changed = commits.findLastIndex(({ changes }) => changes > 0);
      const change = commits[changed];
      if (change) {
        this.#read += commits.length;
        return { changedNs: change.atNs, count: changed + 1 };
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("the daemon did not tell of its commits");
  }

  #lines(): { readonly changes: number; readonly atNs: bigint }[] {
    let text = "";
    try {
      text = readFileSync(this.file, "utf8");
    } catch {
      // It has committed nothing yet.
    }
    const lines = text.split("\n").slice(0, -1);
    return lines.map((line) => {
      const [changes, atNs] = line.split(" ");
      return { changes: Number(changes), atNs: BigInt(atNs ?? 0) };
    });
  }
}

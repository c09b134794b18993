import { Session } from "node:inspector/promises";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const source = join(import.meta.dirname, "..", "..", "src") + sep;

/** Counts which functions of `src/` run in this process (V8's precise coverage). */
export class Coverage {
  private constructor(private readonly session: Session) {}

  static async start(): Promise<Coverage> {
    const session = new Session();
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
    return new Coverage(session);
  }

  /**
   * @returns the files under `src/`, without `gen`, of which a function ran meanwhile, sorted. That a module was loaded does not count: what loads
   * at the first request does not run for the next.
   */
  async during(walk: () => Promise<unknown>): Promise<string[]> {
    await this.#take();
    await walk();
    return await this.#take();
  }

  /**
   * The files of each of some walks: a timer that fires beside one is no part of it.
   *
   * @param ready makes one ready, which does not count
   * @param times more, where timers fire often
   */
  async each(ready: () => Promise<() => Promise<unknown>>, times = 3): Promise<string[]> {
    const walks: string[][] = [];
    for (let count = 0; count < times; count++) walks.push(await this.during(await ready()));
    return inEach(walks);
  }

  async #take(): Promise<string[]> {
    const { result } = await this.session.post("Profiler.takePreciseCoverage");
    const files = result.flatMap(({ url, functions }) => {
      const path = url.startsWith("file:") ? fileURLToPath(url) : url;
      const hasRun = functions.some(
        ({ functionName, ranges: [range] }) => functionName !== "" && (range?.count ?? 0) > 0,
      );
      const isAnonymous = functions.some(
        ({ functionName, ranges: [range] }) =>
          functionName === "" && (range?.startOffset ?? 0) > 0 && (range?.count ?? 0) > 0,
      );
      return path.startsWith(source) && (hasRun || isAnonymous) ? [path.slice(source.length)] : [];
    });
    return files.filter((path) => !path.startsWith(`gen${sep}`)).sort();
  }
}

export function inEach([first = [], ...others]: readonly string[][]): string[] {
  return first.filter((path) => others.every((files) => files.includes(path)));
}

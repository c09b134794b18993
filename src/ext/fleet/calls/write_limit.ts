import { Unavailable } from "../../../model/model.js";
import type { Clock } from "../../../runtime/runtime.js";
import { type CommitWait, longCommitMs } from "../database/log/commit_wait.js";

export interface WriteLimitDeps {
  /** Of this hub; undefined while the database takes its commits. */
  readonly commitWait: () => CommitWait | undefined;
  readonly clock: Clock;
}

/**
 * What the hub that leads answers while its database does not commit. Only the caller is told: the commit goes on, and is asked again until
 * there is a verdict.
 */
export class WriteLimit {
  constructor(private readonly deps: WriteLimitDeps) {}

  /** As `work`. @throws Unavailable when the database has not committed for 15 seconds, and the caller has waited as long */
  within<T>(work: Promise<T>): Promise<T> {
    const { clock, commitWait } = this.deps;
    return new Promise((resolve, reject) => {
      let timer = clock.setTimer(longCommitMs, look);
      function look(): void {
        const leftMs = longCommitMs - (commitWait()?.waitedMs ?? 0);
        if (leftMs > 0) timer = clock.setTimer(leftMs, look);
        else reject(noVerdict());
      }
      const settle = (): void => timer.cancel();
      work.finally(settle).then(resolve, reject);
    });
  }
}

function noVerdict(): Unavailable {
  const seconds = longCommitMs / 1_000;
  return new Unavailable(
    `the database of the fleet has not committed for ${seconds} s (nexusd fleet says why): look whether the request was acted on`,
  );
}

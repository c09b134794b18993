import { writeSync } from "node:fs";
import type { Store } from "../../src/store/store.js";

/** Tells the parent, before anything else happens. */
export function say(line: string): void {
  writeSync(1, `${line}\n`);
}

/** Where a child ends itself: by its own SIGKILL at a passage of one boundary, as soon as it is armed. */
export class KillPoint<Boundary extends string> {
  isArmed = false;

  /** @param passagesLeft how many passages it lives through before */
  constructor(
    private readonly boundary: string,
    private passagesLeft: number,
  ) {}

  pass(reached: Boundary): void {
    if (this.isArmed && reached === this.boundary && this.passagesLeft-- === 0)
      process.kill(process.pid, "SIGKILL");
  }
}

/** A store whose commits go by `commit`. */
export function withCommit(store: Store, commit: Store["commit"]): Store {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === "commit") return commit;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

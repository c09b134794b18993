import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Figure } from "./figure.js";

/** What each ratio may be in a short run on a busy machine: times are never compared. */
export type Ceilings = Readonly<Record<string, number>>;

export function readCeilings(): Ceilings {
  return JSON.parse(readFileSync(join(import.meta.dirname, "guard.json"), "utf8")) as Ceilings;
}

/** What is wrong with figures. */
export interface Violation {
  readonly name: string;
  readonly words: string;
}

/** A line that has a ceiling and was not measured is an error too. */
export function guardViolations(figures: readonly Figure[], ceilings: Ceilings): Violation[] {
  return Object.entries(ceilings).flatMap(([name, atMost]) => {
    const ratio = figures.find((figure) => figure.name === name)?.ratio;
    if (ratio === undefined || !Number.isFinite(ratio)) return [{ name, words: "no ratio was measured" }];
    return ratio <= atMost ? [] : [{ name, words: `${ratio.toFixed(2)} x, the guard allows ${atMost} x` }];
  });
}

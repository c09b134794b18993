import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Figure } from "./figure.js";

/** What each ratio, or else each difference or value, may be in a short run on a busy machine: times are compared as ratios alone. */
export type Ceilings = Readonly<Record<string, number>>;

export function readCeilings(): Ceilings {
  return JSON.parse(readFileSync(join(import.meta.dirname, "guard.json"), "utf8")) as Ceilings;
}

const timeUnits: ReadonlySet<string> = new Set(["us", "ms", "s"]);

/** What is wrong with figures. */
export interface Violation {
  readonly name: string;
  readonly words: string;
}

/** A line that has a ceiling and was not measured is an error too. */
export function guardViolations(figures: readonly Figure[], ceilings: Ceilings): Violation[] {
  return Object.entries(ceilings).flatMap(([name, atMost]) => {
    const figure = figures.find((one) => one.name === name);
    const { found, unit } = figure ? judged(figure) : { found: Number.NaN, unit: "" };
    if (!Number.isFinite(found)) return [{ name, words: "nothing was measured that can be judged" }];
    if (found <= atMost) return [];
    return [{ name, words: `${found.toFixed(2)} ${unit}, the guard allows ${atMost} ${unit}` }];
  });
}

/** What of a line is held against its ceiling, and the unit of both. */
function judged({ ratio, value, against, unit }: Figure): { found: number; unit: string } {
  if (ratio !== undefined) return { found: ratio, unit: "x" };
  if (timeUnits.has(unit)) return { found: Number.NaN, unit };
  return { found: value - (against?.value ?? 0), unit };
}

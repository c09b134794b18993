import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Figure } from "./figure.js";

/**
 * Holds ratios of a short run against those in `guard.json`, which leave room for a busy machine: what fails here has become several
 * times worse. Absolute times are never compared.
 *
 * @returns what is wrong, a line each: a ratio beyond its bound, or one that was not measured
 */
export function guardFaults(figures: readonly Figure[]): string[] {
  const text = readFileSync(join(import.meta.dirname, "guard.json"), "utf8");
  const bounds = JSON.parse(text) as Readonly<Record<string, number>>;
  return Object.entries(bounds).flatMap(([name, atMost]) => {
    const ratio = figures.find((figure) => figure.name === name)?.ratio;
    if (ratio === undefined || !Number.isFinite(ratio)) return [`${name}: no ratio was measured`];
    return ratio <= atMost ? [] : [`${name}: ${ratio.toFixed(2)} x, the guard allows ${atMost} x`];
  });
}

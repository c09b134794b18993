/** What was measured for one line of the table of goals. */
export interface Figure {
  /** As `goals.ts` names it. */
  readonly name: string;
  readonly value: number;
  /** The same of a counterpart in the same run; the goal is for the ratio then. */
  readonly against?: { readonly name: string; readonly value: number };
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** @param share 0.5 for the median, 0.99 for the 99th percentile */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

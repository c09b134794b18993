/** One line of the table: a value of ours beside the same thing done by the bare machine. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What `ratio` is measured against, and what that gave, in the same unit. */
  readonly against: { readonly name: string; readonly value: number } | undefined;
  /** `value` over `against`; undefined where the goal is a difference or a bound. */
  readonly ratio: number | undefined;
  /** The goal in words. */
  readonly goal: string;
  readonly met: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** @param share 0.5 for the median, 0.99 for the 99th percentile */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Medians of two interleaved series, and their ratio held against the goal. */
export function ratioFigure(options: {
  readonly name: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
  readonly against: string;
  readonly atMost: number;
}): Figure {
  const value = median(options.ours);
  const bare = median(options.theirs);
  const ratio = value / bare;
  return {
    name: options.name,
    value,
    unit: options.unit,
    against: { name: options.against, value: bare },
    ratio,
    goal: `at most ${options.atMost} x`,
    met: ratio <= options.atMost,
  };
}

/** A difference held against the goal. */
export function differenceFigure(options: {
  readonly name: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
  readonly against: string;
  readonly atMost: number;
}): Figure {
  const value = median(options.ours);
  const bare = median(options.theirs);
  return {
    name: options.name,
    value,
    unit: options.unit,
    against: { name: options.against, value: bare },
    ratio: undefined,
    goal: `at most + ${options.atMost} ${options.unit}`,
    met: value - bare <= options.atMost,
  };
}

/** A value held against a bound of its own. */
export function boundFigure(options: {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly atMost: number;
}): Figure {
  const { name, unit, value, atMost } = options;
  return {
    name,
    value,
    unit,
    against: undefined,
    ratio: undefined,
    goal: `at most ${atMost} ${unit}`,
    met: value <= atMost,
  };
}

/** The table of bench/README.md: what was measured against what, and whether the goal is met. */
export function markdownOf(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, unit, against, ratio, goal, met }) => [
    name,
    against === undefined ? "" : against.name,
    ratio !== undefined
      ? `${ratio.toFixed(2)} x`
      : against === undefined
        ? `${short(value)} ${unit}`
        : `${value < against.value ? "-" : "+"} ${short(Math.abs(value - against.value))} ${unit}`,
    goal,
    met ? "yes" : "**no**",
  ]);
  return linesOf(["what", "against", "ratio or difference", "goal", "met"], rows);
}

function linesOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
}

/** The figures as a table in Markdown, with what both sides gave. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, unit, against, ratio, goal, met }) => [
    name,
    `${short(value)} ${unit}`,
    against === undefined ? "" : `${short(against.value)} ${unit} (${against.name})`,
    ratio === undefined
      ? against === undefined
        ? ""
        : `${value < against.value ? "-" : "+"} ${short(Math.abs(value - against.value))}`
      : `${ratio.toFixed(2)} x`,
    goal,
    met ? "yes" : "**no**",
  ]);
  return linesOf(["what", "ours", "against", "ratio", "goal", "met"], rows);
}

function short(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

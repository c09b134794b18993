/** How often something may be used. */
export interface UseLimit {
  /** From 1 to `maxUses`. */
  readonly uses: number;
  /** Of the period that begins with the first use; undefined for a limit that does not begin anew by itself. */
  readonly perMs: number | undefined;
}

export const maxUses = 1_000_000;

const periodsMs: ReadonlyMap<string, number> = new Map([
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** What a limit looks like, for errors and help. */
export const useLimitForm = `1 to ${maxUses} uses, such as 20, or of a period, such as 100/h (s, m, h, or d)`;

/** `20` or `100/h`. @returns the limit, or what is wrong with the text */
export function parseUseLimit(text: string): UseLimit | string {
  const [, digits = "", unit] = /^([0-9]{1,10})(?:\/(.{1,20}))?$/.exec(text) ?? [];
  const uses = Number(digits);
  if (digits === "" || uses < 1 || uses > maxUses) return `must be ${useLimitForm}`;
  if (unit === undefined) return { uses, perMs: undefined };
  const perMs = periodsMs.get(unit);
  if (perMs !== undefined) return { uses, perMs };
  const meant = unit.slice(0, 1).toLowerCase();
  const hint = periodsMs.has(meant) ? `write ${uses}/${meant}` : "the units are s, m, h, and d";
  return `knows no unit ${JSON.stringify(unit)}: ${hint}`;
}

/** As `parseUseLimit` reads it. */
export function useLimitText({ uses, perMs }: UseLimit): string {
  const unit = [...periodsMs].find(([, ms]) => ms === perMs)?.[0];
  return unit === undefined ? `${uses}` : `${uses}/${unit}`;
}

export function isPeriod(perMs: number): boolean {
  return [...periodsMs.values()].includes(perMs);
}

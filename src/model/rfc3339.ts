/** RFC 3339 section 5.6; its offset is not optional, as `Date.parse` has it. */
const dateTime = /^(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** Milliseconds of the Unix epoch; undefined for what RFC 3339 does not write so, and for days that no month has. */
export function parseRfc3339(text: string): number | undefined {
  const [, date] = dateTime.exec(text) ?? [];
  const timeMs = Date.parse(text.toUpperCase().replace(" ", "T"));
  return date === undefined || !isDay(date) || Number.isNaN(timeMs) ? undefined : timeMs;
}

/** Whether `2024-02-29` is in the calendar: `Date.parse` takes `2023-02-29` for the first of March. */
export function isDay(date: string): boolean {
  const timeMs = Date.parse(`${date}T00:00:00Z`);
  return !Number.isNaN(timeMs) && new Date(timeMs).toISOString().startsWith(date);
}

/**
 * RFC 9110 section 10.2.3, seconds or a date, clamped to 1 s..1 h: less would hammer the provider, more would let one
 * answer switch a connection off.
 */
export function parseRetryAfterMs(header: string | null, nowMs: number): number | undefined {
  const text = header?.trim() ?? "";
  const waitMs = /^\d+$/.test(text)
    ? Number(text) * 1000
    : /GMT$/.test(text)
      ? Date.parse(text) - nowMs
      : Number.NaN;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 1000), 3_600_000);
}

import type { Duration } from "@bufbuild/protobuf/wkt";
import { InvalidArgumentError } from "commander";
import { isDay } from "../model/rfc3339.js";

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Reads `500ms`, `90s`, `5m`, `1h30m`; a number without a unit is refused, since it could be any.
 *
 * @returns milliseconds
 * @throws InvalidArgumentError
 */
export function parseDurationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not a duration: write 90s, 5m or 1h30m.`);
  }
  const totalMs = parts.reduce(
    (sum, [, digits, unit]) => sum + Number(digits) * unitMs[unit as keyof typeof unitMs],
    0,
  );
  return Math.round(totalMs);
}

/**
 * A time as RFC 3339 writes it, or its date alone.
 *
 * @returns milliseconds of the Unix epoch; undefined for what does not begin with a date
 * @throws InvalidArgumentError for a date that is in no calendar
 */
export function parseTimeMs(text: string): number | undefined {
  const [, date] = /^(\d{4}-\d\d-\d\d)(T.*)?$/.exec(text) ?? [];
  if (date === undefined) return undefined;
  const timeMs = isDay(date) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs)) throw new InvalidArgumentError(`${JSON.stringify(text)} is not a time.`);
  return timeMs;
}

/** For the fields of messages that are plain objects: seconds and nanoseconds. */
export function durationOf(durationMs: number): Pick<Duration, "seconds" | "nanos"> {
  return { seconds: BigInt(Math.floor(durationMs / 1000)), nanos: (durationMs % 1000) * 1_000_000 };
}

/** Milliseconds; 0 when it is unset. */
export function durationMsOf(duration: Pick<Duration, "seconds" | "nanos"> | undefined): number {
  return duration ? Number(duration.seconds) * 1000 + duration.nanos / 1_000_000 : 0;
}

import { type Duration, durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { InvalidArgumentError, Option } from "commander";
import { parseUseLimit } from "../../model/access/use_limit.js";
import { parseDurationText } from "../../model/json_fields.js";
import { isDay } from "../../model/rfc3339.js";

/** Reads `500ms`, `90s`, `5m`, `1h30m`; a number without a unit is refused, since it could be any. @returns milliseconds */
export function parseDurationMs(text: string): number {
  const durationMs = parseDurationText(text);
  if (durationMs !== undefined) return durationMs;
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a duration: write 90s, 5m or 1h30m.`);
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

/**
 * A time that is over: a duration before now, a time as `parseTimeMs` reads it, or `today` and `yesterday`, which begin at the local
 * midnight.
 *
 * @returns milliseconds of the Unix epoch, at least 0
 */
export function parseSince(text: string, nowMs: number): number {
  const day = ["today", "yesterday"].indexOf(text.toLowerCase());
  if (day >= 0) {
    const midnight = new Date(nowMs);
    return midnight.setHours(-24 * day, 0, 0, 0);
  }
  const timeMs = parseTimeMs(text);
  if (timeMs !== undefined) return timeMs;
  if (!/^\d/.test(text)) {
    throw new InvalidArgumentError(
      "It must be a duration such as 90m or 2d, today, yesterday, or a time such as 2026-11-24T15:40:00Z.",
    );
  }
  return Math.max(0, nowMs - parseDurationMs(text));
}

/** Reads `20` or `100/h`. @returns the fields of its message */
export function parseUses(text: string): { readonly uses: number; readonly per?: Duration } {
  const limit = parseUseLimit(text);
  if (typeof limit === "string") throw new InvalidArgumentError(`${JSON.stringify(text)} ${limit}.`);
  const { uses, perMs } = limit;
  return { uses, ...(perMs !== undefined && { per: durationFromMs(perMs) }) };
}

/** Milliseconds; 0 when it is unset. */
export function durationMsOf(duration: Duration | undefined): number {
  return duration ? durationMs(duration) : 0;
}

/** Takes one more value of a flag that can be given again. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** A list by its name in the plural or the singular: `--scopes a,b`, or `--scope a --scope b`. Each item counts once. */
export function listOption(names: string, description: string): Option {
  const help = `${description}; separated by commas, or repeated`;
  return new Option(`--${names.replace(/s$/, "")}, --${names} <list>`, help).argParser(collectList);
}

function collectList(text: string, before: readonly string[] = []): string[] {
  return [...new Set([...before, ...text.split(/[\s,]+/).filter((item) => item !== "")])];
}

/** Takes one more `name=value`. */
export function collectPair(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("It must read name=value.");
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}

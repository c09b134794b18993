import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** Notes an error: the limit that the value breaks. `excerpt` is the part of it that is printed, by default all of it. */
export type Note = (limit: string, excerpt?: string) => void;

/** How the text of a setting becomes its value. */
export interface SettingKind<Value> {
  /** What stands after the flag. `[word]` may be left out, which means `true`. */
  readonly argument: string;
  /** What is accepted, where the meaning of the setting does not say it: `100 to 300000`. */
  readonly range?: string;
  /** Whether errors leave the value out. */
  readonly isHidden?: true;
  /** Whether an empty text is a value; otherwise it counts as not set. */
  readonly acceptsEmpty?: true;
  /** @returns undefined when no part of the text can be used; every error is noted */
  readonly parse: (text: string, note: Note) => Value | undefined;
}

/** One setting: the row that reads it, judges it, and documents it in `--help` and `docs/settings.md`. */
export interface SettingRow {
  readonly kind: SettingKind<unknown>;
  readonly meaning: string;
  /** The text that stands in when it is not set. Without it, the value is undefined then, and `unset` says what holds. */
  readonly default?: string;
  /** What takes the place of `default` with NEXUS_PORT_BASE. */
  readonly atPortBase?: (portBase: number) => string;
  /** What holds when it is not set; `none` when it is left out. */
  readonly unset?: string;
  /** Where it is not made of the name, as `--data-dir` of NEXUS_DATA_DIR; false for none. A secret has none. */
  readonly flag?: `--${string}` | false;
  /** One of the ten that matter first. */
  readonly isFirst?: true;
}

/** Rows by the environment variable of their setting, by the title of their group. */
export type SettingGroups = Readonly<Record<string, Readonly<Record<string, SettingRow>>>>;

/** A text that stays as it is; `violationOf` says what is wrong with it, if anything. */
export function text(
  argument: string,
  violationOf: (text: string) => string | undefined = () => undefined,
): SettingKind<string> {
  return {
    argument,
    parse: (value, note) => {
      const violation = violationOf(value);
      if (violation !== undefined) note(violation);
      return value;
    },
  };
}

/** A path, absolute. A leading `~/` that no shell expanded means the home folder. */
export function path(argument: "file" | "folder"): SettingKind<string> {
  return {
    argument,
    parse: (value, note) => {
      if (value.includes("\0")) note("must not hold a NUL character");
      return resolve(value.startsWith("~/") ? join(homedir(), value.slice(2)) : value);
    },
  };
}

/** One of some words, in any case. */
export function word<const Words extends readonly string[]>(
  argument: string,
  words: Words,
): SettingKind<Words[number]> {
  return {
    argument,
    range: words.join(", "),
    parse: (value, note) => {
      const found = words.find((candidate) => candidate === value.toLowerCase());
      if (found === undefined) note(`must be one of ${words.join(", ")}`);
      return found;
    },
  };
}

/** `true` or `false`, in any case. */
export const toggle: SettingKind<boolean> = {
  argument: "true|false",
  parse: (value, note) => {
    const lower = value.toLowerCase();
    if (lower !== "true" && lower !== "false") note("must be true or false");
    return lower === "true";
  },
};

/** A whole number of `unit`s, `min` to `max`. */
export function count(unit: string, min: number, max: number): SettingKind<number> {
  return number(unit, min, max, "");
}

/** As `count`, or the word `off`. */
export function countOrOff(unit: string, min: number, max: number): SettingKind<number | "off"> {
  const kind = number(unit, min, max, ", or off");
  return {
    ...kind,
    parse: (value, note) => (value.toLowerCase() === "off" ? "off" : kind.parse(value, note)),
  };
}

function number(unit: string, min: number, max: number, orElse: string): SettingKind<number> {
  return {
    argument: unit,
    range: `${min} to ${max}${orElse}`,
    parse: (value, note) => {
      const parsed = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
      if (parsed >= min && parsed <= max) return parsed;
      note(`must be a whole number from ${min} to ${max}${orElse}`);
      return undefined;
    },
  };
}

/** A span of days or hours, as `365d`; in milliseconds. */
export const age: SettingKind<number> = {
  argument: "age",
  range: "days or hours, such as 365d or 12h",
  parse: (value, note) => {
    const hourMs = 3_600_000;
    const [, digits, unit] = /^(\d{1,5})([hd])$/.exec(value) ?? [];
    const ageMs = Number(digits ?? 0) * (unit === "d" ? 24 * hourMs : hourMs);
    if (ageMs >= hourMs) return ageMs;
    note("must be days or hours, such as 365d or 12h, at least 1h");
    return undefined;
  },
};

/** Files that others refer to by a name: a comma list of `name=/path`. */
export const namedFiles: SettingKind<Readonly<Record<string, string>>> = {
  argument: "name=file,...",
  parse: (value, note) => {
    const files = new Map<string, string>();
    for (const item of itemsOf(value)) {
      const [, name = "", file = ""] = /^([a-z0-9][a-z0-9_-]{0,62})=(\/[^\0]+)$/.exec(item) ?? [];
      if (name === "")
        note(
          "must be name=/absolute/path, the name of lower-case letters, digits, underscores and hyphens",
          item,
        );
      else if (files.has(name)) note("must name each file once", item);
      files.set(name, file);
    }
    return Object.fromEntries(files);
  },
};

/** Words of a comma list, without the empty ones. */
export function itemsOf(value: string): string[] {
  return value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

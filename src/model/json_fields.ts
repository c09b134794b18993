import type { FieldViolation } from "./errors.js";
import type { JsonObject, JsonValue } from "./json.js";

const maxUint32 = 2 ** 32 - 1;

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isTextMap(value: JsonValue | undefined): value is Record<string, string> {
  return isJsonObject(value) && Object.values(value).every((item) => typeof item === "string");
}

/**
 * Reads the fields of a JSON object one by one and gathers the errors, so that all are reported at once. `null` counts as absent,
 * and what is absent or of another type is answered with the empty value.
 */
export class JsonFields {
  constructor(
    private readonly json: JsonObject,
    private readonly violations: FieldViolation[],
    /** Stands before each name in an error, for example `oauth2_options.`. */
    private readonly prefix = "",
  ) {}

  has(name: string): boolean {
    return this.#value(name) !== undefined;
  }

  violation(name: string, description: string): void {
    this.violations.push({ field: `${this.prefix}${name}`, description });
  }

  text(name: string): string {
    const value = this.#value(name);
    if (value === undefined || typeof value === "string") return value ?? "";
    this.#wrongType(name, "text", value);
    return "";
  }

  word<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.text(name);
    if (text === "") return undefined;
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) this.violation(name, `must be one of ${words.join(", ")}`);
    return word;
  }

  flag(name: string): boolean {
    const value = this.#value(name);
    if (value === undefined || typeof value === "boolean") return value ?? false;
    this.#wrongType(name, "true or false", value);
    return false;
  }

  wholeNumber(name: string): number {
    const value = this.#value(name);
    if (value === undefined) return 0;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= maxUint32)
      return value;
    if (typeof value === "number") this.violation(name, "must be a whole number, 0 or more");
    else this.#wrongType(name, "a number", value);
    return 0;
  }

  texts(name: string): string[] {
    const value = this.#value(name);
    if (value === undefined) return [];
    if (!Array.isArray(value)) {
      this.#wrongType(name, "a list of texts", value);
      return [];
    }
    return value.filter((item, index): item is string => {
      if (typeof item !== "string") this.#wrongType(`${name}[${index}]`, "text", item);
      return typeof item === "string";
    });
  }

  textMap(name: string): Record<string, string> {
    const entries = Object.entries(this.object(name) ?? {});
    return Object.fromEntries(
      entries.filter((entry): entry is [string, string] => {
        if (typeof entry[1] !== "string") this.#wrongType(`${name}["${entry[0]}"]`, "text", entry[1]);
        return typeof entry[1] === "string";
      }),
    );
  }

  object(name: string): JsonObject | undefined {
    const value = this.#value(name);
    if (value === undefined || isJsonObject(value)) return value;
    this.#wrongType(name, "an object", value);
    return undefined;
  }

  durationMs(name: string): number | undefined {
    const text = this.text(name);
    if (text === "") return undefined;
    const durationMs = parseDurationText(text);
    if (durationMs === undefined) this.violation(name, "must be a duration, such as 90s, 5m, or 1h30m");
    return durationMs;
  }

  #value(name: string): JsonValue | undefined {
    const value = Object.hasOwn(this.json, name) ? this.json[name] : undefined;
    return value === null ? undefined : value;
  }

  #wrongType(name: string, wanted: string, value: JsonValue): void {
    const got = value === null ? "null" : Array.isArray(value) ? "a list" : `a value of type ${typeof value}`;
    this.violation(name, `must be ${wanted}, not ${got}`);
  }
}

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of `500ms`, `90s`, `1h30m`; undefined for anything else: a number without a unit, one that no integer holds. */
export function parseDurationText(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g);
  const durationMs = Math.round(
    [...parts].reduce(
      (sum, [, digits, unit]) => sum + Number(digits) * unitMs[unit as keyof typeof unitMs],
      0,
    ),
  );
  return Number.isSafeInteger(durationMs) ? durationMs : undefined;
}

/** The inverse, in seconds, as protobuf JSON writes a duration. */
export function durationText(durationMs: number): string {
  return `${durationMs / 1000}s`;
}

import { RE2JS } from "re2js";
import {
  type Fact,
  type FactName,
  type Facts,
  type factKinds,
  SeveralTexts,
} from "../../model/access/access.js";

export type ConditionValue = (typeof factKinds)[FactName] | "bool" | "list";
export type Value = Fact | SeveralTexts | ReadonlySet<unknown> | undefined;

/** A part of a condition, ready to be judged; undefined is unknown. */
export interface ConditionPart {
  readonly kind: ConditionValue;
  readonly of: (facts: Facts) => Value;
  /** What stands in the condition itself. */
  readonly literal?: Value;
  /** Which fact this is, alone. */
  readonly fact?: FactName;
}

/** What a condition may call: on what, with what, and the result. The table in docs/rules.md is made of it. */
export const functions: Readonly<
  Record<
    string,
    {
      readonly on: ConditionValue;
      readonly takes: readonly ConditionValue[];
      readonly gives: ConditionValue;
      readonly says: string;
    }
  >
> = {
  startsWith: { on: "string", takes: ["string"], gives: "bool", says: "whether the text begins so" },
  endsWith: { on: "string", takes: ["string"], gives: "bool", says: "whether the text ends so" },
  contains: { on: "string", takes: ["string"], gives: "bool", says: "whether the text holds the other" },
  matches: {
    on: "string",
    takes: ["string"],
    gives: "bool",
    says: "whether a part of the text fits the RE2 pattern, which must be a literal",
  },
  lowerAscii: { on: "string", takes: [], gives: "string", says: "the text with A to Z in lower case" },
  size: { on: "string", takes: [], gives: "int", says: "number of characters" },
  int: {
    on: "string",
    takes: [],
    gives: "int",
    says: 'the whole number that the text is, as in `int(request.body["amount"])`; unknown for any other text, and for more than 15 digits',
  },
  getHours: {
    on: "timestamp",
    takes: ["string"],
    gives: "int",
    says: "hour of the day, 0 to 23, in a time zone such as `Europe/Berlin`",
  },
  getDayOfWeek: {
    on: "timestamp",
    takes: ["string"],
    gives: "int",
    says: "day of the week in a time zone, 0 for Sunday",
  },
};

/** Linear in the text, whatever the pattern. @throws Error for what is none */
export function pattern(text: unknown): (text: unknown) => boolean {
  if (typeof text !== "string") throw new Error("matches() takes a literal");
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(text);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : "";
    throw new Error(`the pattern of matches() is not one of RE2: ${why}`);
  }
  return (value) => compiled.matcher(value as string).find();
}

/** @throws Error for what is no time zone */
export function inZone(name: string, timeZone: unknown): (ms: unknown) => number {
  if (typeof timeZone !== "string") throw new Error(`${name}() takes a literal`);
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      ...{ timeZone, hourCycle: "h23", hour: "numeric", weekday: "short" },
    } as const);
  } catch {
    throw new Error(`${timeZone} is no time zone`);
  }
  const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  return (ms) => {
    const parts = format.formatToParts(ms as number);
    const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? "";
    return name === "getHours" ? Number(part("hour")) : days.indexOf(part("weekday"));
  };
}

/** What a function without arguments makes of a text. */
export function unary(name: string, text: string): Value {
  if (name === "size") return [...text].length;
  if (name === "int") return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
  return lowered(text);
}

function lowered(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

export function literal(kind: ConditionValue, value: Exclude<Value, undefined>): ConditionPart {
  return { kind, of: () => value, literal: value };
}

export function bool(of: ConditionPart["of"]): ConditionPart {
  return { kind: "bool", of };
}

export function negated(value: Value): Value {
  return value === undefined ? undefined : !value;
}

/** `false && unknown` is false and `true || unknown` is true, in either order. */
export function either(winner: boolean, one: ConditionPart, other: ConditionPart): ConditionPart["of"] {
  return (facts) => {
    const first = one.of(facts);
    if (first === winner) return winner;
    const second = other.of(facts);
    if (second === winner) return winner;
    return first === undefined || second === undefined ? undefined : !winner;
  };
}

export function chosen(truth: Value, one: () => Value, other: () => Value): Value {
  return truth === undefined ? undefined : truth ? one() : other();
}

export function lifted(one: ConditionPart, apply: (value: unknown) => Value): ConditionPart["of"] {
  return (facts) => {
    const value = one.of(facts);
    return value === undefined ? undefined : ofEach(value, apply);
  };
}

/** Of several texts, what is the same for each of them; other texts for texts. */
function ofEach(value: Exclude<Value, undefined>, apply: (value: unknown) => Value): Value {
  if (!(value instanceof SeveralTexts)) return apply(value);
  const results = value.texts.map(apply);
  if (results.every((result) => result === results[0])) return results[0];
  return results.every((result) => typeof result === "string") ? new SeveralTexts(results) : undefined;
}

export function both(
  one: ConditionPart,
  other: ConditionPart,
  apply: (a: unknown, b: unknown) => Value,
): ConditionPart["of"] {
  return (facts) => {
    const a = one.of(facts);
    const b = a === undefined ? undefined : other.of(facts);
    if (a === undefined || b === undefined) return undefined;
    return ofEach(a, (each) => ofEach(b, (other) => apply(each, other)));
  };
}

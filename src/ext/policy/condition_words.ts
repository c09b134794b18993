import { parse } from "@bufbuild/cel";
import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import type { FactName } from "../../model/access/access.js";

/** What a condition asks for, as a noun; the others are no noun. */
const nouns: Readonly<Partial<Record<FactName, string>>> = {
  "request.method": "the method",
  "request.host": "the host",
  "request.path": "the path",
  "request.size": "the size of the body",
  "request.digest": "the SHA-256 of the body",
  "connection.id": "the connection",
  "connection.user": "the user",
  "connection.provider": "the provider",
  "caller.name": "the caller",
  "session.id": "the run",
  now: "the time",
};

/** `request.headers["accept"]` is the header "accept". */
const maps: Readonly<Record<string, string>> = {
  "request.headers": "header",
  "request.query": "query parameter",
  "request.body": "field",
};

/** After a noun: what is so, and what is not. */
const verbs: Readonly<Record<string, readonly [is: string, isNot: string]>> = {
  "_==_": ["is", "is not"],
  "_!=_": ["is not", "is"],
  "_<_": ["is less than", "is at least"],
  "_<=_": ["is at most", "is more than"],
  "_>_": ["is more than", "is at most"],
  "_>=_": ["is at least", "is less than"],
  startsWith: ["begins with", "does not begin with"],
  endsWith: ["ends with", "does not end with"],
  contains: ["contains", "does not contain"],
  matches: ["matches", "does not match"],
};

const ofTime: typeof verbs = {
  "_<_": ["is before", "is not before"],
  "_<=_": ["is not after", "is after"],
  "_>_": ["is after", "is not after"],
  "_>=_": ["is not before", "is before"],
};

/** What there are no words for. */
class Wordless extends Error {}

/**
 * A condition in English, for people who do not read CEL: `the method is one of GET, HEAD and the path begins with /repos/`.
 *
 * @returns undefined where there are no words for a part of it, so that no words leave out anything
 */
export function conditionWords(text: string): string | undefined {
  try {
    return truth(parse(text).expr, true);
  } catch {
    return undefined;
  }
}

/** @param isSo false for its opposite */
function truth(expr: Expr, isSo: boolean): string {
  const { case: kind, value } = expr.exprKind;
  if (kind === "selectExpr" && nameOf(expr) === "request.reads")
    return `the request ${isSo ? "only reads" : "may write"}`;
  if (kind === "constExpr" && value.constantKind.case === "boolValue")
    return value.constantKind.value === isSo ? "always" : "never";
  if (kind !== "callExpr") throw new Wordless();
  const { function: name, target, args } = value;
  const [one, other] = target ? [target, ...args] : args;
  if (name === "!_" && one) return truth(one, !isSo);
  if (!one || !other) throw new Wordless();
  if (name === "_&&_" || name === "_||_") return joined(expr, name, isSo);
  if (name === "@in") return within(one, other, isSo);
  const isTime = [one, other].some((part) => part.exprKind.case === "identExpr" && nameOf(part) === "now");
  const verb = (isTime && ofTime[name]) || verbs[name];
  if (!verb) throw new Wordless();
  return `${noun(one)} ${verb[isSo ? 0 : 1]} ${noun(other)}`;
}

/** By De Morgan where it is not so. What joins otherwise stands in brackets. */
function joined(expr: Expr, name: string, isSo: boolean): string {
  const word = (name === "_&&_") === isSo ? "and" : "or";
  const parts = partsOf(expr, name).map((part) => {
    const text = truth(part, isSo);
    return joins(part) ? `(${text})` : text;
  });
  return parts.join(` ${word} `);
}

function partsOf(expr: Expr, name: string): Expr[] {
  const { case: kind, value } = expr.exprKind;
  if (kind !== "callExpr" || value.function !== name) return [expr];
  return value.args.flatMap((part) => partsOf(part, name));
}

function joins(expr: Expr): boolean {
  const { case: kind, value } = expr.exprKind;
  if (kind !== "callExpr") return false;
  const [first] = value.args;
  return (
    ["_&&_", "_||_"].includes(value.function) ||
    (value.function === "!_" && first !== undefined && joins(first))
  );
}

function within(one: Expr, other: Expr, isSo: boolean): string {
  if (other.exprKind.case === "listExpr") {
    const { elements } = other.exprKind.value;
    return `${noun(one)} is ${isSo ? "one" : "none"} of ${elements.map(noun).join(", ")}`;
  }
  const of = nameOf(other);
  const labeled = of === "session.labels" ? "session" : of === "request.labels" ? "request" : undefined;
  if (labeled) return `the ${labeled} is ${isSo ? "" : "not "}labeled ${noun(one)}`;
  const thing = maps[of];
  if (thing === undefined) throw new Wordless();
  return `${isSo ? "a" : "no"} ${thing} ${noun(one)} is sent`;
}

function noun(expr: Expr): string {
  const { case: kind, value } = expr.exprKind;
  if (kind === "constExpr") {
    const { case: type, value: constant } = value.constantKind;
    if (type === "stringValue") return quoted(constant);
    if (type === "int64Value") return String(constant);
    throw new Wordless();
  }
  if (kind !== "callExpr") return nouns[nameOf(expr) as FactName] ?? wordless();
  const { function: name, target, args } = value;
  const [one, other] = target ? [target, ...args] : args;
  if (!one) throw new Wordless();
  if (name === "timestamp") return noun(one);
  if (name === "lowerAscii") return `${noun(one)} in lower case`;
  if (name === "int") return `${noun(one)} as a number`;
  if (name === "size") return `the length of ${noun(one)}`;
  if (!other) throw new Wordless();
  if (name === "_[_]") return `the ${maps[nameOf(one)] ?? wordless()} ${noun(other)}`;
  if (name === "getHours") return `the hour in ${noun(other)}`;
  if (name === "getDayOfWeek") return `the day of the week in ${noun(other)} (0 is Sunday)`;
  throw new Wordless();
}

/** Bare where nothing in it could be taken for a word between. */
function quoted(text: string): string {
  return /^[A-Za-z0-9/._:@*+-]+$/.test(text) && !/^(and|or|is|not)$/i.test(text)
    ? text
    : JSON.stringify(text);
}

function nameOf(expr: Expr): string {
  const { case: kind, value } = expr.exprKind;
  if (kind === "identExpr") return value.name;
  if (kind !== "selectExpr" || !value.operand || value.testOnly) throw new Wordless();
  return `${nameOf(value.operand)}.${value.field}`;
}

function wordless(): never {
  throw new Wordless();
}

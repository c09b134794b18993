import { parse } from "@bufbuild/cel";
import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import {
  type Condition,
  type FactName,
  factKinds,
  foldedName,
  requestLabels,
} from "../../model/access/access.js";
import {
  bool,
  both,
  type ConditionPart,
  chosen,
  either,
  functions,
  inZone,
  lifted,
  literal,
  negated,
  pattern,
  unary,
  type Value,
} from "./condition_functions.js";

/** Characters of a condition, and nested brackets in it. */
const maxLength = 2_048;
const maxDepth = 20;
/** Parts of a condition. None of them loops, so that this limits what a judgement costs. */
const maxParts = 200;

/** Why a condition cannot be used, and at which of its characters, from 1. */
export class ConditionError extends Error {
  override readonly name: string = "ConditionError";

  constructor(
    message: string,
    readonly column: number,
  ) {
    super(message);
  }
}

/**
 * Compiles a condition in CEL, without what loops: the operators, and the functions below. Each part has a type.
 *
 * @param sessionLabels gets the labels of sessions that it asks for
 * @throws ConditionError
 */
export function compileCondition(text: string, sessionLabels: Set<string> = new Set()): Condition {
  if (text.length > maxLength) throw new ConditionError(`has at most ${maxLength} characters`, 1);
  if (depthOf(text) > maxDepth) throw new ConditionError(`nests at most ${maxDepth} brackets`, 1);
  const { of, kind } = new Compiler(text, sessionLabels).compile();
  if (kind !== "bool") throw new ConditionError(`must be true or false, and is a ${kind}`, 1);
  return of as Condition;
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of text) {
    if ("([{?".includes(character)) deepest = Math.max(deepest, ++depth);
    else if (")]}".includes(character)) depth--;
  }
  return deepest;
}

const comparisons: Readonly<Record<string, (one: never, other: never) => boolean>> = {
  "_<_": (one, other) => one < other,
  "_<=_": (one, other) => one <= other,
  "_>_": (one, other) => one > other,
  "_>=_": (one, other) => one >= other,
};

class Compiler {
  #parts = 0;
  #positions: Readonly<Record<string, number>> = {};

  constructor(
    private readonly text: string,
    private readonly sessionLabels: Set<string>,
  ) {}

  compile(): ConditionPart {
    let parsed: ReturnType<typeof parse>;
    try {
      parsed = parse(this.text);
    } catch (error) {
      const { location } = error as { location?: { start: { offset: number } } };
      const at = location?.start.offset ?? 0;
      const isAssigned = /(^|[^=!<>])=($|[^=])/.test(this.text.slice(Math.max(0, at - 1), at + 2));
      const hint = isAssigned ? ": compare with ==" : "";
      throw new ConditionError(`is not valid CEL${hint}`, at + 1);
    }
    this.#positions = parsed.sourceInfo?.positions ?? {};
    return this.#part(parsed.expr);
  }

  #part(expr: Expr): ConditionPart {
    if (++this.#parts > maxParts) throw this.#error(expr, `has at most ${maxParts} parts`);
    const { case: kind, value } = expr.exprKind;
    switch (kind) {
      case "constExpr":
        return this.#constant(expr, value.constantKind);
      case "identExpr":
      case "selectExpr":
        return this.#fact(expr);
      case "listExpr":
        return this.#list(expr, value.elements);
      case "callExpr":
        if (value.target && value.function === "int") throw this.#error(expr, "write int(...)");
        return value.target === undefined
          ? this.#operator(expr, value.function, value.args)
          : this.#method(expr, value.function, [value.target, ...value.args]);
      default:
        throw this.#error(expr, "loops (exists, all, map, filter) and structures are not known here");
    }
  }

  #constant(
    expr: Expr,
    { case: kind, value }: { readonly case: string | undefined; readonly value?: unknown },
  ): ConditionPart {
    if (kind === "stringValue") return literal("string", value as string);
    if (kind === "boolValue") return literal("bool", value as boolean);
    const number = Number(value);
    if (kind === "int64Value" && Number.isSafeInteger(number)) return literal("int", number);
    throw this.#error(expr, "only texts, whole numbers, true and false can stand here");
  }

  #fact(expr: Expr): ConditionPart {
    const name = this.#nameOf(expr);
    if (!Object.hasOwn(factKinds, name))
      throw this.#error(expr, `${name} is not known; there are ${Object.keys(factKinds).join(", ")}`);
    const fact = name as FactName;
    return { kind: factKinds[fact], of: (facts) => facts[fact], fact };
  }

  #nameOf(expr: Expr): string {
    const { case: kind, value } = expr.exprKind;
    if (kind === "identExpr") return value.name;
    if (kind !== "selectExpr" || !value.operand) throw this.#error(expr, "this has no fields");
    if (value.testOnly)
      throw this.#error(
        expr,
        'has() is not known: a fact is shown or unknown; ask `"name" in request.headers`',
      );
    return `${this.#nameOf(value.operand)}.${value.field}`;
  }

  #list(expr: Expr, elements: readonly Expr[]): ConditionPart {
    const parts = elements.map((element) => this.#part(element));
    if (parts.some(({ literal: value, kind }) => value === undefined || kind !== parts[0]?.kind))
      throw this.#error(expr, "a list holds literals of one kind");
    return literal("list", new Set(parts.map(({ literal: value }) => value)));
  }

  #operator(expr: Expr, name: string, args: readonly Expr[]): ConditionPart {
    if (["size", "int", "timestamp"].includes(name)) return this.#method(expr, name, args);
    const [one, other, third] = args.map((arg) => this.#part(arg));
    const want = (isSo: boolean, message: string): void => {
      if (!isSo) throw this.#error(expr, message);
    };
    if (one === undefined) throw this.#error(expr, `${name} is not known`);
    if (name === "!_") {
      want(one.kind === "bool", "! stands before what is true or false");
      return bool((facts) => negated(one.of(facts)));
    }
    if (other === undefined) throw this.#error(expr, `${name} is not known`);
    if (name === "_&&_" || name === "_||_") {
      want(one.kind === "bool" && other.kind === "bool", "&& and || stand between what is true or false");
      return bool(either(name === "_||_", one, other));
    }
    if (name === "_?_:_" && third) {
      want(one.kind === "bool" && other.kind === third.kind, "?: takes a truth, and two values of one kind");
      return {
        kind: other.kind,
        of: (facts) =>
          chosen(
            one.of(facts),
            () => other.of(facts),
            () => third.of(facts),
          ),
      };
    }
    if (name === "_==_" || name === "_!=_") {
      want(
        one.kind === other.kind && !["map", "fields", "list", "set"].includes(one.kind),
        `a ${one.kind} cannot be compared with a ${other.kind}`,
      );
      return bool(both(one, other, (a, b) => (a === b) === (name === "_==_")));
    }
    if (name === "@in") return this.#in(expr, one, other);
    if (name === "_[_]") {
      want(
        (one.kind === "map" || one.kind === "fields") && other.kind === "string",
        "only request.headers, request.query, and request.body have texts by name",
      );
      const name = keyOf(one);
      return {
        kind: "string",
        of: both(one, other, (map, key) => (map as ReadonlyMap<string, string>).get(name(key as string))),
      };
    }
    const compare = comparisons[name];
    want(compare !== undefined, `the operator ${name.replaceAll("_", "")} is not known here`);
    want(
      one.kind === other.kind && ["int", "timestamp"].includes(one.kind),
      `a ${one.kind} cannot be compared with a ${other.kind}`,
    );
    return bool(both(one, other, compare as (a: unknown, b: unknown) => boolean));
  }

  #in(expr: Expr, one: ConditionPart, other: ConditionPart): ConditionPart {
    if ((other.kind === "map" || other.kind === "fields") && one.kind === "string") {
      const name = keyOf(other);
      return bool(
        both(one, other, (key, map) => (map as ReadonlyMap<string, string>).has(name(key as string))),
      );
    }
    if (other.kind === "set" && one.kind === "string") this.#label(expr, one.literal, other.fact);
    if (other.kind === "set" && one.kind === "string")
      return bool(both(one, other, (label, set) => (set as ReadonlySet<unknown>).has(label)));
    const [first] = other.literal instanceof Set ? other.literal : [];
    if (
      other.kind !== "list" ||
      (first !== undefined && typeof first !== (one.kind === "int" ? "number" : one.kind))
    )
      throw this.#error(expr, `a ${one.kind} cannot be in this ${other.kind}`);
    return bool(both(one, other, (value, list) => (list as ReadonlySet<unknown>).has(value)));
  }

  #label(expr: Expr, label: Value, of: FactName | undefined): void {
    if (typeof label !== "string") return;
    if (of === "session.labels") this.sessionLabels.add(label);
    if (of === "request.labels" && !Object.hasOwn(requestLabels, label))
      throw this.#error(
        expr,
        `no request is labeled ${label}; there are ${Object.keys(requestLabels).join(", ")}`,
      );
  }

  #method(expr: Expr, name: string, args: readonly Expr[]): ConditionPart {
    const [target, ...given] = args.map((arg) => this.#part(arg));
    if (name === "timestamp") return this.#timestamp(expr, target);
    const known = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (!known)
      throw this.#error(expr, `${name}() is not known; there are ${Object.keys(functions).join(", ")}`);
    if (
      target?.kind !== known.on ||
      given.length !== known.takes.length ||
      given.some(({ kind }, at) => kind !== known.takes[at])
    )
      throw this.#error(expr, `${name}() is called on a ${known.on} with (${known.takes.join(", ")})`);
    const [argument] = given;
    if (name === "matches")
      return bool(
        lifted(
          target,
          this.#made(expr, () => pattern(argument?.literal)),
        ),
      );
    if (known.on === "timestamp")
      return {
        kind: "int",
        of: lifted(
          target,
          this.#made(expr, () => inZone(name, argument?.literal)),
        ),
      };
    if (!argument) {
      return { kind: known.gives, of: lifted(target, (text) => unary(name, text as string)) };
    }
    const method = name === "contains" ? "includes" : (name as "startsWith" | "endsWith");
    return bool(both(target, argument, (text, part) => (text as string)[method](part as string)));
  }

  #timestamp(expr: Expr, argument: ConditionPart | undefined): ConditionPart {
    const ms = typeof argument?.literal === "string" ? Date.parse(argument.literal) : Number.NaN;
    if (!Number.isNaN(ms) && /^\d{4}-\d\d-\d\dT/.test(argument?.literal as string))
      return literal("timestamp", ms);
    throw this.#error(expr, 'timestamp() takes a literal, as timestamp("2027-01-31T00:00:00Z")');
  }

  #made<T>(expr: Expr, make: () => T): T {
    try {
      return make();
    } catch (error) {
      throw this.#error(expr, (error as Error).message);
    }
  }

  #error({ id }: Expr, message: string): ConditionError {
    return new ConditionError(message, (this.#positions[String(id)] ?? 0) + 1);
  }
}

/** Fields of a body have names without case. */
function keyOf({ kind }: ConditionPart): (name: string) => string {
  return kind === "fields" ? foldedName : (name) => name;
}

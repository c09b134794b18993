import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import { createValidator, type Validator, type Violation } from "@bufbuild/protovalidate";
import { type FieldViolation, InvalidArgument } from "../../model/errors.js";
import type { JsonValue } from "../../model/json.js";
import { inWords } from "../../model/pattern_words.js";

/** Checks messages of a kind: the rules for all fields, then those declared in the proto. What it returns throws InvalidArgument. */
export function validatorOf(descriptor: DescMessage): (message: Message) => void {
  return (message) => checkRules(descriptor, message);
}

/** Compiles the rules of a message when it is first checked. Loaded for the first call. */
let validator: Validator | undefined;
/** Messages that a part of this daemon sends again and again. They are frozen, with all that is in them. */
const valid = new WeakSet<Message>();

function checkRules(descriptor: DescMessage, request: Message): void {
  if (valid.has(request)) return;
  const malformed = malformedFields(descriptor, request);
  if (malformed.length > 0) throw new InvalidArgument(malformed);
  validator ??= createValidator();
  const result = validator.validate(descriptor, request);
  if (result.kind === "error") throw result.error;
  if (result.kind === "valid") {
    if (Object.isFrozen(request)) valid.add(request);
    return;
  }
  throw new InvalidArgument(
    result.violations.map((violation) => ({
      field: violation.field.length === 0 ? wholeOf(descriptor, violation) : pathToString(violation.field),
      description: inWords(violation.message),
    })),
  );
}

/** What a rule of a whole message is about: the first of the fields of which one is to be set, or else the message. */
function wholeOf(descriptor: DescMessage, { ruleId, message }: Violation): string {
  const first = ruleId === "message.oneof" ? /of (\w+)/.exec(message)?.[1] : undefined;
  return first ?? descriptor.name;
}

/** Objects and lists in a `google.protobuf.Struct`; a profile's JSON Schema has ten. What walks them may recurse. */
export const maxStructDepth = 32;

/** 0001-01-01 and 9999-12-31 in seconds of the Unix epoch: the range of `google.protobuf.Timestamp`. */
const timestampSeconds = { min: -62_135_596_800n, max: 253_402_300_799n };
/** About 10 000 years: the range of `google.protobuf.Duration`. */
const maxDurationSeconds = 315_576_000_000n;

type ReportViolation = (field: string, description: string) => void;

/**
 * The rules that hold for all fields:
 *
 * - Texts are Unicode without U+0000 and without half of a surrogate pair, which neither a key of the store nor UTF-8 can hold.
 * - No name is `__proto__`, which is no property when it is assigned.
 * - Numbers of a Struct are finite, because JSON has no others.
 * - Timestamps and durations are within their range.
 */
export function malformedFields(descriptor: DescMessage, message: Message): FieldViolation[] {
  const violations: FieldViolation[] = [];
  walkMessage(descriptor, message, "", (field, description) => void violations.push({ field, description }));
  return violations;
}

function walkMessage(
  descriptor: DescMessage,
  message: Message,
  prefix: string,
  violation: ReportViolation,
): void {
  for (const field of descriptor.fields) {
    const value = memberOf(message, field);
    if (value === undefined) continue;
    const path = `${prefix}${field.name}`;
    switch (field.fieldKind) {
      case "list":
        for (const [index, item] of (value as unknown[]).entries()) {
          walkValue(field.message, item, `${path}[${index}]`, violation);
        }
        break;
      case "map":
        for (const [name, item] of Object.entries(value as object)) {
          const at = `${path}[${JSON.stringify(name)}]`;
          nameViolation(name, at, violation);
          walkValue(field.message, item, at, violation);
        }
        break;
      default:
        walkValue(field.message, value, path, violation);
    }
  }
}

function memberOf(message: Message, field: DescField): unknown {
  const members: Readonly<Record<string, unknown>> = message;
  if (!field.oneof) return members[field.localName];
  const oneof = members[field.oneof.localName] as { readonly case?: string; readonly value?: unknown };
  return oneof.case === field.localName ? oneof.value : undefined;
}

function walkValue(
  descriptor: DescMessage | undefined,
  value: unknown,
  path: string,
  violation: ReportViolation,
): void {
  if (typeof value === "string") textViolation(value, path, violation);
  if (!descriptor) return;
  switch (descriptor.typeName) {
    case "google.protobuf.Struct":
      walkJson(value as JsonValue, path, maxStructDepth, violation);
      break;
    case "google.protobuf.Timestamp":
      if (!isTimestamp(value as Timestamp)) violation(path, "must be a time from year 1 to 9999");
      break;
    case "google.protobuf.Duration":
      if (!isDuration(value as Duration)) violation(path, "must be a duration of at most 10000 years");
      break;
    default:
      walkMessage(descriptor, value as Message, `${path}.`, violation);
  }
}

function walkJson(value: JsonValue, path: string, depth: number, violation: ReportViolation): void {
  if (typeof value === "string") textViolation(value, path, violation);
  if (typeof value === "number" && !Number.isFinite(value)) violation(path, "must be a finite number");
  if (typeof value !== "object" || value === null) return;
  if (depth === 0) {
    violation(path, `must not be nested more than ${maxStructDepth} deep`);
    return;
  }
  for (const [name, item] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${name}]` : `${path}[${JSON.stringify(name)}]`;
    nameViolation(name, at, violation);
    walkJson(item, at, depth - 1, violation);
  }
}

function nameViolation(name: string, path: string, violation: ReportViolation): void {
  if (name === "__proto__") violation(path, "has a name that is reserved");
  else textViolation(name, path, violation);
}

function textViolation(text: string, path: string, violation: ReportViolation): void {
  if (/\p{Surrogate}/u.test(text)) violation(path, "must be Unicode text, without half of a surrogate pair");
  else if (text.includes("\0")) violation(path, "must not hold U+0000");
}

function isTimestamp({ seconds, nanos }: Timestamp): boolean {
  const inRange = seconds >= timestampSeconds.min && seconds <= timestampSeconds.max;
  return inRange && nanos >= 0 && nanos <= 999_999_999;
}

function isDuration({ seconds, nanos }: Duration): boolean {
  if (seconds > maxDurationSeconds || seconds < -maxDurationSeconds) return false;
  const isOneSign = (seconds <= 0n || nanos >= 0) && (seconds >= 0n || nanos <= 0);
  return isOneSign && Math.abs(nanos) <= 999_999_999;
}

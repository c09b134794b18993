import { RE2JS } from "re2js";

/** Longer than any key format in use; a compiled pattern takes memory in proportion. */
const maxPatternLength = 1_000;

/**
 * A pattern of a schema (JSON Schema Validation section 6.3.3). RE2 matches it in time linear in the text, so no pattern and no text can
 * hang the daemon. Patterns that need backtracking (look-around, back references) are refused.
 *
 * @throws Error with a reason for people
 */
export function compilePattern(pattern: string): RE2JS {
  if (pattern.length > maxPatternLength) {
    throw new Error(`must be at most ${maxPatternLength} characters, not ${pattern.length}`);
  }
  try {
    return RE2JS.compile(RE2JS.translateRegExp(pattern));
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : "";
    throw new Error(`is not a pattern that RE2 can match in linear time: ${why.slice(0, 200)}`);
  }
}

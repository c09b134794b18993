import { describe, expect, it } from "vitest";
import { hasDuplicateNames } from "../../src/model/json_object.js";

describe("hasDuplicateNames", () => {
  it.each([
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"x":[{"a":{},"b":1,"a" : 2}]}',
    '{"a":"}","b":"\\"","a":1}',
    '{"":1,"":2}',
    '{"__proto__":1,"__proto__":2}',
  ])("sees one in %s", (text) => {
    expect(JSON.parse(text)).toBeDefined();
    expect(hasDuplicateNames(text)).toBe(true);
  });

  it.each([
    "{}",
    "[]",
    '"a"',
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":["a","a"]}',
    '{"a":"{\\"a\\":1,\\"a\\":2}"}',
    '{"a":"\\\\","b":"\\\\\\"a\\":"}',
  ])("sees none in %s", (text) => {
    expect(JSON.parse(text)).toBeDefined();
    expect(hasDuplicateNames(text)).toBe(false);
  });

  it("reads 1 MiB in one go", () => {
    expect(hasDuplicateNames(`{"a":"${"\\n".repeat(500_000)}","b":"${"x".repeat(40_000)}"}`)).toBe(false);
  });
});

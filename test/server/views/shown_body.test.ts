import { describe, expect, it } from "vitest";
import { indented } from "../../../src/server/views/shown_body.js";
import fc from "../../property.js";

const withoutBlanks = (text: string): string =>
  text.replaceAll(/"(?:[^"\\]|\\.)*"|\s+/g, (part) => (part.trim() === "" ? "" : part));

describe("the body of a request that waits", () => {
  it("has a line for each member of JSON", () => {
    expect(indented('{"a":[1,"x, y"],"a":{"b":"\\"{"}}')).toBe(
      '{\n  "a": [\n    1,\n    "x, y"\n  ],\n  "a": {\n    "b": "\\"{"\n  }\n}',
    );
  });

  it.each(["a=b&c=d", '{"a":', "12", '"text"', '{"a": "\\u{202e}"}'])(
    "is shown as it is where it is %j",
    (text) => {
      expect(indented(text)).toBe(text);
    },
  );

  it("loses, adds, and moves nothing but blanks", () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(4), (json, indent) => {
        const text = JSON.stringify(JSON.parse(json), undefined, indent);
        expect(withoutBlanks(indented(text))).toBe(withoutBlanks(text));
        expect(JSON.parse(indented(text))).toEqual(JSON.parse(text));
      }),
    );
  });
});

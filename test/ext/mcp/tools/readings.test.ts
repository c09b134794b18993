import { describe, expect, it } from "vitest";
import { Readings } from "../../../../src/ext/mcp/tools/readings.js";

const characters = (text: string) => new Readings(text).at(0).map((reading) => reading.text);

describe("Readings", () => {
  it.each([
    ["a", ["a"]],
    ["+", ["+", " "]],
    ["%41", ["%", "a"]],
    ["%u0041", ["%", "a"]],
    ["\\x41", ["\\", "a"]],
    ["%C3", ["%", "Ã"]],
    ["&#128512;", ["&", "😀"]],
    ["&#39", ["&", "'"]],
    ["&#x110000;", ["&"]],
    ["&lt", ["&", "<"]],
    ["%4", ["%"]],
    ["\\u004", ["\\"]],
  ])("reads %j as itself and as what it is decoded to", (text, expected) => {
    expect(characters(text)).toEqual(expected);
  });

  it("reads an escape that is written in escapes, and gives up where they never end", () => {
    expect(characters("%255cu0026lt;")).toContain("<");
    expect(characters(`%${"25".repeat(1000)}41`)).toEqual(Array(8).fill("%"));
    expect(characters("\\".repeat(1000))).toEqual(Array(8).fill("\\"));
  });
});

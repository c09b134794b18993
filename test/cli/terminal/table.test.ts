import { describe, expect, it } from "vitest";
import { colorOfState, hasColors, plainScreen, screenOf } from "../../../src/cli/terminal/screen.js";
import { layoutTable } from "../../../src/cli/terminal/table.js";

const header = ["ID", "PROVIDER", "SCOPES"];
const rows = [
  ["22222222", "github", "repo user gist read:org write:packages"],
  ["33333333", "a-provider-with-a-long-name", "x"],
];
const widthOf = (text: string): number => Math.max(...text.split("\n").map((line) => line.length));

describe("a table", () => {
  it("is as wide as it comes where nothing limits it", () => {
    expect(layoutTable(header, rows, plainScreen).split("\n")[1]).toBe(
      "22222222  github                       repo user gist read:org write:packages",
    );
  });

  it.each([40, 50, 60, 75])(
    "keeps within %d columns: the widest columns give way, and ids never",
    (columns) => {
      const text = layoutTable(header, rows, { ...plainScreen, columns });
      expect(widthOf(text)).toBeLessThanOrEqual(columns);
      expect(text).toContain("…");
      expect(text).toContain("22222222");
      expect(text).toContain("33333333");
    },
  );

  it("is longer than the screen rather than without a word", () => {
    const text = layoutTable(header, rows, { ...plainScreen, columns: 10 });
    expect(text).toContain("22222222  github    repo us…");
  });

  it("lines up whatever is coloured", () => {
    const paint = screenOf({ FORCE_COLOR: "1" }, { isTTY: false }).paint;
    const colored = layoutTable(
      ["STATUS", "X"],
      [
        ["active", "1"],
        ["failed", "2"],
      ],
      { columns: undefined, paint },
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
    expect(colored.replace(/\x1b\[\d+m/g, "")).toBe("STATUS  X\nactive  1\nfailed  2\n");
    expect(colored).toContain("\x1b[31mfailed\x1b[39m");
  });
});

describe("colours", () => {
  it.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: "1" }, true, false],
    [{ NO_COLOR: "" }, true, true],
    [{ TERM: "dumb" }, true, false],
    [{ FORCE_COLOR: "1" }, false, true],
    [{ FORCE_COLOR: "" }, false, true],
    [{ FORCE_COLOR: "0" }, true, false],
    [{ FORCE_COLOR: "false" }, true, false],
    [{ FORCE_COLOR: "3", NO_COLOR: "1" }, false, true],
  ])("%j, at a terminal: %s", (env, isTTY, has) => {
    expect(hasColors(env, isTTY)).toBe(has);
  });

  it("are those of a state, and of no other word", () => {
    expect(["active", "attention", "revoked", "constructor"].map(colorOfState)).toEqual([
      "green",
      "red",
      "dim",
      undefined,
    ]);
  });
});
